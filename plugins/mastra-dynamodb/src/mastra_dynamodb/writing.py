"""Transactions: sent, and sent again while others interfere, each time planned from what was found.

Knows plans and the answers of TransactWriteItems; the requests are made by the functions it is given.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from mastra_core.errors import ConflictError, InvalidInputError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.query import Get
from mastra_dynamodb.expressions import Draft, rendered
from mastra_dynamodb.faults import CONFLICT_CODE, DRIVER_ERRORS, INVALID_CODE, REFUSAL_CODE, reasons_of
from mastra_dynamodb.keys import item_key
from mastra_dynamodb.plan import Plan, planned, unchanged
from mastra_dynamodb.recent import Marks
from mastra_dynamodb.ttl import Expiries
from mastra_dynamodb.wire import MAX_ITEM_BYTES, Item, record_at

Place = tuple[str, str]
Call = Callable[..., Awaitable[Any]]
Items = Callable[[Collection[Place]], Awaitable[Mapping[Place, Item]]]

MAX_ITEMS = 100
"""Of one transaction."""
TRIES = 16
LONGEST_PAUSE_SECONDS = 0.5


class Writer:
    """Writes batches.

    Args:
        call: makes a request by its name, and gives the answer.
        items: reads places consistently.
        table: the table's name.
        marks: what is known of the owners of partitions.
        expiries: what counts as gone.
    """

    def __init__(self, *, call: Call, items: Items, table: str, marks: Marks, expiries: Expiries) -> None:
        self._call = call
        self._items = items
        self._table = table
        self._marks = marks
        self._expiries = expiries

    async def write(self, changes: Sequence[Change]) -> list[Any]:
        """All of *changes* or nothing; the answers are what the port asks for.

        Raises:
            Refused: a condition did not hold.
            ConflictError: others won at every try, or an id differs from a stored one by case alone.
            InvalidInputError: more items than one transaction holds.
        """
        return (await self._written(changes, marks=True)).answers

    async def remove(self, deletes: Sequence[Change], *, marks: bool) -> int:
        """All of *deletes* or nothing; how many found a record.

        Args:
            deletes: of single records.
            marks: False when the owners of the partitions are gone.

        Raises:
            Refused, ConflictError, InvalidInputError: as write.
        """
        return sum(draft.change is not None for draft in (await self._written(deletes, marks=marks)).drafts.values())

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, let *change* compute, and write if no field of what was read has changed.

        Raises:
            Refused, ConflictError, InvalidInputError: as write.
        """
        learned: dict[Place, Item | None] = {}
        places = {item_key(get.kind, get.key) for get in gets}
        plan = Plan()
        for attempt in range(TRIES):
            held = await self._items(places)
            current = {place: self._expiries.current(item) for place, item in held.items()}
            changes = change([record_at(get.kind, get.key, current) for get in gets])
            if not changes:
                return []
            known = {**learned, **{place: held.get(place) for place in places}}
            plan = await self._planned(changes, known, fixed=places, marks=True)
            for get in gets:
                check = unchanged(get.kind, get.key, held.get(item_key(get.kind, get.key)), expiries=self._expiries)
                draft = plan.drafts.setdefault(check.place, check)
                if draft.change is None:
                    draft.allowed = check.allowed
            lost = await self._transacted(plan)
            if lost is None:
                return plan.answers
            learned |= lost
            await _pause(attempt, conflict=not lost)
        raise _conflict(plan)

    async def _written(self, changes: Sequence[Change], *, marks: bool) -> Plan:
        known: dict[Place, Item | None] = {}
        plan = Plan()
        for attempt in range(TRIES):
            plan = await self._planned(changes, known, fixed=(), marks=marks)
            lost = await self._transacted(plan)
            if lost is None:
                return plan
            known |= lost
            await _pause(attempt, conflict=not lost)
        raise _conflict(plan)

    async def _planned(self, changes: Sequence[Change], known: dict[Place, Item | None], *, fixed: Collection[Place], marks: bool) -> Plan:
        plan_of = partial(planned, changes, known, fixed=fixed, stale=self._marks.stale, expiries=self._expiries, marks=marks)
        plan = plan_of()
        if plan.unread:
            held = await self._items(plan.unread)
            known |= {place: held.get(place) for place in plan.unread}
            plan = plan_of()
        pause = max(map(self._marks.pause_seconds, plan.marked), default=0.0)
        if pause:
            # Else an import of thousands would make the item of its thread too large.
            await asyncio.sleep(pause)
            plan = plan_of()
        return plan

    async def _transacted(self, plan: Plan) -> Mapping[Place, Item | None] | None:
        """None when written; else the stored items whose conditions failed, none when another transaction was in the way."""
        drafts: list[Draft] = list(plan.drafts.values())
        if len(drafts) > MAX_ITEMS:
            raise InvalidInputError(
                f"{len(drafts)} items in one transaction, of which some only note the write for readers; "
                f"DynamoDB writes at most {MAX_ITEMS} at once. Save records of fewer threads at once."
            )
        if not drafts:
            return None
        try:
            await self._call("transact_write_items", TransactItems=[rendered(draft, table=self._table) for draft in drafts])
        except DRIVER_ERRORS as error:
            reasons = reasons_of(error)
            large = _too_large(drafts, reasons)
            if large is not None and await self._overlooked(large, plan):
                return {}
            if large is not None:
                raise _refused_as_too_large(large) from error
            codes = {reason.get("Code") for reason in reasons} - {"None", None}
            if not codes or not codes <= {CONFLICT_CODE, REFUSAL_CODE}:
                raise
            return {
                draft.place: reason.get("Item") for draft, reason in zip(drafts, reasons, strict=True) if reason.get("Code") == REFUSAL_CODE
            }
        for owner, tokens in plan.marked.items():
            self._marks.added(owner, tokens, gone=plan.unmarked[owner])
        return None

    async def _overlooked(self, owner: Place, plan: Plan) -> bool:
        """Whether marks that other processes left on *owner* can make room; reading it tells."""
        if owner not in plan.marked:
            return False
        await self._items([owner])
        return bool(self._marks.stale(owner) - plan.unmarked[owner]) or self._marks.pause_seconds(owner) > 0


def _too_large(drafts: Sequence[Draft], reasons: Sequence[Mapping[str, Any]]) -> Place | None:
    """What only DynamoDB could see: the item that would be too large with all that others put on it."""
    for draft, reason in zip(drafts, reasons, strict=False):
        if reason.get("Code") == INVALID_CODE and "size" in str(reason.get("Message")):
            return draft.place
    return None


def _refused_as_too_large(place: Place) -> InvalidInputError:
    return InvalidInputError(
        f"item {place[0]} would have more than the {MAX_ITEM_BYTES:,} bytes that DynamoDB holds in one item; nothing was "
        "written. Store large values elsewhere and save a reference."
    )


async def _pause(attempt: int, *, conflict: bool) -> None:
    """Let others finish: after every conflict, and after the second condition that failed."""
    if conflict or attempt > 1:
        await asyncio.sleep(random.random() * min(0.01 * 2**attempt, LONGEST_PAUSE_SECONDS))


def _conflict(plan: Plan) -> ConflictError:
    shown = ", ".join(place[0] for place in list(plan.drafts)[:3])
    more = f" and {len(plan.drafts) - 3} more" if len(plan.drafts) > 3 else ""
    return ConflictError(
        f"other writers changed {shown}{more} at each of {TRIES} tries; nothing was written. Try again, or have fewer writers at once."
    )
