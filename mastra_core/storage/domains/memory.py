"""The memory domain: threads and their messages, written once for every backend (contract §2.1, semantics §2).

Knows records and the port. Must not know any engine, agent or model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError, OwnershipError, ThreadNotFoundError
from mastra_core.storage.domains.filters import Include, ThreadFilter, id_list, message_where, thread_ids, thread_where, window
from mastra_core.storage.domains.old_messages import readable
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.domains.paging import Cut, OrderBy, Page, check_order
from mastra_core.storage.records.changes import Change, Delete, Patch, Refused, Save
from mastra_core.storage.records.checks import check_id, check_time, cut
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS, Message, Resource, Thread
from mastra_core.storage.records.query import Count, Cursor, Get, Is, Query, Read
from mastra_core.storage.records.records import Records

REMEMBERED_THREADS = 10_000
"""Of how many threads a process remembers the newest message it has read or written, to date the next one after it."""

BATCH = 1000
"""Records deleted or written at once by work of any length, on a store without a limit of its own."""


@attrs.frozen(kw_only=True)
class Turn:
    """What an agent run reads before it calls the model, in one batch.

    Attributes:
        thread: None when it does not exist yet.
        messages: the newest of the thread, oldest first.
        resource: what is remembered of the owner; None when absent or not asked for.
    """

    thread: Thread | None
    messages: tuple[Message, ...]
    resource: Resource | None


class MemoryDomain:
    """Threads, messages and resources of one store."""

    def __init__(self, records: Records, *, product: str) -> None:
        self.records = records
        self.product = product
        self._newest: OrderedDict[str, datetime] = OrderedDict()

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
        saved = _dated(thread)
        answers = await self._apply_owned(
            saved, lambda owner: [Save(THREADS, saved, when=(Is(("resource_id",), owner),))], mend="; use update_thread_resource_id to move it"
        )
        stored: Thread = answers[0]
        return stored

    @operation
    async def list_threads(
        self,
        *,
        filter: ThreadFilter | None = None,  # noqa: A002  # the name TypeScript users know
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
        reads: list[Read[Any]] = [
            Query(THREADS, path, at=at, where=where, descending=descending, offset=part.offset, limit=part.probe)
        ]
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
    async def read_turn(self, thread_id: str, *, resource_id: str, last: int, with_resource: bool = False) -> Turn:
        """The thread, its newest *last* messages and, if wanted, the resource, in one batch whatever the length of the thread.

        Raises:
            OwnershipError: the thread belongs to another resource.
        """
        check_id(resource_id, at="resource_id")
        reads: list[Read[Any]] = [Get(THREADS, (thread_id,))]
        if last:
            reads.append(Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, descending=True, limit=last))
        if with_resource:
            reads.append(Get(RESOURCES, (resource_id,)))
        answers = iter(await self.records.fetch(*reads))
        thread: Thread | None = next(answers)
        newest: list[Message] = next(answers) if last else []
        resource: Resource | None = next(answers) if with_resource else None
        if thread is not None and thread.resource_id not in {"", resource_id}:
            raise _owned_by_another(thread, resource_id)
        return Turn(thread=thread, messages=self._seen(reversed(newest)), resource=resource)

    @operation
    async def save_turn(self, *, thread: Thread, messages: Sequence[Message], existed: bool = False) -> tuple[Message, ...]:
        """Create the thread if it is missing and save the messages, all in one step; the messages as stored, in the order given.

        Args:
            thread: its title and metadata count only when it is created.
            messages: of this thread; without a resource id they get the thread's.
            existed: the caller has read the thread, so it must still be there.

        Raises:
            ThreadNotFoundError: *existed*, and the thread was deleted since.
            OwnershipError: the thread belongs to another resource.
        """
        check_id(thread.resource_id, at="resource_id")
        for message in messages:
            if message.thread_id != thread.id:
                msg = f"message {message.id!r} is of thread {message.thread_id!r}, but the turn is of {thread.id!r}; save it with save_messages"
                raise InvalidInputError(msg)
        now = clock.now()
        created = _dated(attrs.evolve(thread, updated_at=max(check_time(thread.updated_at, at="updated_at"), now)))
        stamped = self._stamped([m if m.resource_id else attrs.evolve(m, resource_id=thread.resource_id) for m in messages])

        def touch(owner: str) -> list[Change]:
            mine = (Is(("resource_id",), owner),)
            absent: Literal["create", "refuse"] = "refuse" if existed else "create"
            return [Save(THREADS, created, only=(), raise_to={"updated_at": now}, when=mine, absent=absent, answer=False)]

        answers = await self._apply_owned(created, lambda owner: [*touch(owner), *_saves(stamped)], moving=stamped)
        return self._seen(answers[1 : 1 + len(stamped)])

    @operation
    async def save_messages(self, messages: Sequence[Message], *, chunked: bool = False) -> tuple[Message, ...]:
        """Save messages of existing threads, all or nothing; a message of a stored id replaces it and keeps its created_at.

        A message stored under another thread moves. Returns the messages as stored, in the order given.

        Args:
            messages: each with a resource id; those without created_at are dated after what the thread holds.
            chunked: for more messages than the store writes at once: oldest first, in steps, and repeatable.

        Raises:
            ThreadNotFoundError: a thread does not exist; nothing was written (with *chunked*: nothing of that step).
            InvalidInputError: a message cannot be stored, or there are more than the store writes at once.
        """
        for message in messages:
            if message.resource_id is None:
                msg = f"message {message.id!r} has no resource_id; say whose it is, or save it with save_turn, which takes the thread's"
                raise InvalidInputError(msg)
        stamped = self._stamped(messages)
        await self.records.open()
        room = self.records.engine.max_atomic
        threads = len({message.thread_id for message in stamped})
        if not chunked:
            if room is not None and len(stamped) + threads > room:
                msg = (
                    f"{len(stamped)} messages of {threads} threads at once; this store writes at most {room - threads} of them in one step. "
                    "Pass chunked=True to write them in steps, oldest first."
                )
                raise InvalidInputError(msg)
            return self._seen(await self._save_step(stamped))
        return await self._save_chunked(stamped, step=max(1, (room or BATCH) // 2))

    @operation
    async def list_messages(
        self,
        thread_id: str | Sequence[str],
        *,
        resource_id: str | None = None,
        include: Sequence[Include] = (),
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the name TypeScript users know
        page: int = 0,
        per_page: int | None = 40,
        order_by: OrderBy | None = None,
        include_total: bool = False,
    ) -> Page[Message]:
        """Messages of one thread or several, oldest first, and those of *include* with their neighbours.

        Args:
            thread_id: one id, or several.
            resource_id: only messages attributed to it, in the page and in the windows.
            include: messages wanted besides the page; neighbours are those of the message's own thread.
            filter: `metadata` (values of the message's own metadata) and `date_range` (start, end, start_exclusive, end_exclusive).
            page: from 0.
            per_page: None is everything; 0 gives the messages of *include* alone.
            order_by: `{"field": "created_at", "direction": "DESC"}`.
            include_total: whether to count; else `total` is None.
        """
        ids = thread_ids(thread_id)
        part = Cut.checked(page=page, per_page=per_page)
        _, descending = check_order(order_by, fields=("created_at",), default="ASC")
        span, where, scope = message_where(filter, resource_id=resource_id)
        windows: list[Read[Any]] = [window(wanted, scope) for wanted in include]
        several = len(ids) > 1
        limit = None if part.probe is None else (part.offset + part.probe if several else part.probe)
        queries: list[Read[Any]] = [
            Query(
                MESSAGES, "by_thread", at={"thread_id": i}, span=span, where=where, descending=descending,
                offset=0 if several else part.offset, limit=limit,
            )
            for i in (() if per_page == 0 else ids)
        ]  # fmt: skip
        counts: list[Read[Any]] = [Count(MESSAGES, "by_thread", at={"thread_id": i}, span=span, where=where) for i in ids]
        counts = counts if include_total and per_page != 0 else []
        answers = await self.records.fetch(*queries, *windows, *counts)
        base = [message for found in answers[: len(queries)] for message in found]
        if several:
            base = sorted(base, key=_place, reverse=descending)[part.offset :]
        total = sum(answers[len(queries) + len(windows) :]) if include_total or per_page == 0 else None
        paged = part.page_of(base, total=total)
        around = {m.id: m for found in answers[len(queries) : len(queries) + len(windows)] for m in found}
        items = sorted((around | {m.id: m for m in paged}).values(), key=_place, reverse=descending) if around else paged.items
        return attrs.evolve(paged, items=self._seen(items), has_more=paged.has_more and per_page != 0)

    async def iter_messages(
        self, thread_id: str, *, resource_id: str | None = None, order_by: OrderBy | None = None, batch_size: int = 500
    ) -> AsyncIterator[Message]:
        """Every message of a thread of any length, oldest first, in bounded memory: read by key, *batch_size* at a time."""
        _, descending = check_order(order_by, fields=("created_at",), default="ASC")
        where = () if resource_id is None else (Is(("resource_id",), check_id(resource_id, at="resource_id")),)
        query = Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, where=where, descending=descending, limit=batch_size)
        while True:
            (found,) = await self.records.fetch(query)
            for message in self._seen(found):
                yield message
            if len(found) < batch_size:
                return
            query = attrs.evolve(query, after=Cursor(*_cursor_place(found[-1])))

    @operation
    async def delete_messages(self, message_ids: Sequence[str]) -> None:
        """Remove messages and mark their threads as changed; ids that do not exist are passed over."""
        ids = list(dict.fromkeys(id_list(message_ids, at="message_ids")))
        await self.records.open()
        step = max(1, (self.records.engine.max_atomic or BATCH) // 2)
        for start in range(0, len(ids), step):
            now = clock.now()

            def batch(found: list[Message | None], now: datetime = now) -> list[Change]:
                there = [message for message in found if message is not None]
                return [*(Delete(MESSAGES, (m.id,), answer=False) for m in there), *_touches({m.thread_id for m in there}, now)]

            await self.records.decide([Get(MESSAGES, (i,)) for i in ids[start : start + step]], batch)

    async def _save_step(self, stamped: Sequence[Message]) -> list[Message]:
        """Save *stamped* in one atomic step; messages that lie in another thread move, and that thread is touched too."""
        if not stamped:
            return []
        now = clock.now()
        touched = [
            Patch(THREADS, (i,), raise_to={"updated_at": now}, answer=False) for i in dict.fromkeys(message.thread_id for message in stamped)
        ]
        try:
            answers = await self._apply_moving([*touched, *_saves(stamped)], stamped, now)
        except Refused as refused:
            msg = f"Thread {refused.change.key[0]} not found; create it with save_thread, or save with save_turn, which creates it"
            raise ThreadNotFoundError(msg) from refused
        return answers[len(touched) : len(touched) + len(stamped)]

    async def _save_chunked(self, stamped: Sequence[Message], *, step: int) -> tuple[Message, ...]:
        order = sorted(stamped, key=_place)
        stored: dict[str, Message] = {}
        last = ""
        for start in range(0, len(order), step):
            chunk = order[start : start + step]
            try:
                stored |= {message.id: message for message in await self._save_step(chunk)}
            except Exception as error:
                error.add_note(f"stored up to message {last!r}" if last else "no message was stored")
                raise
            last = chunk[-1].id
        return self._seen(stored[message.id] for message in stamped)

    async def _apply_moving(self, changes: Sequence[Change], stamped: Sequence[Message], now: datetime) -> list[Any]:
        """Apply; if a message is stored under another thread, apply once more knowing which threads it comes from."""
        try:
            return await self.records.apply(*changes)
        except Refused as refused:
            if refused.change.kind is not MESSAGES:
                raise
        mine = {message.thread_id for message in stamped}
        free = [attrs.evolve(change, when=()) if change.kind is MESSAGES else change for change in changes]

        def batch(found: list[Message | None]) -> list[Change]:
            return [*free, *_touches({m.thread_id for m in found if m is not None} - mine, now)]

        return await self.records.decide([Get(MESSAGES, (message.id,)) for message in stamped], batch)

    async def _apply_owned(self, thread: Thread, changes: Any, *, moving: Sequence[Message] = (), mend: str = "") -> list[Any]:
        """Apply *changes(owner)*, whose first is of the thread; a stored thread without an owner counts as this resource's."""
        owner = thread.resource_id
        while True:
            try:
                return await self._apply_moving(changes(owner), moving, clock.now())
            except Refused as refused:
                if refused.found is None:
                    msg = f"Thread {thread.id} not found; it was deleted since it was read, so nothing was saved"
                    raise ThreadNotFoundError(msg) from refused
                if refused.found.resource_id == "" != owner:
                    owner = ""
                    continue
                raise _owned_by_another(refused.found, thread.resource_id, mend=mend) from refused

    def _stamped(self, messages: Sequence[Message]) -> list[Message]:
        """*messages*, those without created_at dated after all that this process has read or written of the thread, 1 ms apart."""
        stamped = []
        for message in messages:
            if message.created_at is None:
                newest = self._newest.get(message.thread_id)
                now = clock.now()
                at = now if newest is None else max(now, newest + clock.MILLISECOND)
            else:
                at = cut(check_time(message.created_at, at=f"message {message.id!r}: created_at"))
            self._remember(message.thread_id, at)
            stamped.append(attrs.evolve(message, created_at=at))
        return stamped

    def _seen(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """*messages* as users see them; their times are remembered."""
        shown = tuple(readable(message) for message in messages)
        newest: dict[str, datetime] = {}
        for message in shown:
            at = message.created_at
            if at is not None and at >= newest.get(message.thread_id, at):
                newest[message.thread_id] = at
        for thread_id, at in newest.items():
            self._remember(thread_id, at)
        return shown

    def _remember(self, thread_id: str, at: datetime) -> None:
        newest = self._newest.pop(thread_id, at)
        self._newest[thread_id] = max(newest, at)
        if len(self._newest) > REMEMBERED_THREADS:
            self._newest.popitem(last=False)


def _saves(stamped: Sequence[Message]) -> list[Change]:
    return [Save(MESSAGES, message, when=(Is(("thread_id",), message.thread_id),)) for message in stamped]


def _touches(thread_ids: set[str], now: datetime) -> list[Change]:
    return [Patch(THREADS, (i,), raise_to={"updated_at": now}, missing="skip", answer=False) for i in sorted(thread_ids)]


def _dated(thread: Thread) -> Thread:
    created, updated = check_time(thread.created_at, at="created_at"), check_time(thread.updated_at, at="updated_at")
    return attrs.evolve(thread, created_at=cut(created), updated_at=cut(updated))


def _place(message: Message) -> tuple[datetime, str]:
    assert message.created_at is not None
    return message.created_at, message.id


def _cursor_place(message: Message) -> tuple[datetime, tuple[str]]:
    at, message_id = _place(message)
    return at, (message_id,)


def _owned_by_another(thread: Thread, resource_id: str, *, mend: str = "") -> OwnershipError:
    return OwnershipError(f"Thread with id {thread.id} is for resource with id {thread.resource_id} but resource {resource_id} was queried{mend}")
