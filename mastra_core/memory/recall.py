"""Semantic recall: messages as vectors, kept beside the messages and asked for by meaning (contract §5.6).

A vector has its message's id, so that writing it twice is the same. Knows vector stores and embedders by their ports, and stored messages.
Must not know agents or models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.errors import IndexNotFoundError
from mastra_core.memory.embedder import Embedder, embed
from mastra_core.memory.features import SemanticRecall
from mastra_core.storage.domains.filters import Include
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message
from mastra_core.storage.vectors.port import VectorMatch, VectorStore

INDEX = "memory{0}messages"
"""The index of vectors as long as those of OpenAI's first embedders, and what the names of the others start with."""

PLAIN_DIMENSION = 1536
INDEXED = ("thread_id", "resource_id", "message_id")
"""What vectors are asked for and removed by: the searches, the removal of a thread or of messages, and a reindex."""


@attrs.frozen(kw_only=True)
class Recalled:
    """A message that was found by its meaning.

    Attributes:
        message: as stored.
        score: how near it is to the question, higher is nearer; of a cosine index -1 to 1.
    """

    message: Message
    score: float


class Recall:
    """The vectors of one memory.

    Args:
        vector: where they are.
        embedder: what makes them.
    """

    def __init__(self, vector: VectorStore, embedder: Embedder) -> None:
        self.vector = vector
        self.embedder = embedder

    def index_name(self, feature: SemanticRecall | None = None) -> str:
        """The index: the feature's, or TypeScript's name for vectors of this dimension."""
        if feature is not None and feature.index_name is not None:
            return feature.index_name
        separator, dimension = self.vector.index_separator, self.embedder.dimension
        name = INDEX.format(separator)
        return name if dimension == PLAIN_DIMENSION else f"{name}{separator}{dimension}"

    async def search(self, text: str, *, feature: SemanticRecall, thread_id: str, resource_id: str | None) -> list[VectorMatch]:
        """What is nearest to *text* in the thread or of the resource, nearest first; nothing if nothing was ever remembered.

        Raises:
            ModelError: the embedder failed.
            StorageError: the vector store failed.
        """
        (vector,) = await embed(self.embedder, [text])
        mine = {"thread_id": thread_id} if feature.scope == "thread" else {"resource_id": resource_id}
        both = {"$and": [mine, feature.filter]} if feature.filter else mine
        try:
            found = await self.vector.query(self.index_name(feature), query_vector=vector, top_k=feature.top_k or 4, filter=both)
        except IndexNotFoundError:
            return []
        return [match for match in found if feature.threshold is None or match.score >= feature.threshold]

    async def remember(self, messages: Sequence[Message], *, feature: SemanticRecall | None = None) -> int:
        """Keep the vectors of *messages* that say something, in one call of the embedder and one of the store; how many there were.

        Raises:
            ModelError: the embedder failed.
            StorageError: the vector store failed.
        """
        said = [(message, text) for message in messages if (text := spoken(message))]
        if not said:
            return 0
        vectors = await embed(self.embedder, [text for _, text in said])
        name, dimension = self.index_name(feature), self.embedder.dimension
        given: dict[str, Any] = {
            "vectors": vectors,
            "ids": [message.id for message, _ in said],
            "metadata": [_metadata(message, text) for message, text in said],
        }
        try:
            await self.vector.upsert(name, **given)
        except IndexNotFoundError:
            await self.vector.create_index(name, dimension=dimension, metric="cosine", metadata_indexes=INDEXED)
            await self.vector.upsert(name, **given)
        return len(said)

    async def missing(self, messages: Sequence[Message], *, feature: SemanticRecall | None = None) -> list[Message]:
        """Those of *messages* that say something and have no vector."""
        said = [message for message in messages if spoken(message)]
        if not said:
            return []
        ids = [message.id for message in said]
        # Any vector does: everything that meets the filter is asked for.
        anywhere = [1.0, *([0.0] * (self.embedder.dimension - 1))]
        try:
            found = await self.vector.query(
                self.index_name(feature), query_vector=anywhere, top_k=len(ids), filter={"message_id": {"$in": ids}}
            )
        except IndexNotFoundError:
            return said
        there = {match.metadata.get("message_id") for match in found}
        return [message for message in said if message.id not in there]

    async def forget(self, condition: Mapping[str, Any]) -> int:
        """Remove the vectors whose metadata meets *condition*, from every index of messages; how many there were."""
        start = INDEX.format(self.vector.index_separator)
        names = [name for name in await self.vector.list_indexes() if name.startswith(start)]
        return sum([await self.vector.delete_vectors(name, filter=condition) for name in names])


def windows(matches: Sequence[VectorMatch], feature: SemanticRecall) -> list[Include]:
    """What to read for *matches*: each message once, with its neighbours."""
    places: dict[str, str] = {}
    for match in matches:
        message_id, thread_id = match.metadata.get("message_id"), match.metadata.get("thread_id")
        if isinstance(message_id, str) and isinstance(thread_id, str):
            # Indexes of TypeScript may hold several vectors of one message.
            places.setdefault(message_id, thread_id)
    return [
        Include(id=message_id, thread_id=thread_id, with_previous_messages=feature.before, with_next_messages=feature.after)
        for message_id, thread_id in places.items()
    ]


def scored(messages: Sequence[Message], matches: Sequence[VectorMatch]) -> tuple[Recalled, ...]:
    """Those of *messages* that were found themselves, nearest first; their neighbours are left out."""
    scores: dict[Json, float] = {}
    for match in matches:
        scores.setdefault(match.metadata.get("message_id"), match.score)
    found = [Recalled(message=message, score=scores[message.id]) for message in messages if message.id in scores]
    return tuple(sorted(found, key=lambda recalled: -recalled.score))


def spoken(message: Message) -> str:
    """What a message says in words, as its vector is made of; "" for system messages and those that say nothing."""
    content: Any = message.content
    if message.role not in {"user", "assistant"} or not isinstance(content, Mapping):
        return ""
    mirror = content.get("content")
    if isinstance(mirror, str) and mirror.strip():
        return mirror
    parts = [part for part in content.get("parts") or () if isinstance(part, Mapping)]
    text = "\n".join(part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str))
    return text if text.strip() else ""


def _metadata(message: Message, text: str) -> dict[str, Json]:
    return {
        "message_id": message.id,
        "thread_id": message.thread_id,
        "resource_id": message.resource_id or "",
        "role": message.role,
        "content": text,
        "created_at": clock.to_text(message.created_at or clock.now()),
    }


Progress = Callable[[int, int], None]
"""Called with how many messages have been looked at, and how many of them were embedded."""
