"""The methods of the memory domain that are about threads (contract §2.1.2 to §2.1.5, §2.1.9).

Knows records and the port. Must not know any engine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import attrs

from mastra_core import clock
from mastra_core.errors import ConflictError, StorageError, ThreadNotFoundError
from mastra_core.storage.domains.clearing import BATCH
from mastra_core.storage.domains.dating import Dating
from mastra_core.storage.domains.filters import ThreadFilter, date_span, id_list, thread_where
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.domains.owners import apply_owned, dated
from mastra_core.storage.domains.paging import Cut, OrderBy, Page, check_options, check_order, whole
from mastra_core.storage.records.changes import Delete, Patch, Refused, Save
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.query import Count, Cursor, Get, Is, Query, Read
from mastra_core.storage.records.records import Records


class CloneFilter(TypedDict, total=False):
    """Which messages a clone takes over; all keys together mean all."""

    start_date: datetime
    end_date: datetime
    message_ids: Sequence[str]


class CloneOptions(TypedDict, total=False):
    """How much of a thread is cloned: the newest *message_limit* of those that *message_filter* names."""

    message_limit: int
    message_filter: CloneFilter


@attrs.frozen(kw_only=True)
class Clone:
    """A cloned thread, and how many messages were copied."""

    thread: Thread
    count: int


class ThreadMethods:
    """Threads of one store."""

    domain = "memory"

    def __init__(self, records: Records, *, product: str) -> None:
        self.records = records
        self.product = product
        self.dating = Dating()

    @operation
    async def get_thread_by_id(self, thread_id: str, *, resource_id: str | None = None) -> Thread | None:
        """The thread, or None when it does not exist or *resource_id* is given and is not its owner."""
        (thread,) = await self.records.fetch(Get(THREADS, (thread_id,)))
        return thread if thread is None or resource_id is None or thread.resource_id == resource_id else None

    @operation
    async def save_thread(self, thread: Thread) -> Thread:
        """Create the thread or replace it whole, and return it as stored.

        Raises:
            OwnershipError: it is stored with another owner.
        """
        check_id(thread.resource_id, at="resource_id")
        saved = dated(thread)
        mend = "; use update_thread_resource_id to move it"
        answers = await apply_owned(
            self.records, saved, lambda owner: [Save(THREADS, saved, when=(Is(("resource_id",), owner),))], mend=mend
        )
        stored: Thread = answers[0]
        return stored

    @operation
    async def update_thread(
        self,
        id: str,  # the name TypeScript users know
        *,
        title: str | None = None,
        metadata: Mapping[str, Json] | None = None,
    ) -> Thread:
        """Give the thread another title, lay *metadata* over its own, one level deep, and return it; concurrent updates all survive.

        Raises:
            ThreadNotFoundError: there is no such thread.
        """
        put = {} if title is None else {"title": title}
        merge = {} if metadata is None else {"metadata": metadata}
        try:
            answers = await self.records.apply(Patch(THREADS, (id,), put=put, merge=merge, raise_to={"updated_at": clock.now()}))
        except Refused as refused:
            msg = f"Thread {id} not found"
            raise ThreadNotFoundError(msg) from refused
        thread: Thread = answers[0]
        return thread

    @operation
    async def give_title(self, thread_id: str, *, title: str) -> bool:
        """Give the thread a title if it has none, and say whether it was this one; nothing else of it changes, not even `updated_at`."""
        untitled = (Is(("title",), ""),)
        try:
            await self.records.apply(Patch(THREADS, (thread_id,), put={"title": title}, when=untitled, answer=False))
        except Refused:
            return False
        return True

    @operation
    async def update_thread_resource_id(self, thread_id: str, *, resource_id: str) -> Thread:
        """Give the thread and all its messages to another resource, and return the thread; repeatable after a crash.

        The thread goes first, so that runs of the old owner can no longer save.

        Raises:
            ThreadNotFoundError: there is no such thread.
        """
        owner = {"resource_id": check_id(resource_id, at="resource_id")}
        try:
            answers = await self.records.apply(Patch(THREADS, (thread_id,), put=owner, raise_to={"updated_at": clock.now()}))
        except Refused as refused:
            msg = f'Thread "{thread_id}" not found'
            raise ThreadNotFoundError(msg) from refused
        query = Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, limit=BATCH)
        while query is not None:
            (found,) = await self.records.fetch(query)
            moved = [Patch(MESSAGES, (m.id,), put=owner, missing="skip", answer=False) for m in found if m.resource_id != resource_id]
            await self.records.apply(*moved, atomic=False)
            if len(found) < BATCH:
                break
            query = attrs.evolve(query, after=_place(found[-1]))
        thread: Thread = answers[0]
        return thread

    @operation
    async def list_threads(
        self,
        *,
        filter: ThreadFilter | None = None,  # the name TypeScript users know
        order_by: OrderBy | None = None,
        page: int = 0,
        per_page: int | None = 100,
        include_total: bool = True,
    ) -> Page[Thread]:
        """Threads, newest first; of one resource, with these metadata values, if *filter* says so."""
        part = Cut.checked(page=page, per_page=per_page)
        field, descending = check_order(order_by, fields=("created_at", "updated_at"), default="DESC")
        at, where = thread_where(filter)
        path = ("by_resource" if at else "all") + ("_updated" if field == "updated_at" else "")
        reads: list[Read[Any]] = [Query(THREADS, path, at=at, where=where, descending=descending, offset=part.offset, limit=part.probe)]
        if include_total:
            reads.append(Count(THREADS, path, at=at, where=where))
        found, *counted = await self.records.fetch(*reads)
        return part.page_of(found, total=counted[0] if counted else None)

    @operation
    async def delete_thread(self, thread_id: str) -> None:
        """Remove the thread and all its messages; no error when it is gone already.

        The thread goes first, so that runs that had read it can no longer save. Save no new thread under this id before this returns.
        """
        await self.records.apply(Delete(THREADS, (thread_id,), answer=False))
        while await self.records.purge(Query(MESSAGES, "by_thread", at={"thread_id": thread_id}), limit=BATCH):
            pass

    @operation
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
        """Copy a thread with its messages, page by page, whatever its length; its id is taken first, and given back if this fails.

        The copy has the source's owner and "Clone of …" as title, unless others are given, not its metadata; messages get new ids.

        Raises:
            ThreadNotFoundError: there is no source, or the copy was deleted before it was complete.
            ConflictError: a thread with the new id exists.
        """
        clone_id = new_thread_id or clock.new_id()
        (source,) = await self.records.fetch(Get(THREADS, (source_thread_id,)))
        if source is None:
            msg = f"Source thread with id {source_thread_id} not found"
            raise ThreadNotFoundError(msg)
        query, ids, last = await self._chosen(source.id, options or {})
        now = clock.now()
        origin = {"sourceThreadId": source.id, "clonedAt": clock.to_text(now)} | ({"lastMessageId": last.id} if last else {})
        thread = Thread(
            id=clone_id,
            resource_id=resource_id or source.resource_id,
            title=title or (f"Clone of {source.title}" if source.title else ""),
            metadata={**(metadata or {}), "clone": origin},
            created_at=now,
            updated_at=now,
        )
        try:
            await self.records.apply(Save(THREADS, thread, present="refuse"))
        except Refused as refused:
            raise _exists(clone_id) from refused
        try:
            count = 0 if last is None else await self._copy_messages(query, thread, ids=ids, last=last)
        except BaseException:
            # A cancellation too leaves nothing half copied, unless the database itself has gone.
            with contextlib.suppress(StorageError):
                await self.delete_thread(clone_id)
            raise
        return Clone(thread=thread, count=count)

    async def _chosen(self, source_id: str, options: CloneOptions) -> tuple[Query[Message], set[str] | None, Message | None]:
        """What *options* ask for: the first page, the ids that count (None: all), and the newest message of all that do."""
        known = check_options(options, known=("message_limit", "message_filter"), at="options")
        chosen = check_options(
            known.get("message_filter") or {}, known=("start_date", "end_date", "message_ids"), at="options.message_filter"
        )
        ids = None if chosen.get("message_ids") is None else set(id_list(chosen["message_ids"], at="message_ids"))
        span = date_span({name.removesuffix("_date"): at for name, at in chosen.items() if name != "message_ids"})
        left = None if known.get("message_limit") is None else whole(known["message_limit"], at="options.message_limit")
        query = Query(MESSAGES, "by_thread", at={"thread_id": source_id}, span=span, limit=BATCH)
        size = 1 if left is None and ids is None else BATCH
        walk, last = attrs.evolve(query, descending=True, limit=size), None
        while True:
            (found,) = await self.records.fetch(walk)
            for message in found:
                if left == 0:
                    return attrs.evolve(query, after=_place(message)), ids, last
                if ids is None or message.id in ids:
                    last = last or message
                    if left is None:
                        return query, ids, last
                    left -= 1
            if len(found) < size:
                return query, ids, last
            walk = attrs.evolve(walk, after=_place(found[-1]))

    async def _copy_messages(self, query: Query[Message], clone: Thread, *, ids: set[str] | None, last: Message) -> int:
        """Copy the messages of *query* that count, up to *last*; how many."""
        count, end = 0, _place(last)
        while True:
            (found,) = await self.records.fetch(query)
            wanted = [message for message in found if (ids is None or message.id in ids) and not _after(message, end)]
            owner, within = clone.resource_id, clone.id
            copies = [attrs.evolve(m, id=clock.new_id(within=within), thread_id=within, resource_id=owner) for m in wanted]
            await self.records.apply(*(Save(MESSAGES, copy, answer=False) for copy in copies), atomic=False)
            count += len(copies)
            if len(found) < BATCH or _after(found[-1], end):
                break
            query = attrs.evolve(query, after=_place(found[-1]))
        (kept,) = await self.records.fetch(Get(THREADS, (clone.id,)))
        if kept is None:
            msg = f"Thread {clone.id} not found; it was deleted while messages were copied to it, and they are deleted too"
            raise ThreadNotFoundError(msg)
        return count


def _place(message: Message) -> Cursor:
    assert message.created_at is not None
    return Cursor(message.created_at, (message.id,))


def _after(message: Message, end: Cursor) -> bool:
    """Whether *message* comes later than *end* in the total order."""
    place = _place(message)
    return (place.order, place.key) > (end.order, end.key)


def _exists(thread_id: str) -> ConflictError:
    return ConflictError(f"Thread with id {thread_id} already exists; choose another new_thread_id, or leave it out", code="THREAD_EXISTS")
