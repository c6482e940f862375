"""An answer while it is being produced: one task takes it from the model and saves it, readers follow at their own pace.

Knows asyncio and one run. Must not know stores or agents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Self

from mastra_core.agent.events import Event, ReasoningDelta, TextDelta
from mastra_core.agent.model import ModelReply, ModelRequest, ToolCall, Usage
from mastra_core.agent.run import Result, Run

Spawn = Callable[[Coroutine[Any, Any, Result]], "asyncio.Task[Result]"]
"""Starts a task and keeps it alive until it is done."""

AHEAD = 64
"""How many events the model may be ahead of the slowest reader; without a reader it is not held up."""


class AgentStream:
    """The answer to one input, in pieces: `async with agent.stream(…) as stream`, or `stream = await agent.stream(…)`.

    Both wait until the thread is read, so errors of thread and owner show there. Leaving the block early cancels the model and
    saves the user's message with the part produced, whose stored `metadata` then says `"interrupted": true`. A stream that is never
    read to its end is produced and saved all the same; `drain()` of the agent or the Mastra waits for it. A slow reader slows the model.
    """

    def __init__(self, run: Run, *, spawn: Spawn) -> None:
        self._run = run
        self._spawn = spawn
        self._pump: asyncio.Task[Result] | None = None
        self._producing: asyncio.Task[None] | None = None
        self._events: list[Event] = []
        self._readers: dict[object, int] = {}
        self._held = True
        self._news = asyncio.Event()
        # Whether whoever holds the stream knows how it ended.
        self._told = False

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """The pieces of the text, from the first, as they come; ends when the run is saved.

        Raises:
            ModelError: the model failed; what it gave before is yielded first.
            StorageError: the run could not be saved.
        """
        return self._texts()

    @property
    def full_stream(self) -> AsyncIterator[Event]:
        """Everything that happens (`mastra_core.agent.events`), from the first event, as it happens; otherwise like `text_stream`."""
        return self._follow()

    async def result(self) -> Result:
        """What `generate` gives, once the answer is complete and saved; after leaving early, of the part produced.

        Raises:
            ModelError: the model failed.
            StorageError: the run could not be saved.
        """
        await self._started()
        assert self._pump is not None
        self.let_go()
        await asyncio.wait({self._pump})
        return self._outcome(self._pump)

    def let_go(self) -> None:
        """No longer slow the model down for readers."""
        self._held = False
        self._tell()

    async def cancel(self) -> None:
        """Stop the model, and save the user's message and the part produced; nothing happens when the answer is complete."""
        if self._pump is None:
            return
        while self._producing is None and not self._pump.done():
            await self._something_new()
        if self._producing is not None:
            self._producing.cancel()
        # Not awaited directly, so that cancelling the caller does not lose the save.
        await asyncio.wait({self._pump})

    def __await__(self) -> Generator[Any, None, Self]:
        """The stream, started."""
        return self._started().__await__()

    async def __aenter__(self) -> Self:
        """The stream, started."""
        return await self._started()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cancel what is not yet produced, and wait until the rest is saved."""
        await self.cancel()
        if error is None and self._pump is not None and not self._told:
            self._outcome(self._pump)

    async def _started(self) -> Self:
        if self._pump is None:
            self._pump = self._spawn(self._produce())
            self._pump.add_done_callback(self._tell)
        pump = self._pump
        try:
            while self._producing is None and not pump.done():
                await self._something_new()
        except asyncio.CancelledError:
            # Nobody will hold this stream, and nothing was produced yet.
            pump.cancel()
            raise
        if self._producing is None:
            self._outcome(pump)
        return self

    async def _produce(self) -> Result:
        with self._run.traced():
            return await self._produced()

    async def _produced(self) -> Result:
        await self._run.read()
        self._producing = asyncio.create_task(self._run.produce(self._ask, emit=self._emit))
        self._tell()
        try:
            await asyncio.wait({self._producing})
        finally:
            # This task is cancelled when its caller gives up at the start, or with the event loop; the model must not go on alone.
            self._producing.cancel()
        if not self._producing.cancelled():
            self._producing.result()
        return await self._run.finish(interrupted=self._producing.cancelled())

    async def _ask(self, request: ModelRequest) -> ModelReply:
        """Ask the model, and let readers see what it says as it comes."""
        answer, calls, finish_reason, usage = self._run.answer, list[ToolCall](), "unknown", Usage()
        deltas = self._run.task.model.stream(request)
        try:
            async for delta in deltas:
                if delta.answered_by:
                    answer.answered_by(delta.answered_by)
                if delta.reasoning:
                    answer.think(delta.reasoning)
                    self._emit(ReasoningDelta(delta.reasoning))
                if delta.text:
                    answer.say(delta.text)
                    self._emit(TextDelta(delta.text))
                calls += delta.tool_calls
                finish_reason, usage = delta.finish_reason or finish_reason, delta.usage or usage
                # Pieces that have come in one packet are given without waiting; readers and others get their turn all the same.
                await asyncio.sleep(0)
                while self._held and self._readers and len(self._events) - min(self._readers.values()) >= AHEAD:
                    await self._something_new()
        finally:
            # The protocol promises an iterator; a generator also wants to be closed.
            close = getattr(deltas, "aclose", None)
            if close is not None:
                await close()
        return ModelReply(text="", finish_reason=finish_reason, usage=usage, tool_calls=tuple(calls))

    async def _texts(self) -> AsyncGenerator[str, None]:
        events = self._follow()
        try:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event.text
        finally:
            await events.aclose()

    async def _follow(self) -> AsyncGenerator[Event, None]:
        await self._started()
        assert self._pump is not None
        reader = object()
        self._readers[reader] = 0
        try:
            while True:
                while self._readers[reader] < len(self._events):
                    event = self._events[self._readers[reader]]
                    self._readers[reader] += 1
                    self._tell()
                    yield event
                if self._pump.done():
                    self._outcome(self._pump)
                    return
                await self._something_new()
        finally:
            del self._readers[reader]
            self._tell()

    def _emit(self, event: Event) -> None:
        self._events.append(event)
        self._tell()

    def _outcome(self, pump: asyncio.Task[Result]) -> Result:
        self._told = True
        return pump.result()

    async def _something_new(self) -> None:
        await self._news.wait()

    def _tell(self, _: object = None) -> None:
        # Whoever waits now wakes up; whoever comes later waits for the next news.
        news, self._news = self._news, asyncio.Event()
        news.set()
