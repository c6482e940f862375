"""The methods of the memory domain that are about messages (contract §2.1.6 to §2.1.8).

Knows records and the port. Must not know any engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError, StorageError, ThreadNotFoundError
from mastra_core.storage.domains.clearing import BATCH
from mastra_core.storage.domains.filters import Include, MessageFilter, id_list, message_where, thread_ids, window
from mastra_core.storage.domains.old_messages import readable
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.domains.owners import apply_moving, saves, step_of, touches
from mastra_core.storage.domains.paging import Cut, OrderBy, Page, check_options, check_order
from mastra_core.storage.domains.threads import ThreadMethods
from mastra_core.storage.records.changes import Change, Delete, Patch, Refused, Save
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message
from mastra_core.storage.records.query import Count, Cursor, Get, Is, Query, Read


class MessageUpdate(TypedDict, total=False):
    """What changes of one message: content is laid over the stored one, and its metadata over that one's, one level deep each."""

    id: str
    content: Mapping[str, Json]
    role: str
    type: str
    thread_id: str
    resource_id: str


class MessageMethods(ThreadMethods):
    """Messages of one store."""

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
        dated = self.dating.dated(messages)
        await self.records.open()
        if chunked:
            return await self._save_chunked(dated)
        room, threads = self.records.engine.max_atomic, len({message.thread_id for message in dated})
        if room is not None and len(dated) + threads > room:
            msg = (
                f"{len(dated)} messages of {threads} threads at once; this store writes at most {room - threads} of them in one step. "
                "Pass chunked=True to write them in steps, oldest first."
            )
            raise InvalidInputError(msg)
        return self.dating.seen(await self._save_step(dated))

    @operation
    async def list_messages(
        self,
        thread_id: str | Sequence[str],
        *,
        resource_id: str | None = None,
        include: Sequence[Include] = (),
        filter: MessageFilter | None = None,  # the name TypeScript users know
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
        queries = [Query(MESSAGES, "by_thread", at={"thread_id": i}) for i in thread_ids(thread_id)]
        part = Cut.checked(page=page, per_page=per_page)
        return await self._listed(
            queries, part=part, resource_id=resource_id, include=include, given=filter, order_by=order_by, include_total=include_total
        )

    @operation
    async def list_messages_by_resource_id(
        self,
        resource_id: str,
        *,
        include: Sequence[Include] = (),
        filter: MessageFilter | None = None,  # the name TypeScript users know
        page: int = 0,
        per_page: int | None = 40,
        order_by: OrderBy | None = None,
        include_total: bool = False,
    ) -> Page[Message]:
        """Messages attributed to a resource, of all threads, oldest first; the rest is as in list_messages."""
        queries = [Query(MESSAGES, "by_resource", at={"resource_id": check_id(resource_id, at="resource_id")})]
        part = Cut.checked(page=page, per_page=per_page)
        return await self._listed(
            queries,
            part=part,
            resource_id=None,
            include=include,
            given=filter,
            order_by=order_by,
            include_total=include_total,
            windows_of=resource_id,
        )

    @operation
    async def list_messages_by_id(self, message_ids: Sequence[str]) -> Page[Message]:
        """The messages of these ids, oldest first; ids that do not exist are passed over."""
        ids = list(dict.fromkeys(id_list(message_ids, at="message_ids")))
        found: list[Message] = []
        for start in range(0, len(ids), BATCH):
            answers = await self.records.fetch(*(Get(MESSAGES, (i,)) for i in ids[start : start + BATCH]))
            found += [message for message in answers if message is not None]
        return Page(items=self.dating.seen(sorted(found, key=_place)), total=None, page=0, per_page=None, has_more=False)

    async def iter_messages(
        self, thread_id: str, *, resource_id: str | None = None, order_by: OrderBy | None = None, batch_size: int = 500
    ) -> AsyncIterator[Message]:
        """Every message of a thread of any length, oldest first, in bounded memory: read by key, *batch_size* at a time."""
        _, descending = check_order(order_by, fields=("created_at",), default="ASC")
        where = () if resource_id is None else (Is(("resource_id",), check_id(resource_id, at="resource_id")),)
        query = Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, where=where, descending=descending, limit=batch_size)
        while True:
            (found,) = await self.records.fetch(query)
            for message in self.dating.seen(found):
                yield message
            if len(found) < batch_size:
                return
            at, message_id = _place(found[-1])
            query = attrs.evolve(query, after=Cursor(at, (message_id,)))

    async def iter_all_messages(self) -> AsyncIterator[Message]:
        """Every message of every thread, in the order that is cheapest for the store, in bounded memory."""
        async for _, message in self.records.scan(MESSAGES):
            yield readable(message)

    @operation
    async def update_messages(self, messages: Sequence[MessageUpdate]) -> tuple[Message, ...]:
        """Change stored messages, and return those that exist, oldest first; concurrent updates of different keys all survive.

        Both threads of a message that moves are marked as changed. Ids that do not exist are passed over.

        Raises:
            ThreadNotFoundError: a message was to move to a thread that does not exist; nothing of its step was written.
            InvalidInputError: an unknown key.
        """
        wanted: dict[str, Mapping[str, Any]] = {}
        for given in messages:
            known = check_options(given, known=tuple(MessageUpdate.__annotations__), at="update_messages")
            wanted[check_id(known.get("id"), at="id")] = known
        await self.records.open()
        ids, step, saved = list(wanted), step_of(self.records), list[Message]()
        for start in range(0, len(ids), step):
            now = clock.now()

            def batch(found: list[Message | None], now: datetime = now) -> list[Change]:
                there = [message for message in found if message is not None]
                return _updates(there, [_updated(message, wanted[message.id]) for message in there], now)

            try:
                answers = await self.records.decide([Get(MESSAGES, (i,)) for i in ids[start : start + step]], batch)
            except Refused as refused:
                msg = f"Thread {refused.change.key[0]} not found; a message can move to an existing thread only"
                raise ThreadNotFoundError(msg) from refused
            saved += [answer for answer in answers if isinstance(answer, Message)]
        return self.dating.seen(sorted(saved, key=_place))

    @operation
    async def delete_messages(self, message_ids: Sequence[str]) -> None:
        """Remove messages and mark their threads as changed; ids that do not exist are passed over."""
        ids = list(dict.fromkeys(id_list(message_ids, at="message_ids")))
        await self.records.open()
        step = step_of(self.records)
        for start in range(0, len(ids), step):
            now = clock.now()

            def batch(found: list[Message | None], now: datetime = now) -> list[Change]:
                there = [message for message in found if message is not None]
                return [*(Delete(MESSAGES, (m.id,), answer=False) for m in there), *touches({m.thread_id for m in there}, now)]

            await self.records.decide([Get(MESSAGES, (i,)) for i in ids[start : start + step]], batch)

    async def _listed(
        self,
        places: Sequence[Query[Message]],
        *,
        part: Cut,
        resource_id: str | None,
        include: Sequence[Include],
        given: MessageFilter | None,
        order_by: OrderBy | None,
        include_total: bool,
        windows_of: str | None = None,
    ) -> Page[Message]:
        """One page over *places*, which are merged, and the windows of *include*; one batch."""
        _, descending = check_order(order_by, fields=("created_at",), default="ASC")
        span, where, scope = message_where(given, resource_id=resource_id)
        scope = scope if windows_of is None else (Is(("resource_id",), windows_of),)
        none, several = part.per_page == 0, len(places) > 1
        limit = part.offset + part.probe if several and part.probe is not None else part.probe
        queries: list[Read[Any]] = [
            attrs.evolve(p, span=span, where=where, descending=descending, offset=0 if several else part.offset, limit=limit)
            for p in (() if none else places)
        ]
        windows: list[Read[Any]] = [window(wanted, scope) for wanted in include]
        counted = () if none or not include_total else places
        counts: list[Read[Any]] = [Count(MESSAGES, p.path, at=p.at, span=span, where=where) for p in counted]
        answers = await self.records.fetch(*queries, *windows, *counts)
        base = [message for found in answers[: len(queries)] for message in found]
        if several:
            base = sorted(base, key=_place, reverse=descending)[part.offset :]
        total = sum(answers[len(queries) + len(windows) :]) if include_total or none else None
        paged = part.page_of(base, total=total)
        around = {m.id: m for found in answers[len(queries) : len(queries) + len(windows)] for m in found}
        items = sorted((around | {m.id: m for m in paged}).values(), key=_place, reverse=descending) if around else paged.items
        return attrs.evolve(paged, items=self.dating.seen(items))

    async def _save_step(self, dated: Sequence[Message]) -> list[Message]:
        """Save in one atomic step; messages that lie in another thread move, and that thread is touched too."""
        if not dated:
            return []
        now = clock.now()
        threads = dict.fromkeys(message.thread_id for message in dated)
        touched = [Patch(THREADS, (i,), raise_to={"updated_at": now}, answer=False) for i in threads]
        try:
            answers = await apply_moving(self.records, [*touched, *saves(dated)], dated, now)
        except Refused as refused:
            msg = f"Thread {refused.change.key[0]} not found; create it with save_thread, or save with save_turn, which creates it"
            raise ThreadNotFoundError(msg) from refused
        return answers[len(touched) : len(touched) + len(dated)]

    async def _save_chunked(self, dated: Sequence[Message]) -> tuple[Message, ...]:
        order, step = sorted(dated, key=_place), step_of(self.records)
        stored: dict[str, Message] = {}
        last = ""
        for start in range(0, len(order), step):
            chunk = order[start : start + step]
            try:
                stored |= {message.id: message for message in await self._save_step(chunk)}
            except StorageError as error:
                error.add_note(f"stored up to message {last!r}" if last else "no message was stored")
                raise
            last = chunk[-1].id
        return self.dating.seen(stored[message.id] for message in dated)


