"""The methods of the memory domain that are about threads (contract §2.1.2 to §2.1.5, §2.1.9).

Knows records and the port. Must not know any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import attrs

from mastra_core import clock
from mastra_core.errors import ConflictError, ThreadNotFoundError
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
        """Copy a thread with its messages, page by page, whatever its length; it can be seen once all are there.

        The copy has the source's owner and "Clone of …" as title, unless others are given, not its metadata; messages get new ids.

        Raises:
            ThreadNotFoundError: there is no source.
            ConflictError: a thread with the new id exists.
        """
        clone_id = new_thread_id or clock.new_id()
        source, taken = await self.records.fetch(Get(THREADS, (source_thread_id,)), Get(THREADS, (clone_id,)))
        if source is None:
            msg = f"Source thread with id {source_thread_id} not found"
            raise ThreadNotFoundError(msg)
        if taken is not None:
            raise _exists(clone_id)
        now = clock.now()
        owner = resource_id or source.resource_id
        count, last = await self._copy_messages(source.id, clone_id, owner=owner, options=options or {})
        origin = {"sourceThreadId": source.id, "clonedAt": clock.to_text(now)} | ({"lastMessageId": last} if last else {})
        thread = Thread(
            id=clone_id,
            resource_id=owner,
            title=title or (f"Clone of {source.title}" if source.title else ""),
            metadata={**(metadata or {}), "clone": origin},
            created_at=now,
            updated_at=now,
        )
        try:
            await self.records.apply(Save(THREADS, thread, present="refuse"))
        except Refused as refused:
            raise _exists(clone_id) from refused
        return Clone(thread=thread, count=count)

    async def _copy_messages(self, source_id: str, clone_id: str, *, owner: str, options: CloneOptions) -> tuple[int, str]:
        """Copy the messages that *options* name; how many, and the id of the last one copied."""
        known = check_options(options, known=("message_limit", "message_filter"), at="options")
        chosen = check_options(
            known.get("message_filter") or {}, known=("start_date", "end_date", "message_ids"), at="options.message_filter"
        )
        ids = None if chosen.get("message_ids") is None else set(id_list(chosen["message_ids"], at="message_ids"))
        span = date_span({name.removesuffix("_date"): at for name, at in chosen.items() if name != "message_ids"})
        query = Query(MESSAGES, "by_thread", at={"thread_id": source_id}, span=span, limit=BATCH)
        if known.get("message_limit") is not None:
            limit = whole(known["message_limit"], at="options.message_limit")
            query = await self._from_newest(query, limit, ids)
        count, last = 0, ""
        while True:
            (found,) = await self.records.fetch(query)
            wanted = [message for message in found if ids is None or message.id in ids]
            copies = [attrs.evolve(m, id=clock.new_id(within=clone_id), thread_id=clone_id, resource_id=owner) for m in wanted]
            await self.records.apply(*(Save(MESSAGES, copy, answer=False) for copy in copies), atomic=False)
            count, last = count + len(copies), wanted[-1].id if wanted else last
            if len(found) < BATCH:
                return count, last
            query = attrs.evolve(query, after=_place(found[-1]))

    async def _from_newest(self, query: Query[Message], limit: int, ids: set[str] | None) -> Query[Message]:
        """*query*, beginning behind the message before the *limit*-th newest of those that count; found by walking back."""
        walk = attrs.evolve(query, descending=True)
        left = limit
        while True:
            (found,) = await self.records.fetch(walk)
            for message in found:
                if left == 0:
                    return attrs.evolve(query, after=_place(message))
                left -= 1 if ids is None or message.id in ids else 0
            if len(found) < BATCH:
                return query
            walk = attrs.evolve(walk, after=_place(found[-1]))


def _place(message: Message) -> Cursor:
    assert message.created_at is not None
    return Cursor(message.created_at, (message.id,))


def _exists(thread_id: str) -> ConflictError:
    return ConflictError(f"Thread with id {thread_id} already exists; choose another new_thread_id, or leave it out", code="THREAD_EXISTS")
