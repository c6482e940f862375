"""A model that says and calls what a test wants, an embedder whose vectors a test can predict, and a vector store that can be down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from mastra_core.agent.model import ModelDelta, ModelReply, ModelRequest, ToolCall, Usage
from mastra_core.errors import ModelError, StorageUnavailableError
from mastra_core.storage.vectors.inmemory import InMemoryVector

USAGE = Usage(input_tokens=3, output_tokens=2)
WORDS = ("cat", "dog", "teal", "lisbon", "piano", "bread")


def says(text: str) -> ModelReply:
    return ModelReply(text=text, finish_reason="stop", usage=USAGE)


def calls(name: str, *, call_id: str = "call_1", **arguments: Any) -> ModelReply:
    call = ToolCall(id=call_id, name=name, arguments=arguments)
    return ModelReply(text="", finish_reason="tool_calls", usage=USAGE, tool_calls=(call,))


class Talking:
    """Answers each request with the next of *replies*, then with the last again."""

    provider = "scripted"
    model_id = "parrot-1"

    def __init__(self, *replies: ModelReply | str | ModelError) -> None:
        self.replies = list(replies or ("Hello.",))
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, ModelError):
            raise reply
        return says(reply) if isinstance(reply, str) else reply

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        reply = await self.complete(request)
        yield ModelDelta(text=reply.text)
        yield ModelDelta(tool_calls=reply.tool_calls, finish_reason=reply.finish_reason, usage=reply.usage)

    def system(self, call: int = -1) -> str:
        """The system messages of one request, together."""
        return "\n".join(message.text for message in self.requests[call].messages if message.role == "system")

    def said(self, call: int = -1) -> list[str]:
        """The texts of one request that are no system messages."""
        return [message.text for message in self.requests[call].messages if message.role != "system"]


class WordEmbedder:
    """A text's vector says which of WORDS are in it, so texts with the same words are near each other."""

    provider = "words"
    model_id = "count-1"
    dimension = len(WORDS) + 1

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.down = False
        # Embeddings are kept by model, and each test wants to see its own.
        self.model_id = f"count-{id(self)}"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.down:
            msg = "words/count-1 lost its dictionary; find it"
            raise ModelError(msg)
        self.asked.append(list(texts))
        return [[*(float(word in text.lower()) for word in WORDS), 0.1] for text in texts]


class FailingVector(InMemoryVector):
    """In memory, counting calls; down when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.down = False

    def _note(self, what: str) -> None:
        self.seen.append(what)
        if self.down:
            msg = "the vector store does not answer; start it"
            raise StorageUnavailableError(msg, operation=what)

    async def query(self, index_name: str, **given: Any) -> Any:
        self._note("query")
        return await super().query(index_name, **given)

    async def upsert(self, index_name: str, **given: Any) -> Any:
        self._note("upsert")
        return await super().upsert(index_name, **given)

    def calls(self) -> list[str]:
        """What was called since the last time."""
        seen, self.seen = self.seen, []
        return seen