def _place(message: Message) -> tuple[datetime, str]:
    assert message.created_at is not None
    return message.created_at, message.id


def _updated(message: Message, given: Mapping[str, Any]) -> Message:
    """*message* with what *given* changes; its id and created_at stay."""
    changed = {name: value for name, value in given.items() if name not in {"id", "content"}}
    laid = given.get("content")
    if not isinstance(laid, Mapping):
        return attrs.evolve(message, **changed)
    held: Mapping[str, Any] = readable(message).content
    content = {**held, **laid}
    metadata = held.get("metadata"), laid.get("metadata")
    if isinstance(metadata[0], Mapping) and isinstance(metadata[1], Mapping):
        content["metadata"] = {**metadata[0], **metadata[1]}
    return attrs.evolve(message, content=content, **changed)


def _updates(old: Sequence[Message], new: Sequence[Message], now: datetime) -> list[Change]:
    """The batch that saves *new* in place of *old*; a thread that a message moves to must exist."""
    left = {message.thread_id for message in old}
    entered = {message.thread_id for message in new} - left
    arrivals = [Patch(THREADS, (i,), raise_to={"updated_at": now}, answer=False) for i in sorted(entered)]
    return [*(Save(MESSAGES, message, absent="refuse") for message in new), *arrivals, *touches(left, now)]
