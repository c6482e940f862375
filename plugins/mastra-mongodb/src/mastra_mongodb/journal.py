"""Batches where the server has no transactions: one document is the lock, the log and the moment at which a batch is made.

A writer takes the keys of its records (a unique index over them refuses two), reads, and writes the whole batch into its entry: from then
on it is made, in one step. Then the records are written, and the entry says that it is done. Whoever meets an entry that was left by a
crash completes it, or throws it away if it was not made. A reader that meets one that is not done waits and reads again, so that it sees
all of a batch or nothing. Knows operations and plans; one of the files that talk to pymongo.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import bson
from bson.binary import Binary
from pymongo.errors import DuplicateKeyError

from mastra_core.errors import ConflictError, InvalidInputError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.query import Get
from mastra_mongodb.indexes import Index
from mastra_mongodb.operations import HELD, Operation
from mastra_mongodb.planning import Plan, planned
from mastra_mongodb.reading import Branch, Pipeline, Reader, key_place, path_place
from mastra_mongodb.sending import Connection
from mastra_mongodb.transactions import TRIES, Decision, conflict, pause
from mastra_mongodb.wire import CODEC, MAX_BYTES, Document, decoded

JOURNAL = "mastra_journal"
LEASE_SECONDS = 10
"""After which an entry's writer counts as gone; far longer than the few commands that a batch takes."""
READ_TRIES = 600
"""Half a minute or so: where many write without a pause, a reader needs luck."""
SENT_AT_ONCE = 100
"""Writes of a made batch in one command; its parts may be late, since readers wait for the whole."""
KEPT_SECONDS = 60

INDEXES = (
    Index(JOURNAL, (("keys", 1),), {"unique": True, "partialFilterExpression": {"keys": {"$exists": True}}}),
    Index(JOURNAL, (("places", 1),)),
    Index(JOURNAL, (("done", 1),), {"expireAfterSeconds": KEPT_SECONDS}),
)
_CLOCK: Pipeline = [{"$set": {"now": "$$NOW"}}]
"""The server's time beside each entry: the only clock that all who look share. It is the instant at which the command began."""
_HOLDS = ({"$set": {HELD: True}}, {"$unset": {HELD: ""}})


