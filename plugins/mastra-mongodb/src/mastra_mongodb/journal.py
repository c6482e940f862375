"""Batches where the server has no transactions: one document is the lock and the log of a batch, and says when it is over.

A writer puts into its entry the keys of its records (a unique index over them refuses two writers), the places where the batch can be seen
and the writes themselves. A reader that meets an entry which is not over waits and reads again, so that it sees all of a batch or nothing.
Whoever meets one that a crash has left goes on with it: every write can be made twice.

There are two ways. New records, and at most one change that may not be met, need no look: the entry, the records and last that one change
go out together; the change decides, and if it is not met, the records are taken back. Every other batch takes its lock, reads, and then
logs and writes. Knows operations and plans; one of the files that talk to pymongo.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import attrs
import bson
from bson.binary import Binary
from pymongo.errors import DuplicateKeyError, PyMongoError

from mastra_core.errors import ConflictError, InvalidInputError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.query import Get
from mastra_mongodb.indexes import Index
from mastra_mongodb.operations import Operation, is_new, repeatable, written
from mastra_mongodb.planning import Plan, planned, unseen
from mastra_mongodb.reading import Reader
from mastra_mongodb.sending import Connection, Sent
from mastra_mongodb.transactions import Decision, conflict, pause
from mastra_mongodb.waiting import Branch, Pipeline, key_place, path_place
from mastra_mongodb.wire import CODEC, MAX_BYTES, Document, decoded, key_at

JOURNAL = "mastra_journal"
LEASE_SECONDS = 10
"""After which an entry's writer counts as gone; far longer than the few commands that a batch takes."""
TRIES = 60
"""To get the records: longer than a writer that is gone keeps them."""
READ_TRIES = 600
"""Half a minute or so: where many write without a pause, a reader needs luck."""
SENT_AT_ONCE = 100
"""Writes of a batch in one command; its parts may be late, since readers wait for the whole."""
KEPT_SECONDS = 60
END_SECONDS = 0.02
"""How long the end of a batch waits for a next one to take it along, where it would be a command of its own."""

INDEXES = (
    Index(JOURNAL, (("keys", 1),), {"unique": True, "partialFilterExpression": {"keys": {"$exists": True}}}),
    Index(JOURNAL, (("places", 1),)),
    Index(JOURNAL, (("done", 1),), {"expireAfterSeconds": KEPT_SECONDS}),
)
_TOLD: Pipeline = [{"$project": {"keys": 0, "places": 0, "writes": 0}}]
Keys = Sequence[tuple[Kind[Any], Key]]


