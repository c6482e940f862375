"""Changes of threads and messages that check whose thread it is, and move messages between threads: shared by turns, threads and messages.

Knows the port; must not know any engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.errors import OwnershipError, ThreadNotFoundError
from mastra_core.storage.domains.clearing import BATCH
from mastra_core.storage.records.changes import Change, Patch, Refused, Save
from mastra_core.storage.records.checks import check_time, cut
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.query import Get, Is
from mastra_core.storage.records.records import Records


def step_of(records: Records) -> int:
    """How many messages one atomic step of long work takes, with room for the threads it touches."""
    return max(1, (records.engine.max_atomic or BATCH) // 2)


def saves(messages: Sequence[Message]) -> list[Change]:
    """Save messages where they are: one that is stored under another thread is refused, so that it can be moved knowingly."""
    return [Save(MESSAGES, message, when=(Is(("thread_id",), message.thread_id),)) for message in messages]


def touches(thread_ids: set[str], now: datetime) -> list[Change]:
    """Mark threads as changed; those that do not exist are passed over."""
    return [Patch(THREADS, (i,), raise_to={"updated_at": now}, missing="skip", answer=False) for i in sorted(thread_ids)]


def dated(thread: Thread, *, touched: datetime | None = None) -> Thread:
    """*thread* with times as they will come back; changed at *touched* at the earliest, if that is given.

    Raises:
        InvalidInputError: one is naive.
    """
    created, updated = cut(check_time(thread.created_at, at="created_at")), cut(check_time(thread.updated_at, at="updated_at"))
    return attrs.evolve(thread, created_at=created, updated_at=updated if touched is None else max(updated, touched))


async def apply_moving(records: Records, changes: Sequence[Change], messages: Sequence[Message], now: datetime) -> list[Any]:
    """Apply; if a message is stored under another thread, apply once more knowing which threads such messages come from.

    Raises:
        Refused: a condition on a thread did not hold.
    """
    try:
        return await records.apply(*changes)
    except Refused as refused:
        if refused.change.kind is not MESSAGES:
            raise
    mine = {message.thread_id for message in messages}
    free = [attrs.evolve(change, when=()) if change.kind is MESSAGES else change for change in changes]

    def batch(found: list[Message | None]) -> list[Change]:
        return [*free, *touches({m.thread_id for m in found if m is not None} - mine, now)]

    return await records.decide([Get(MESSAGES, (message.id,)) for message in messages], batch)


async def apply_owned(
    records: Records, thread: Thread, changes: Callable[[str], Sequence[Change]], *, messages: Sequence[Message] = (), mend: str = ""
) -> list[Any]:
    """Apply *changes(owner)*, whose first is of *thread*; a stored thread without an owner counts as this resource's.

    Raises:
        ThreadNotFoundError: the thread was to exist.
        OwnershipError: it belongs to another resource.
    """
    owner = thread.resource_id
    while True:
        try:
            return await apply_moving(records, changes(owner), messages, clock.now())
        except Refused as refused:
            if refused.found is None:
                msg = f"Thread {thread.id} not found; it was deleted since it was read, so nothing was saved"
                raise ThreadNotFoundError(msg) from refused
            if refused.found.resource_id == "" != owner:
                owner = ""
                continue
            raise owned_by_another(refused.found, thread.resource_id, mend=mend) from refused


def owned_by_another(thread: Thread, resource_id: str, *, mend: str = "") -> OwnershipError:
    """The error of asking for a thread as somebody else (semantics §2.9)."""
    return OwnershipError(
        f"Thread with id {thread.id} is for resource with id {thread.resource_id} but resource {resource_id} was queried{mend}"
    )
