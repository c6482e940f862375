"""Models that say what a test wants and note what they were asked, and a store that counts its batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from mastra_core.agent.model import ModelDelta, ModelReply, ModelRequest, ToolCall, Usage
from mastra_core.errors import ModelError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.query import Read
from mastra_core.storage.store import Store

USAGE = Usage(input_tokens=3, output_tokens=2)


def calling(*calls: ToolCall, text: str = "", reasoning: str = "") -> ModelReply:
    """What a model says that wants tools called."""
    return ModelReply(text=text, finish_reason="tool_calls", usage=USAGE, reasoning=reasoning, tool_calls=calls)


def call(name: str, /, *, id: str = "c1", **arguments: Any) -> ToolCall:
    return ToolCall(id=id, name=name, arguments=arguments)


class ScriptedModel:
    """Answers each request with the next of *answers*, then with the last again; an exception among them is raised."""

    provider = "scripted"
    model_id = "parrot-1"

    def __init__(self, *answers: str | ModelReply | BaseException) -> None:
        self.answers = list(answers or ("Hello, Ada.",))
        self.requests: list[ModelRequest] = []
        self.closed = 0

    def _next(self, request: ModelRequest) -> ModelReply | BaseException:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return ModelReply(text=answer, finish_reason="stop", usage=USAGE) if isinstance(answer, str) else answer

    async def complete(self, request: ModelRequest) -> ModelReply:
        answer = self._next(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        answer = self._next(request)
        if isinstance(answer, BaseException):
            yield ModelDelta(text="Hel")
            raise answer
        if answer.reasoning:
            yield ModelDelta(reasoning=answer.reasoning)
        for index, word in enumerate(answer.text.split(" ")):
            await asyncio.sleep(0)
            yield ModelDelta(text=f" {word}" if index else word)
        yield ModelDelta(tool_calls=answer.tool_calls, finish_reason=answer.finish_reason, usage=answer.usage)

    async def close(self) -> None:
        self.closed += 1

    def results(self, call: int = -1) -> list[str]:
        """What the tools gave, as the model sees it in one request."""
        return [message.text for message in self.requests[call].messages if message.role == "tool"]

    def prompt(self, call: int = -1) -> list[tuple[str, str]]:
        """Role and text of each message of one request."""
        return [(message.role, message.text) for message in self.requests[call].messages]


class WaitingModel(ScriptedModel):
    """Streams "One two" and then waits for `go`, and notes that it was stopped if it was."""

    def __init__(self) -> None:
        super().__init__("One two three")
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()
        self.stopped = False

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        self.requests.append(request)
        try:
            yield ModelDelta(text="One")
            yield ModelDelta(text=" two")
            self.waiting.set()
            await self.go.wait()
            yield ModelDelta(text=" three", finish_reason="stop", usage=USAGE)
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped = True
            raise


def broken() -> ModelError:
    return ModelError("scripted/parrot-1 is out of seeds; feed it")


class CountingEngine(InMemoryEngine):
    """The in-memory engine, counting batches: what each engine turns into its fewest round trips."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[str] = []
        self.closed = 0

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        self.batches.append("fetch")
        return await super().fetch(reads)

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        self.batches.append("apply")
        return await super().apply(changes, atomic=atomic)

    async def decide(self, gets: Any, change: Any) -> list[Any]:
        self.batches.append("decide")
        return await super().decide(gets, change)

    async def close(self) -> None:
        # Takes a while, as a real one does.
        for _ in range(5):
            await asyncio.sleep(0)
        self.closed += 1


class CountingStore(Store):
    """A store over a CountingEngine."""

    def __init__(self, *, id: str = "counting") -> None:
        self.counted = CountingEngine()
        super().__init__(self.counted, id=id, product="inmemory")

    def batches(self) -> list[str]:
        """The batches since the last call."""
        seen, self.counted.batches = self.counted.batches, []
        return seen


async def stored(store: Store, thread: str = "t1") -> list[tuple[str, str]]:
    """Role and text of every stored message of a thread, oldest first."""
    page = await store.memory.list_messages(thread, per_page=None)
    return [(message.role, message.content["content"]) for message in page]