class Journal:
    """Writes batches, and lets readers wait for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._entries = connection.collection(JOURNAL)
        self._reader = Reader(connection.documents)
        self._over: list[bson.ObjectId] = []
        """Batches that are written, of which the server has not been told that they are over."""
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Tell the server of every batch that is over."""
        if self._timer is not None:
            self._timer.cancel()
        if self._telling is not None:
            await self._telling
        await self._tell()

    async def write(self, changes: Sequence[Change]) -> list[Any]:
        """As Transactions.write."""
        keys = [(change.kind, change.key) for change in changes]
        plan = unseen(changes)
        if plan is not None:
            for attempt in range(TRIES):
                # A caller who stops waiting does not stop what has begun.
                stands = await asyncio.shield(self._at_once(keys, plan.operations))
                if stands:
                    return plan.answers
                if stands is not None:
                    break
                await pause(attempt)
        return await self._settled(keys, (), lambda _: changes)

    async def decide(self, gets: Sequence[Get[Any]], change: Decision) -> list[Any]:
        """As Transactions.decide."""
        return await self._settled([(get.kind, get.key) for get in gets], gets, change)

    @contextlib.asynccontextmanager
    async def holding(self, keys: Keys) -> AsyncIterator[None]:
        """Keep every batch off these records for the length of the block."""
        for attempt in range(TRIES):
            entry = bson.ObjectId()
            if await self._enter(entry, keys) is not None:
                try:
                    yield
                finally:
                    await asyncio.shield(self._end(entry))
                return
            await pause(attempt)
        raise conflict([Get(*place) for place in keys], tries=TRIES)

    def pending(self, places: Sequence[str]) -> Branch:
        """The batches at *places* that are under way, and those done within the last minute; without those known here to be over."""
        wanted = {"places": {"$in": list(places)}, **({"_id": {"$nin": list(self._over)}} if self._over else {})}
        return Branch(JOURNAL, [{"$match": wanted}, *_TOLD])

    def is_unfinished(self, entry: Mapping[str, Any]) -> bool:
        """Whether a row of `pending` tells of a batch that the read, which began `now` by the server's clock, may have seen in part."""
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

    async def _at_once(self, keys: Keys, operations: Sequence[Operation]) -> bool | None:
        """Write a batch that needs no look; whether it stands, or None if others have one of its records."""
        entry, kinds = bson.ObjectId(), {kind.name: kind for kind, _ in keys}
        places = _places((kinds[one.collection], written(one)) for one in operations if is_new(one))
        sent = await self._enter(entry, keys, operations, places=places, writes=_log(operations), unseen=True)
        if sent is None:
            return None
        await self._conclude(entry, operations, stands=not sent.unmet)
        return not sent.unmet

    async def _conclude(self, entry: bson.ObjectId, operations: Sequence[Operation], *, stands: bool) -> None:
        """Say that a batch of new records is over, and take them back if it does not stand."""
        taken_back = [] if stands else [Operation("delete", one.collection, one.filter) for one in operations if is_new(one)]
        if taken_back or self._connection.has_bulk_write:
            await self._send(entry, [*taken_back, _ended(entry)])
        else:
            self._end_later(entry)

    async def _settled(self, keys: Keys, gets: Sequence[Get[Any]], change: Decision) -> list[Any]:
        for attempt in range(TRIES):
            entry = bson.ObjectId()
            if await self._enter(entry, keys) is not None:
                answers = await self._knowingly(entry, keys, gets, change)
                if answers is not None:
                    return answers
            await pause(attempt)
        raise conflict([Get(*place) for place in keys], tries=TRIES)

    async def _knowingly(self, entry: bson.ObjectId, keys: Keys, gets: Sequence[Get[Any]], change: Decision) -> list[Any] | None:
        """Read, and write what is made of it; None if others were in the way."""
        began = time.monotonic()
        try:
            plan = await self._made(entry, keys, gets, change)
        except BaseException:
            await asyncio.shield(self._end(entry))
            raise
        if plan is not None and plan.operations and time.monotonic() - began < LEASE_SECONDS / 2:
            # A caller who stops waiting does not stop what has begun.
            return plan.answers if await asyncio.shield(self._write(entry, plan.operations)) else None
        await self._end(entry)
        return None if plan is None or plan.operations else plan.answers

    async def _made(self, entry: bson.ObjectId, keys: Keys, gets: Sequence[Get[Any]], change: Decision) -> Plan | None:
        """The plan, whose first write logs the others; None if others are in the way."""
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
        writes = [repeatable(operation) for operation in plan.operations]
        if not writes:
            return plan
        kinds = {one.kind.name: one.kind for one in changes}
        were = [(one.kind, document) for one in changes if (document := stored.get((one.kind.name, one.key))) is not None]
        become = [(kinds[one.collection], written(one)) for one in writes]
        step = {"writes": {"$literal": _log(writes)}, "places": {"$literal": _places([*were, *become])}}
        # Where the keys are gone it would be a second document of that _id, which stops everything.
        logged = Operation("update", JOURNAL, {"_id": entry, "keys": {"$exists": True}}, [{"$set": step}], upsert=True)
        return Plan([logged, *writes], plan.answers)

    async def _write(self, entry: bson.ObjectId, operations: Sequence[Operation]) -> bool:
        """Log and write what was planned; False if others took the entry for one that a crash has left."""
        at_end = [_ended(entry)] if self._connection.has_bulk_write else []
        sent = await self._send(entry, [*operations, *at_end])
        if sent.stopped == 0:
            return False
        _check(sent)
        if not at_end:
            self._end_later(entry)
        return True

    async def _enter(self, entry: bson.ObjectId, keys: Keys, operations: Sequence[Operation] = (), **told: Any) -> Sent | None:
        """Take the records, and write; None if others have one of them, which they are rid of if a crash has left it."""
        over, self._over = self._over, []
        places = sorted({key_place(*place) for place in keys})
        step = {name: {"$literal": value} for name, value in {"keys": places, **told}.items()}
        begun = Operation("update", JOURNAL, {"_id": entry}, [{"$set": {**step, "at": "$$NOW"}}], upsert=True)
        try:
            sent = await self._send(entry, [*map(_ended, over), begun, *operations])
        except BaseException:
            self._over += over
            raise
        if sent.stopped != len(over):
            return sent
        await self._complete({"keys": {"$in": places}})
        return None

    async def _end(self, entry: bson.ObjectId) -> None:
        """Give the records back; whoever reads them meanwhile reads again."""
        await self._send(entry, [_ended(entry)])

    def _end_later(self, entry: bson.ObjectId) -> None:
        """Let the next batch say that this one is over, or a command of its own if none comes."""
        self._over.append(entry)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(END_SECONDS, self._tell_now)

    def _tell_now(self) -> None:
        self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        over, self._over = self._over, []
        # What cannot be told is found out by whoever comes next.
        with contextlib.suppress(PyMongoError):
            await self._send(None, [_ended(entry) for entry in over])

    async def _complete(self, wanted: Document) -> None:
        """Go on with the entries that were left long enough ago for their writers to be gone."""
        looked: Pipeline = [{"$match": wanted}, *_TOLD, {"$set": {"now": "$$NOW"}}]
        for entry in [found async for found in self._connection.documents(JOURNAL, looked)]:
            if (entry["now"] - entry["at"]).total_seconds() > LEASE_SECONDS:
                # One heir at a time: what a second one writes could come after the batch that follows.
                same = {"_id": entry["_id"], "at": entry["at"], "done": {"$exists": False}}
                mine = await self._entries.find_one_and_update(same, [{"$set": {"at": "$$NOW"}}])
                if mine is not None:
                    await self._inherit(mine)

    async def _inherit(self, entry: Document) -> None:
        writes = [Operation(**one) for one in bson.decode(entry["writes"], codec_options=CODEC)["writes"]] if "writes" in entry else []
        sent = await self._send(entry["_id"], writes)
        if "unseen" in entry:
            await self._conclude(entry["_id"], writes, stands=not sent.unmet)
        else:
            _check(sent)
            await self._end(entry["_id"])

    async def _send(self, entry: bson.ObjectId | None, operations: Sequence[Operation]) -> Sent:
        """Write up to the first that cannot be, in parts, each of which says that its writer lives."""
        sent = Sent()
        for start in range(0, len(operations), SENT_AT_ONCE):
            alive = [Operation("update", JOURNAL, {"_id": entry}, [{"$set": {"at": "$$NOW"}}])] if start else []
            sent = await self._connection.send([*alive, *operations[start : start + SENT_AT_ONCE]])
            if sent.stopped is not None:
                return attrs.evolve(sent, stopped=start - len(alive) + sent.stopped)
        return sent


