"""Memory: which store an agent's threads are in, how much of a thread a run reads, and recalling a thread without a run.

Knows stores and their memory domain. Must not know agents, models or any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from mastra_core import clock
from mastra_core.errors import ConfigurationError, OwnershipError, ThreadNotFoundError
from mastra_core.memory.options import MemoryOptions
from mastra_core.storage.domains.filters import Include, MessageFilter, ThreadFilter
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.domains.paging import OrderBy, Page
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.storage.store import Store

if TYPE_CHECKING:
    from mastra_core.memory.sync_memory import MemorySync

NEWEST_FIRST: OrderBy = {"field": "created_at", "direction": "DESC"}


class Memory:
    """What agents remember of their threads.

    Args:
        storage: a store, or the URL of one; None takes that of the Mastra that the agent is given to. It always wins over Mastra's.
        options: what a run reads and whether it saves; one call may override each.

    Raises:
        ConfigurationError: *storage* or *options* cannot be that.
    """

    def __init__(self, storage: Store | str | None = None, *, options: MemoryOptions | Mapping[str, object] | None = None) -> None:
        self.options = MemoryOptions.of(options)
        self._own = None if storage is None else as_store(storage, at="Memory")
        self._attached: Store | None = None
        self._held = False

    @property
    def has_own_storage(self) -> bool:
        """Whether it was given a store of its own."""
        return self._own is not None

    @property
    def storage(self) -> Store | None:
        """The store of its own, else the one of its Mastra, else None."""
        return self._own or self._attached

    @cached_property
    def sync(self) -> MemorySync:
        """This memory for code without an event loop: `memory.sync.recall(…)`."""
        from mastra_core.memory.sync_memory import MemorySync

        return MemorySync(self)

    def attach(self, storage: Store) -> None:
        """Use *storage*, of a Mastra, unless there is one of its own; until released, no other Mastra may attach one.

        Raises:
            ConfigurationError: see `check_free`.
        """
        self.check_free(storage)
        self._attached, self._held = storage, True

    def check_free(self, storage: Store) -> None:
        """Refuse a *storage* of a Mastra while that of another one is in use.

        Raises:
            ConfigurationError: it is in use, so what two Mastras save would end up in one of their storages.
        """
        if self._held and self._attached is not None and self._attached is not storage and self._own is None:
            msg = (
                f"this Memory uses the storage {self._attached.id!r} of another Mastra already; give each Mastra agents with a Memory "
                "of their own, close() the other Mastra first, or pass Memory(storage=…)"
            )
            raise ConfigurationError(msg)

    def release(self, storage: Store) -> None:
        """Let another Mastra attach its storage, as *storage* is closed; until then uses are refused as those of a closed store."""
        if self._attached is storage:
            self._held = False

    def require_domain(self) -> MemoryDomain:
        """Threads and messages of the store.

        Raises:
            ConfigurationError: there is no store, neither its own nor a Mastra's.
        """
        if self.storage is None:
            msg = (
                "Memory requires a storage provider to function. Add a storage configuration to Memory or to your Mastra instance: "
                'Memory(storage=LibSQLStore(url="file:./mastra.db")), or Mastra(storage=…, agents={…}) with this agent'
            )
            raise ConfigurationError(msg)
        return self.storage.memory

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

        Raises:
            ThreadNotFoundError: *resource_id* is given and there is no such thread.
            OwnershipError: the thread belongs to another resource.
            InvalidInputError: a page, an order or a filter that cannot be.
        """
        domain = self.require_domain()
        if resource_id is not None:
            _check_owner(await domain.get_thread_by_id(thread_id), thread_id=thread_id, resource_id=resource_id)
        found = await domain.list_messages(
            thread_id,
            per_page=self.options.last_messages if per_page == "last_messages" else per_page,
            page=page,
            order_by=order_by or NEWEST_FIRST,
            filter=filter,
            include=include,
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
        """Remove the thread and all its messages; no error when it is gone already."""
        await self.require_domain().delete_thread(thread_id)

    async def save_messages(self, messages: Sequence[Message], *, chunked: bool = False) -> tuple[Message, ...]:
        """Save messages of existing threads, all or nothing; see `save_messages` of the memory domain."""
        return await self.require_domain().save_messages(messages, chunked=chunked)

    async def close(self) -> None:
        """Close the store of its own, if it has one; a Mastra's is left to that Mastra."""
        if self._own is not None:
            await self._own.close()


def as_store(storage: object, *, at: str) -> Store:
    """*storage* itself, or opened if it is a URL.

    Raises:
        ConfigurationError: it is neither, or no installed plugin answers the URL.
    """
    if isinstance(storage, str):
        return open_store(storage)
    if isinstance(storage, Store):
        return storage
    # Only its type is shown: a dictionary of connection options may hold a password.
    msg = (
        f"{at}: storage must be a store or a URL, found a {type(storage).__name__}; "
        'such as LibSQLStore(url="file:./mastra.db") or "file:./mastra.db"'
    )
    raise ConfigurationError(msg)


def _check_owner(thread: Thread | None, *, thread_id: str, resource_id: str) -> None:
    if thread is None:
        msg = f"No thread found with id {thread_id}"
        raise ThreadNotFoundError(msg, operation="recall")
    if thread.resource_id not in {"", resource_id}:
        msg = f"Thread with id {thread_id} is for resource with id {thread.resource_id} but resource {resource_id} was queried"
        raise OwnershipError(msg, operation="recall")


def _turned(page: Page[Message]) -> Page[Message]:
    return Page(items=page.items[::-1], total=page.total, page=page.page, per_page=page.per_page, has_more=page.has_more)
