"""What a run remembers: read before the model is asked, written after it, or after each step.

The thread, its newest messages and the working memory come in one read; messages of like meaning in a search and one read more.
Knows the memory domain and vectors. Must not know how a model is called, nor streams.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.agent.answer import pending_calls
from mastra_core.agent.call import Remembered
from mastra_core.agent.messages import text_of
from mastra_core.agent.tools import Tool
from mastra_core.agent.working_memory_tool import Change, working_memory_schema, working_memory_tool
from mastra_core.errors import ConflictError, InvalidInputError, ModelError, StorageError
from mastra_core.memory.memory import Memory
from mastra_core.memory.options import MemoryOptions
from mastra_core.memory.recall import Recall, Recalled, scored, windows
from mastra_core.memory.working_memory import block, held
from mastra_core.storage.domains.memory import Turn
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.checks import check_change
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.query import Get
from mastra_core.storage.records.wire import to_document
from mastra_core.storage.vectors.port import VectorMatch

log = logging.getLogger("mastra_core.memory")


class Past:
    """What a run remembers of its thread, and of the user's other threads.

    Args:
        memory: where threads are.
        where: which one.
        options: how much of it is read, and whether anything is saved.
        writable: whether the model can be given the tool of the working memory.

    Attributes:
        thread_existed: whether the thread was there when it was last read or written.
        turn: what was read of it.
        similar: the messages found by their meaning.
        nearby: those and their neighbours, without what *turn* has; oldest first.
        missed: what went wrong with vectors, which does not fail the run.

    Raises:
        ConfigurationError: there is no storage, or semantic recall is on without a vector store and an embedder.
    """

    def __init__(self, memory: Memory, *, where: Remembered, options: MemoryOptions, writable: bool = True) -> None:
        self.where = where
        self.options = options
        self.thread_existed = False
        self.turn = Turn(thread=None, messages=(), resource=None)
        self.similar: tuple[Recalled, ...] = ()
        self.nearby: tuple[Message, ...] = ()
        self.missed: list[str] = []
        self._memory = memory
        self._domain = memory.require_domain()
        self._recall: Recall | None = memory.require_recall() if options.semantic_recall is not None else None
        self._schema = None if options.working_memory is None else working_memory_schema(options.working_memory)
        self._writable = writable and not options.read_only

    def check(self, messages: Sequence[Message]) -> None:
        """Refuse what cannot be stored now, before a model is called for it."""
        _check_storable(THREADS, self._thread())
        for message in messages:
            _check_storable(MESSAGES, message if message.created_at else attrs.evolve(message, created_at=clock.now()))

    async def read(self, *, question: str = "", at_least: int = 0) -> None:
        """Read the thread, its newest messages and the working memory, in one batch, and what is like *question* beside it.

        Raises:
            OwnershipError: the thread belongs to another resource.
        """
        feature = self.options.working_memory
        turn = self._domain.read_turn(
            self.where.thread_id,
            resource_id=self.where.resource_id,
            last=max(self.options.last_messages, at_least),
            with_resource=feature is not None and feature.scope != "thread",
        )
        # Tasks for two are made only where there are two.
        self.turn, matches = (await turn, []) if self._recall is None else await asyncio.gather(turn, self._search(question))
        self.thread_existed = self.turn.thread is not None
        if matches:
            await self._look_around(matches)

    def blocks(self) -> list[str]:
        """What the model is told of the past besides messages: the working memory, and what was said in other threads."""
        told = []
        feature = self.options.working_memory
        if feature is not None:
            told.append(block(feature, held(self.turn, feature), schema=self._schema, writable=self.tool() is not None))
        elsewhere = [message for message in self.nearby if message.thread_id != self.where.thread_id]
        if elsewhere:
            told.append(elsewhere_block(elsewhere))
        return told

    def history(self) -> tuple[Message, ...]:
        """The newest messages of the thread and those of it that were found, oldest first."""
        found = [message for message in self.nearby if message.thread_id == self.where.thread_id]
        return tuple(sorted((*found, *self.turn.messages), key=_place)) if found else self.turn.messages

    def tool(self) -> Tool | None:
        """The tool that keeps the working memory; None if there is none, or it may not be written."""
        feature = self.options.working_memory
        if feature is None or feature.read_only or not self._writable:
            return None
        return working_memory_tool(feature, schema=self._schema, write=self._write_working_memory)

    async def save(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """*messages* as stored, system messages as they are: those are never stored.

        Raises:
            ThreadNotFoundError: the thread was deleted since it was read; nothing was written.
        """
        if self.options.read_only:
            return tuple(messages)
        said = [message for message in messages if message.role != "system"]
        stored = iter(await self._domain.save_turn(thread=self._thread(), messages=said, existed=self.thread_existed) if said else ())
        self.thread_existed = True
        return tuple(message if message.role == "system" else next(stored) for message in messages)

    async def claim(self, decided: Message) -> None:
        """Write *decided*, which says what a person decided about its calls, in place of the stored message whose calls wait.

        The calls may be made once this returns: of several that claim at once, in whatever processes, one succeeds.

        Raises:
            ConflictError: the calls do not wait any more; nothing was written.
        """

        def batch(found: Sequence[Message | None]) -> list[Save[Message]]:
            stored = found[0]
            waits = stored is not None and pending_calls(stored)
            return [Save(MESSAGES, decided, only=("content",), absent="refuse")] if waits else []

        if not await self._domain.records.decide([Get(MESSAGES, (decided.id,))], batch):
            msg = (
                f"the calls of message {decided.id!r} in thread {decided.thread_id!r} do not wait any more: somebody has decided about "
                "them meanwhile; read the thread to see how"
            )
            raise ConflictError(msg)

    async def remember(self, messages: Sequence[Message]) -> None:
        """Keep the vectors of saved *messages*; if that fails, `mastra reindex` makes up for it later."""
        if self._recall is None or self.options.read_only:
            return
        try:
            await self._recall.remember(messages, feature=self.options.semantic_recall)
        except (StorageError, ModelError) as error:
            self._miss(f"{len(messages)} messages were saved without vectors; make up for it with: mastra reindex URL", error)

    def untitled(self, new: int) -> bool:
        """Whether the thread is to get a title, now that *new* messages were added to those that were read."""
        feature, thread = self.options.generate_title, self.turn.thread
        if feature is None or self.options.read_only or (thread.title if thread is not None else self.where.title):
            return False
        return len(self.turn.messages) + new >= (feature.min_messages or 1)

    async def give_title(self, title: str) -> None:
        """Write *title*, unless the thread has got one meanwhile."""
        await self._domain.give_title(self.where.thread_id, title=title)

    async def _search(self, question: str) -> list[VectorMatch]:
        feature = self.options.semantic_recall
        if self._recall is None or feature is None or not question:
            return []
        try:
            return await self._recall.search(question, feature=feature, thread_id=self.where.thread_id, resource_id=self.where.resource_id)
        except (StorageError, ModelError) as error:
            self._miss("nothing could be recalled by meaning", error)
            return []

    async def _look_around(self, matches: list[VectorMatch]) -> None:
        feature = self.options.semantic_recall
        assert feature is not None
        mine = None if feature.scope == "thread" else self.where.resource_id
        found = await self._domain.list_messages(self.where.thread_id, resource_id=mine, per_page=0, include=windows(matches, feature))
        seen = {message.id for message in self.turn.messages}
        self.similar = scored(found.items, matches)
        self.nearby = tuple(sorted((message for message in found if message.id not in seen), key=_place))

    async def _write_working_memory(self, change: Change) -> Any:
        feature = self.options.working_memory
        if feature is None or feature.scope != "thread":
            return await self._domain.update_working_memory(change, resource_id=self.where.resource_id)
        if not self.thread_existed:
            # The thread is there from now on, as what is known of it is kept in it.
            await self._domain.save_turn(thread=self._thread(), messages=(), existed=False)
            self.thread_existed = True
        return await self._domain.update_working_memory(change, thread_id=self.where.thread_id)

    def _miss(self, what: str, error: Exception) -> None:
        self._memory.missed += 1
        self.missed.append(f"{what}: {error}")
        log.warning("thread %s: %s: %s", self.where.thread_id, what, error)

    def placed(self, message: Message) -> Message:
        """*message* in this thread, with an id.

        Raises:
            InvalidInputError: it is of another thread.
        """
        if message.thread_id not in {"", self.where.thread_id}:
            msg = f"input: Message {message.id!r} is of thread {message.thread_id!r}, but the run is of thread {self.where.thread_id!r}"
            raise InvalidInputError(msg)
        named = with_id(message, within=self.where.thread_id)
        return attrs.evolve(named, thread_id=self.where.thread_id, resource_id=message.resource_id or self.where.resource_id)

    def _thread(self) -> Thread:
        """The thread as it is created; one that is stored keeps its own title and metadata."""
        where, now = self.where, clock.now()
        return Thread(
            id=where.thread_id, resource_id=where.resource_id, title=where.title, metadata=where.metadata, created_at=now, updated_at=now
        )


def with_id(message: Message, *, within: str | None = None) -> Message:
    """*message* with an id; a new one tells the place of its thread."""
    return message if message.id else attrs.evolve(message, id=clock.new_id(within=within))


def _check_storable(kind: Kind[R], record: R) -> None:
    check_change(Save(kind, record))
    to_document(kind, record)


def elsewhere_block(messages: Sequence[Message]) -> str:
    """What was said in other threads, for the model, with its day and hour (UTC)."""
    lines = []
    for message in messages:
        at = f"{message.created_at:%Y-%m-%d %H:%M}" if message.created_at else "earlier"
        text = text_of(message).replace("</remembered_from_other_conversation>", "")
        if text:
            lines.append(f"{at} {message.role}: {text}")
    start = "From other conversations with this user, found because they may matter now:"
    return "\n".join([start, "<remembered_from_other_conversation>", *lines, "</remembered_from_other_conversation>"])


def _place(message: Message) -> tuple[Any, str]:
    return message.created_at, message.id