def _ended(entry: bson.ObjectId) -> Operation:
    return Operation("update", JOURNAL, {"_id": entry}, [{"$set": {"done": "$$NOW"}}, {"$unset": ["keys", "writes"]}])


def _log(operations: Sequence[Operation]) -> Binary:
    log = bson.encode({"writes": [attrs.asdict(one, recurse=False) for one in operations]}, codec_options=CODEC)
    if len(log) > MAX_BYTES:
        raise InvalidInputError(
            f"a batch of {len(log):,} bytes; without transactions MongoDB takes {MAX_BYTES:,} in one step. Save less at once."
        )
    return Binary(log)


def _check(sent: Sent) -> None:
    """Refuse to say that a batch is over of which a write was stopped, by an index of the user's own."""
    if sent.error is not None:
        raise sent.error


def _places(documents: Iterable[tuple[Kind[Any], Document]]) -> list[str]:
    """Where records can be seen: themselves, and every list in which they are."""
    places: set[str] = set()
    for kind, document in documents:
        places.add(key_place(kind, key_at(kind, document)))
        for path in kind.paths:
            values = [document.get(kind.by_name[name].column) for name in path.by]
            if all(isinstance(value, str) for value in values):
                places.add(path_place(kind, path.name, [str(value) for value in values]))
    return sorted(places)
