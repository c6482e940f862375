"""Memory: what agents remember of their threads, how much of it a run reads, and reading and changing it without a run.

Vectors follow what happens to messages. Knows stores, their memory domain and vectors. Must not know agents, models or any engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mastra_core import clock
from mastra_core.errors import ConfigurationError, OwnershipError, ThreadNotFoundError
from mastra_core.memory.embedder import Embedder
from mastra_core.memory.features import SemanticRecall, WorkingMemory
from mastra_core.memory.options import MemoryOptions
from mastra_core.memory.recall import Progress, windows
from mastra_core.memory.sources import Sources
from mastra_core.memory.working_memory import held, scope_id, updating
from mastra_core.storage.domains.filters import Include, MessageFilter, ThreadFilter
from mastra_core.storage.domains.memory import Turn
from mastra_core.storage.domains.messages import MessageUpdate
from mastra_core.storage.domains.paging import OrderBy, Page
from mastra_core.storage.domains.threads import Clone, CloneOptions
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.storage.store import Store
from mastra_core.storage.vectors.port import VectorStore

if TYPE_CHECKING:
    from mastra_core.memory.sync_memory import MemorySync

NEWEST_FIRST: OrderBy = {"field": "created_at", "direction": "DESC"}

EMBEDDED = 256
"""Messages that are embedded and written at once by work of any length."""


class Memory(Sources):
    """What agents remember of their threads.

    Args:
        storage: a store, or the URL of one; None takes that of the Mastra that the agent is given to. It always wins over Mastra's.
        vector: a vector store, or the URL of one, for semantic recall; None likewise.
        embedder: "provider/model" or an Embedder, likewise.
        options: what a run reads and whether it saves; one call may override each.

    Attributes:
        options: as given.
        missed: how often a run went on without vectors, because the vector store or the embedder failed; each is logged.

    Raises:
        ConfigurationError: an argument cannot be that.
    """

    def __init__(
        self,
        storage: Store | str | None = None,
        *,
        vector: VectorStore | str | None = None,
        embedder: Embedder | str | None = None,
        options: MemoryOptions | Mapping[str, object] | None = None,
    ) -> None:
        self.options = MemoryOptions.of(options)
        self.missed = 0
        super().__init__(storage=storage, vector=vector, embedder=embedder)

    @cached_property
    def sync(self) -> MemorySync:
        """This memory for code without an event loop: `memory.sync.recall(…)`."""
        from mastra_core.memory.sync_memory import MemorySync

        return MemorySync(self)

    async def recall(
        self,
        *,
        thread_id: str,
        resource_id: str | None = None,
        per_page: int | Literal["last_messages"] | None = "last_messages",
        page: int = 0,
        order_by: OrderBy | None = None,
        filter: MessageFilter | None = None,
        include: Sequence[Include] = (),
        include_total: bool = False,
        vector_search_string: str | None = None,
    ) -> Page[Message]:
        """The newest messages of a thread, oldest of them first.

        Args:
            thread_id: whose messages.
            resource_id: the owner; given, the thread must exist and belong to it.
            per_page: how many; None is everything; if not given, as many as a run reads.
            page: from 0; page 1 holds those before the newest, and so on.
            order_by: given, pages count from that end and are in that order.
            filter: as `list_messages` of the memory domain.
            include: likewise.
            include_total: whether to count; else `total` is None.
            vector_search_string: given, messages that mean something like it come along, with their neighbours, as the option
                `semantic_recall` says.

        Raises:
            ThreadNotFoundError: *resource_id* is given and there is no such thread, unless all threads of the resource are searched.
            OwnershipError: the thread belongs to another resource.
            InvalidInputError: a page, an order or a filter that cannot be.
            ConfigurationError: *vector_search_string* is given without a vector store and an embedder, or, in the scope "resource",
                without *resource_id*.
        """
        domain = self.require_domain()
        if resource_id is not None:
            thread = await domain.get_thread_by_id(thread_id)
            # What is searched for is in all threads of the resource then, whether this one has begun or not.
            if thread is not None or vector_search_string is None or self._recall_scope() == "thread":
                _check_owner(thread, thread_id=thread_id, resource_id=resource_id)
        found = await domain.list_messages(
            thread_id,
            per_page=self.options.last_messages if per_page == "last_messages" else per_page,
            page=page,
            order_by=order_by or NEWEST_FIRST,
            filter=filter,
            include=(*include, *await self._like(vector_search_string, thread_id=thread_id, resource_id=resource_id)),
            include_total=include_total,
        )
        return found if order_by else _turned(found)

    async def create_thread(
        self, *, resource_id: str, thread_id: str | None = None, title: str = "", metadata: Mapping[str, Json] | None = None
    ) -> Thread:
        """A new thread of *resource_id*, saved; one that is stored with this id and owner is replaced, its messages stay.

        Raises:
            OwnershipError: it is stored with another owner.
        """
        now = clock.now()
        thread = Thread(
            id=clock.new_id() if thread_id is None else thread_id,
            resource_id=resource_id,
            title=title,
            metadata=metadata,
            created_at=now,
            updated_at=now,
        )
        return await self.require_domain().save_thread(thread)

    async def get_thread_by_id(self, thread_id: str, *, resource_id: str | None = None) -> Thread | None:
        """The thread, or None when it does not exist or *resource_id* is given and is not its owner."""
        return await self.require_domain().get_thread_by_id(thread_id, resource_id=resource_id)

    async def list_threads(
        self,
        *,
        filter: ThreadFilter | None = None,
        order_by: OrderBy | None = None,
        page: int = 0,
        per_page: int | None = 100,
        include_total: bool = True,
    ) -> Page[Thread]:
        """Threads, newest first; of one resource, with these metadata values, if *filter* says so."""
        return await self.require_domain().list_threads(
            filter=filter, order_by=order_by, page=page, per_page=per_page, include_total=include_total
        )

    async def delete_thread(self, thread_id: str) -> None:
        """Remove the thread, all its messages and their vectors; no error when it is gone already."""
        await self.require_domain().delete_thread(thread_id)
        await self._forget({"thread_id": thread_id})

    async def save_messages(self, messages: Sequence[Message], *, chunked: bool = False) -> tuple[Message, ...]:
        """Save messages of existing threads, all or nothing, and their vectors; see `save_messages` of the memory domain."""
        saved = await self.require_domain().save_messages(messages, chunked=chunked)
        await self._remember(saved)
        return saved

    async def update_messages(self, messages: Sequence[MessageUpdate]) -> tuple[Message, ...]:
        """Change stored messages, and the vectors of those whose content changes; see `update_messages` of the memory domain."""
        updated = await self.require_domain().update_messages(messages)
        changed = {given.get("id") for given in messages if {"content", "thread_id", "resource_id", "role"} & set(given)}
        await self._remember([message for message in updated if message.id in changed])
        return updated

    async def delete_messages(self, message_ids: Sequence[str]) -> None:
        """Remove messages and their vectors; ids that do not exist are passed over."""
        await self.require_domain().delete_messages(message_ids)
        if message_ids:
            await self._forget({"message_id": {"$in": list(message_ids)}})

    async def clone_thread(
        self,
        source_thread_id: str,
        *,
        new_thread_id: str | None = None,
        resource_id: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Json] | None = None,
        options: CloneOptions | None = None,
    ) -> Clone:
        """Copy a thread with its messages and their vectors; see `clone_thread` of the memory domain."""
        domain = self.require_domain()
        clone = await domain.clone_thread(
            source_thread_id, new_thread_id=new_thread_id, resource_id=resource_id, title=title, metadata=metadata, options=options
        )
        if self.options.semantic_recall is not None:
            async for part in _parts(domain.iter_messages(clone.thread.id)):
                await self._remember(part)
        return clone

    async def get_working_memory(self, *, thread_id: str | None = None, resource_id: str | None = None) -> str | None:
        """The working memory of the resource or, if that is the scope of the option `working_memory`, of the thread; None if there is none.

        Raises:
            ConfigurationError: the id that the scope asks for is not given.
        """
        domain, feature = self.require_domain(), self.options.working_memory or WorkingMemory()
        key = scope_id(feature, thread_id=thread_id, resource_id=resource_id)
        if feature.scope == "thread":
            thread = await domain.get_thread_by_id(key)
            return held(Turn(thread=thread, messages=(), resource=None), feature)
        return held(Turn(thread=None, messages=(), resource=await domain.get_resource_by_id(key)), feature)

    async def update_working_memory(self, given: Json, *, thread_id: str | None = None, resource_id: str | None = None) -> str:
        """Replace the working memory by a text or, if the option `working_memory` has a schema, lay an object over it; the new text.

        Concurrent updates of different keys all survive.

        Raises:
            ConfigurationError: the id that the scope asks for is not given.
            InvalidInputError: it is no text, or no object; or nothing would be left but the bare template.
            ThreadNotFoundError: the scope is "thread", and there is none.
        """
        domain, feature = self.require_domain(), self.options.working_memory or WorkingMemory()
        key = scope_id(feature, thread_id=thread_id, resource_id=resource_id)
        change = updating(feature, given)
        if feature.scope == "thread":
            return await domain.update_working_memory(change, thread_id=key)
        return await domain.update_working_memory(change, resource_id=key)

    async def reindex(self, *, on_progress: Progress | None = None) -> int:
        """Embed every stored message that has no vector, such as those of a time when the vector store was down; how many there were.

        It can be stopped at any time and begun again. *on_progress* is called with the messages looked at so far, and embedded.

        Raises:
            ConfigurationError: there is no vector store, or no embedder.
            ModelError, StorageError: one of them failed; what was written stays.
        """
        recall, feature = self.require_recall(), self.options.semantic_recall
        seen = embedded = 0
        async for part in _parts(self.require_domain().iter_all_messages()):
            missing = await recall.missing(part, feature=feature)
            embedded += await recall.remember(missing, feature=feature)
            seen += len(part)
            if on_progress is not None:
                on_progress(seen, embedded)
        return embedded

    def _recall_scope(self) -> str:
        feature = self.options.semantic_recall
        return "resource" if feature is None else feature.scope or "resource"

    async def _like(self, text: str | None, *, thread_id: str, resource_id: str | None) -> list[Include]:
        if text is None:
            return []
        recall, feature = self.require_recall(), self.options.semantic_recall or SemanticRecall()
        if self._recall_scope() != "thread" and resource_id is None:
            msg = (
                "Memory error: Resource-scoped semantic recall is enabled but no resourceId was provided. "
                "Either provide a resource_id or explicitly set semantic_recall.scope to 'thread'."
            )
            raise ConfigurationError(msg)
        return windows(await recall.search(text, feature=feature, thread_id=thread_id, resource_id=resource_id), feature)

    async def _remember(self, messages: Sequence[Message]) -> None:
        feature = self.options.semantic_recall
        if feature is not None:
            await self.require_recall().remember(messages, feature=feature)

    async def _forget(self, condition: Mapping[str, Any]) -> None:
        if self.vector is not None and self.embedder is not None:
            await self.require_recall().forget(condition)


async def _parts(messages: AsyncIterator[Message]) -> AsyncIterator[list[Message]]:
    """*messages*, so many at a time as are embedded at once."""
    part: list[Message] = []
    async for message in messages:
        part.append(message)
        if len(part) == EMBEDDED:
            yield part
            part = []
    if part:
        yield part


def _check_owner(thread: Thread | None, *, thread_id: str, resource_id: str) -> None:
    if thread is None:
        msg = f"No thread found with id {thread_id}"
        raise ThreadNotFoundError(msg, operation="recall")
    if thread.resource_id not in {"", resource_id}:
        msg = f"Thread with id {thread_id} is for resource with id {thread.resource_id} but resource {resource_id} was queried"
        raise OwnershipError(msg, operation="recall")


def _turned(page: Page[Message]) -> Page[Message]:
    return Page(items=page.items[::-1], total=page.total, page=page.page, per_page=page.per_page, has_more=page.has_more)