class Journal:
    """Writes batches, and lets readers wait for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._entries = connection.collection(JOURNAL)
        self._reader = Reader(connection.documents)

    async def write(self, changes: Sequence[Change]) -> list[Any]:
        """As Transactions.write."""
        return await self._settled([(change.kind, change.key) for change in changes], (), lambda _: changes)

    async def decide(self, gets: Sequence[Get[Any]], change: Decision) -> list[Any]:
        """As Transactions.decide."""
        return await self._settled([(get.kind, get.key) for get in gets], gets, change)

    @contextlib.asynccontextmanager
    async def holding(self, keys: Iterable[tuple[Kind[Any], Key]]) -> AsyncIterator[None]:
        """Keep every batch off these records for the length of the block."""
        places = [key_place(kind, key) for kind, key in keys]
        for attempt in range(TRIES):
            entry = bson.ObjectId()
            if await self._lock(entry, places):
                try:
                    yield
                finally:
                    await asyncio.shield(self._release(entry))
                return
            await pause(attempt)
        raise ConflictError(f"other writers held {len(places)} records at each of {TRIES} tries; nothing was written. Try again.")

    def pending(self, places: Sequence[str]) -> Branch:
        """The batches at *places* that were made, those done within the last minute among them."""
        told = {"places": 0, "writes": 0}
        return Branch(JOURNAL, [{"$match": {"places": {"$in": list(places)}}}, *_CLOCK, {"$project": told}])

    def is_unfinished(self, entry: Mapping[str, Any]) -> bool:
        """Whether a row of `pending` tells of a batch that the read may have seen in part."""
        done = entry.get("done")
        return done is None or bool(done >= entry["now"])

    async def settle(self, attempt: int) -> None:
        """Complete what a crash has left, and let the others finish.

        Raises:
            ConflictError: others wrote at every one of the tries.
        """
        if attempt >= READ_TRIES:
            raise ConflictError(f"other writers were in the middle of a batch at each of {READ_TRIES} tries to read; try again")
        await self._complete({"done": {"$exists": False}})
        await pause(min(attempt, 3))

    async def _settled(self, keys: Sequence[tuple[Kind[Any], Key]], gets: Sequence[Get[Any]], change: Decision) -> list[Any]:
        for attempt in range(TRIES):
            entry, began = bson.ObjectId(), time.monotonic()
            if await self._lock(entry, [key_place(kind, key) for kind, key in keys]):
                try:
                    made = await self._made(entry, keys, gets, change, began=began)
                except BaseException:
                    await asyncio.shield(self._release(entry))
                    raise
                if made is not None:
                    if made.operations:
                        # A caller who stops waiting does not stop what is made already.
                        await asyncio.shield(self._finish(entry, made.operations))
                    else:
                        await self._release(entry)
                    return made.answers
                await self._release(entry)
            await pause(attempt)
        raise conflict([Get(kind, key) for kind, key in keys])

    async def _made(
        self, entry: bson.ObjectId, keys: Sequence[tuple[Kind[Any], Key]], gets: Sequence[Get[Any]], change: Decision, *, began: float
    ) -> Plan | None:
        """The plan, made for good; None if others are in the way."""
        stored = await self._reader.held(keys)
        found = [stored.get((get.kind.name, get.key)) for get in gets]
        changes = change([None if document is None else decoded(get.kind, document) for get, document in zip(gets, found, strict=True)])
        locked = {(kind.name, key) for kind, key in keys}
        more = [(one.kind, one.key) for one in changes if (one.kind.name, one.key) not in locked]
        if more:
            try:
                await self._entries.update_one({"_id": entry}, {"$addToSet": {"keys": {"$each": [key_place(*one) for one in more]}}})
            except DuplicateKeyError:
                return None
            stored |= await self._reader.held(more)
        plan = planned(changes, stored)
        writes = [operation for operation in plan.operations if operation.update not in _HOLDS]
        if not writes:
            return Plan((), plan.answers)
        if time.monotonic() - began > LEASE_SECONDS / 2:
            return None
        log = bson.encode({"writes": [_logged(one) for one in writes]}, codec_options=CODEC)
        if len(log) > MAX_BYTES:
            raise InvalidInputError(
                f"a batch of {len(log):,} bytes; without transactions MongoDB takes {MAX_BYTES:,} in one step. Save less at once."
            )
        step = {"writes": {"$literal": Binary(log)}, "places": {"$literal": _places(changes, stored, self._after(changes, plan))}}
        done = await self._entries.update_one({"_id": entry, "keys": {"$exists": True}}, [{"$set": step}])
        return Plan(writes, plan.answers) if done.matched_count else None

    def _after(self, changes: Sequence[Change], plan: Plan) -> list[Document]:
        return [operation.update.get("$set", operation.update) for operation in plan.operations if isinstance(operation.update, dict)]

    async def _lock(self, entry: bson.ObjectId, places: Sequence[str]) -> bool:
        """Take the keys; if others hold one, see to it that a crash has not left them, and say False."""
        try:
            step = {"keys": {"$literal": sorted(set(places))}, "at": "$$NOW"}
            await self._entries.update_one({"_id": entry}, [{"$set": step}], upsert=True)
        except DuplicateKeyError:
            await self._complete({"keys": {"$in": list(places)}})
            return False
        return True

    async def _release(self, entry: bson.ObjectId) -> None:
        """Give the keys back, if nothing was made."""
        await self._entries.delete_one({"_id": entry, "writes": {"$exists": False}})

    async def _complete(self, wanted: Document) -> None:
        """Complete the entries that were left long enough ago for their writers to be gone."""
        for entry in [found async for found in self._connection.documents(JOURNAL, [{"$match": wanted}, *_CLOCK])]:
            if (entry["now"] - entry["at"]).total_seconds() > LEASE_SECONDS:
                await self._inherit(entry)

    async def _inherit(self, entry: Document) -> None:
        """Complete an entry that was left, or throw it away."""
        if "writes" in entry:
            writes = bson.decode(entry["writes"], codec_options=CODEC)["writes"]
            await self._finish(entry["_id"], [Operation(one["a"], one["c"], one["f"], one["u"]) for one in writes])
        else:
            await self._release(entry["_id"])

    async def _finish(self, entry: bson.ObjectId, operations: Sequence[Operation]) -> None:
        """Write what is made, and say so; doing it twice is doing it once."""
        for start in range(0, len(operations), SENT_AT_ONCE):
            await self._connection.send([_repeatable(operation) for operation in operations[start : start + SENT_AT_ONCE]])
        await self._entries.update_one({"_id": entry}, [{"$set": {"done": "$$NOW"}}, {"$unset": ["keys", "writes"]}])


def _repeatable(operation: Operation) -> Operation:
    if operation.action == "insert":
        return Operation("update", operation.collection, operation.filter, {"$set": operation.update}, upsert=True)
    return Operation(operation.action, operation.collection, operation.filter, operation.update)


def _logged(operation: Operation) -> Document:
    return {"a": operation.action, "c": operation.collection, "f": operation.filter, "u": operation.update}


def _places(changes: Sequence[Change], stored: Any, after: Sequence[Document]) -> list[str]:
    """Where a batch can be seen: its records, and every list in which they were or will be."""
    places: set[str] = set()
    for change in changes:
        kind = change.kind
        places.add(key_place(kind, change.key))
        was = stored.get((kind.name, change.key))
        ours = {kind.by_name[name].column: value for name, value in zip(kind.key, change.key, strict=True)}
        becomes = [one for one in after if all(one.get(column) == value for column, value in ours.items())]
        for document in [*([was] if was else []), *becomes]:
            for path in kind.paths:
                values = [document.get(kind.by_name[name].column) for name in path.by]
                if all(isinstance(value, str) for value in values):
                    places.add(path_place(kind, path.name, [str(value) for value in values]))
    return sorted(places)
