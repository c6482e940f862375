"""A RecordEngine on one DynamoDB table: a batch of changes is one transaction, a batch of reads is requests in parallel.

Every write is a TransactWriteItems, even of one item: its token makes the driver's own retries exact. The one file that talks to boto3.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import attrs
import boto3.session
from botocore.config import Config

from mastra_core.errors import ConfigurationError, StorageUnavailableError, StoreClosedError
from mastra_core.storage.records.changes import Change, Delete, Refused, Save
from mastra_core.storage.records.engine import FULL, Fault, Inspection, Support, emulated
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Count, Cursor, Get, Is, Query, Read, Window, behind, matches
from mastra_core.storage.records.queues import Queues
from mastra_core.storage.records.watching import spent
from mastra_core.storage.records.wire import check_values
from mastra_dynamodb.consumption import CHARGED, Consumption
from mastra_dynamodb.faults import DRIVER_ERRORS, code_of, fault_of, is_throttled, retries_of
from mastra_dynamodb.keys import item_key, layout_of, owner_key, recent_of
from mastra_dynamodb.listing import Listing, owner_of, proof_of
from mastra_dynamodb.recent import Marks
from mastra_dynamodb.table import NEEDED, addition, creation, lacking, missing_index
from mastra_dynamodb.ttl import Expiries, state, warnings
from mastra_dynamodb.wire import Item, decoded, fields_by, key_item, marks_of, place_of, record_at
from mastra_dynamodb.writing import MAX_ITEMS, TRIES, Writer

Place = tuple[str, str]
WORKERS = 16
THROTTLED_TRIES = 6
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
_PING = ("$mastra", "$ping")

CAPABILITIES: Mapping[str, Support] = {
    "atomic": FULL,
    "moves": FULL,
    "merge": emulated("JSON is kept as text: read, merged here, and written if it has not changed"),
    "filters": emulated("filters on a list are evaluated here: what they skip is read and paid for"),
    "pages": emulated("an offset reads and pays for what it skips; a cursor does not"),
    "span": FULL,
    "window": emulated("two round trips: the record, then its neighbours"),
    "count": emulated("counts by reading what it counts"),
    "open_paths": emulated("reads the whole table, and sorts here; traces have an index"),
    "own_lists": emulated("eventually consistent, but for the messages of a thread"),
    "decide": FULL,
    "purge": FULL,
    "scan": FULL,
    "mastra_messages.by_resource": emulated("reads the whole table, and sorts here: no index has the resource of a message"),
    "mastra_workflow_snapshot.by_resource": emulated("reads the whole table, and sorts here: no index has the resource of a run"),
}


class DynamoDBEngine:
    """The port on one table.

    Args:
        table: its name; it must exist.
        region: the AWS region; None is what the environment says.
        endpoint: the URL of another service, such as DynamoDB Local; None is AWS.
        credentials: keyword arguments of boto3's client for them; None is boto3's own search.
        client: a boto3 client to use instead of making one; it is not closed.
        expiries: which entities expire.
    """

    max_atomic: int | None = MAX_ITEMS - 1
    capabilities: Mapping[str, Support] = CAPABILITIES
    driver_errors: tuple[type[BaseException], ...] = DRIVER_ERRORS

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        credentials: Mapping[str, str] | None = None,
        client: Any = None,
        expiries: Expiries | None = None,
    ) -> None:
        self._table = table
        self._expiries = expiries or Expiries({})
        self._region = region
        self._make = partial(connect, region=region, endpoint=endpoint, credentials=dict(credentials or {}))
        self.consumed = Consumption()
        self._given = client
        self._client: Any = client
        self._workers: ThreadPoolExecutor | None = None
        self._marks = Marks()
        self._listing = Listing(call=self._call, items=self._current, table=table, expiries=self._expiries)
        self._writer = Writer(call=self._call, items=self._items, table=table, marks=self._marks, expiries=self._expiries)
        self._queues = Queues[Place]()

    async def open(self) -> None:
        """One DescribeTable; the table is never created or changed.

        Raises:
            ConfigurationError: the index of threads and messages is missing; another one is asked for when it is needed.
        """
        self._workers = self._workers or ThreadPoolExecutor(WORKERS, thread_name_prefix="mastra-dynamodb")
        if self._client is None:
            self._client = await asyncio.get_running_loop().run_in_executor(self._workers, self._make)
        missing = lacking(_index_names(await self._call("describe_table", TableName=self._table)))
        if NEEDED in missing:
            raise ConfigurationError(missing_index(self._table, NEEDED))
        self._listing.absent = frozenset(missing)

    async def close(self) -> None:
        """Wait for the requests under way, then close the client if it was made here."""
        workers, self._workers = self._workers, None
        if workers is not None:
            await asyncio.to_thread(workers.shutdown)
        if self._client is not None and self._given is None:
            self._client.close()
            self._client = None

    async def ping(self) -> None:
        """One GetItem of a key that nobody uses; it needs no permission that other calls do not."""
        await self._call("get_item", TableName=self._table, Key=key_item(_PING))

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """One BatchGetItem for every key and partition owner, and beside it one Query a list."""
        owners = [owner_of(query) for query in map(_as_query, reads) if query is not None]
        places = {item_key(read.kind, read.key) for read in reads if isinstance(read, Get)} | {
            owner for owner in owners if owner is not None
        }
        shared = asyncio.ensure_future(self._current(places))
        return (await asyncio.gather(shared, *(self._answer(read, shared) for read in reads)))[1:]

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """One TransactWriteItems, and a second one where a condition needed the stored item to decide."""
        if atomic or len(changes) == 1:
            async with self._queues.turn(_queued(change) for change in changes):
                return await self._writer.write(changes)
        for change in changes:
            check_values(change)
        room = asyncio.Semaphore(WORKERS)

        async def one(change: Change) -> Any:
            async with room:
                return (await self.apply([change], atomic=True))[0]

        answers = await asyncio.gather(*(one(change) for change in changes), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """A consistent BatchGetItem, then a transaction on the condition that no field read has changed."""
        async with self._queues.turn(item_key(get.kind, get.key) for get in gets):
            return await self._writer.decide(gets, change)

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """A list, then deletes in transactions; the marks that outlived the owner of an emptied partition go too.

        What is gone already, and shown by an index that is late, is passed over: else whoever purges until nothing is left would not end
        before the index is right.
        """
        owner, proof = owner_of(query), proof_of(query)
        held = await self._items([owner] if owner else [])
        orphaned = owner is not None and proof not in held.get(owner, {})
        most = min(limit, query.limit or limit)
        part = attrs.evolve(query, limit=most)
        while True:
            (records,) = await self.fetch([part])
            gone = await self._purged(query, records, owned=owner is not None, marks=not orphaned)
            if gone or len(records) < most:
                break
            part = behind(part, records[-1])
        if owner is not None and proof is not None and owner in held and orphaned and len(records) < most:
            await self._forget(owner, proof=proof)
        return gone

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """In the order of the table's hashes; the cursor is the item's key."""
        start = None if after is None else after.split("\0")
        async for item in self._listing.scanned(kind, after=None if start is None else (start[0], start[1])):
            yield "\0".join(place_of(item)), decoded(kind, item)

    def ddl(self) -> Sequence[str]:
        """The parameters of CreateTable, as one JSON document."""
        return (creation(self._table),)

    async def inspect(self) -> Inspection:
        """One DescribeTable and one GetItem, by a client of its own unless one was given; an index is missing if records lie in it."""
        client = self._given or await asyncio.to_thread(self._make)
        try:
            return await asyncio.to_thread(_inspected, client, self._table, self._expiries)
        finally:
            if self._given is None:
                client.close()

    def pool(self) -> None:
        """botocore does not tell."""

    def diagnose(self, error: BaseException) -> Fault | None:
        """Each cause with its own mend."""
        region = self._region if self._client is None else self._client.meta.region_name
        return fault_of(error, table=self._table, region=region or "the region of the environment")

    async def _answer(self, read: Read[Any], shared: Awaitable[Mapping[Place, Item]]) -> Any:
        if isinstance(read, Get):
            return record_at(read.kind, read.key, await shared)
        if isinstance(read, Window):
            return await self._window(read)
        query = _as_query(read)
        assert query is not None
        owner = owner_of(query)
        records = await self._listing.listed(query, None if owner is None else partial(_picked, shared, owner))
        return len(records) if isinstance(read, Count) else records

    async def _window(self, window: Window[Any]) -> list[Any]:
        kind, path = window.kind, window.kind.path(window.path)
        assert path is not None
        target = record_at(kind, window.around, await self._current([item_key(kind, window.around)]))
        if target is None or not matches(target, window.where):
            return []
        cursor = Cursor(getattr(target, path.order), window.around)
        side = Query(kind, window.path, at={name: getattr(target, name) for name in path.by}, where=window.where, after=cursor)
        reads = [
            attrs.evolve(side, limit=limit, descending=before) for limit, before in ((window.before, True), (window.after, False)) if limit
        ]
        sides = iter(await self.fetch(reads))
        earlier = next(sides)[::-1] if window.before else []
        return [*earlier, target, *(next(sides) if window.after else [])]

    async def _purged(self, query: Query[Any], records: Sequence[Any], *, owned: bool, marks: bool) -> int:
        """Delete those of *records* that still lie in the partition, and say how many did."""
        still = tuple(Is((name,), value) for name, value in query.at.items())
        deletes: list[Change] = [Delete(query.kind, query.kind.key_of(record), when=still, answer=False) for record in records]
        # Each record of a partition without a common owner may bring an item of its own into the transaction.
        step = MAX_ITEMS - 1 if owned else MAX_ITEMS // 2
        return sum([await self._deleted(deletes[start : start + step], marks=marks) for start in range(0, len(deletes), step)])

    async def _deleted(self, deletes: list[Change], *, marks: bool) -> int:
        """Delete in one transaction, and say how many went; what has meanwhile left the partition stays."""
        while deletes:
            try:
                async with self._queues.turn(_queued(delete) for delete in deletes):
                    return await self._writer.remove(deletes, marks=marks)
            except Refused as refused:
                deletes = [delete for delete in deletes if delete is not refused.change]
        return 0

    async def _forget(self, owner: Place, *, proof: str) -> None:
        """Remove what is left of a deleted owner, unless it was created again."""
        with contextlib.suppress(self._client.exceptions.ConditionalCheckFailedException):
            await self._call(
                "delete_item", TableName=self._table, Key=key_item(owner), ConditionExpression="attribute_not_exists(#e)",
                ExpressionAttributeNames={"#e": proof},
            )  # fmt: skip

    async def _current(self, places: Collection[Place]) -> dict[Place, Item]:
        """The items at *places*, an expired one without its record."""
        return {place: self._expiries.current(item) for place, item in (await self._items(places)).items()}

    async def _items(self, places: Collection[Place]) -> dict[Place, Item]:
        """The items at *places*, read consistently; those that are not there are left out."""
        wanted = sorted(set(places))
        parts = [wanted[start : start + MAX_ITEMS] for start in range(0, len(wanted), MAX_ITEMS)]
        found: dict[Place, Item] = {}
        for items in await asyncio.gather(*(self._batch(part) for part in parts)):
            found |= {place_of(item): item for item in items}
        for place, item in found.items():
            if tokens := marks_of(item):
                self._marks.seen(place, tokens)
        return found

    async def _batch(self, places: Sequence[Place]) -> list[Item]:
        keys: list[Any] = [key_item(place) for place in places]
        items: list[Item] = []
        for attempt in range(TRIES):
            answer = await self._call("batch_get_item", RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            items += answer["Responses"].get(self._table, [])
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if not keys:
                return items
            # Over 16 MB, or throttled in part.
            await asyncio.sleep(random.random() * min(0.01 * 2**attempt, 1.0))
        raise StorageUnavailableError(
            f"DynamoDB table {self._table!r} left {len(keys)} keys unread at each of {TRIES} tries; "
            "raise its capacity, or switch it to on-demand."
        )

    async def _call(self, name: str, **arguments: Any) -> Any:
        if self._workers is None or self._client is None:
            raise StoreClosedError(f"DynamoDB table {self._table!r} is closed; open a new store to go on")
        asking = {"ReturnConsumedCapacity": "TOTAL"} if name in CHARGED else {}
        call = partial(getattr(self._client, name), **arguments, **asking)
        answer, retries = await self._answered(call)
        if asking:
            spent(*self.consumed.add(name, answer, retries=retries))
        return answer

    async def _answered(self, call: Callable[[], Any]) -> tuple[Any, int]:
        """The answer, and how often it was asked for in vain: a table that throttles is given time, more each time."""
        retries = 0
        for attempt in range(THROTTLED_TRIES):
            try:
                return await asyncio.get_running_loop().run_in_executor(self._workers, call), retries
            except DRIVER_ERRORS as error:
                if not is_throttled(error) or attempt == THROTTLED_TRIES - 1:
                    raise
                retries += 1 + retries_of(error)
            # Those that were throttled together should not come again together.
            await asyncio.sleep(random.random() * min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS))
        raise AssertionError("the last try answers or raises")


def connect(*, region: str | None, endpoint: str | None, credentials: Mapping[str, str]) -> Any:
    """A boto3 client; *credentials* are its keyword arguments."""
    # A session of its own: boto3's default one may not be used from several threads.
    # The mode's pauses for DynamoDB are 50 and 100 ms; those of "standard" begin at a second, far longer than a partition needs.
    config = Config(retries={"total_max_attempts": 3, "mode": "legacy"}, max_pool_connections=WORKERS, connect_timeout=3, read_timeout=10)
    arguments: Any = credentials
    return boto3.session.Session().client("dynamodb", region_name=region, endpoint_url=endpoint, config=config, **arguments)


def _inspected(client: Any, name: str, expiries: Expiries) -> Inspection:
    server, asked = f"DynamoDB ({client.meta.region_name})", time.perf_counter()
    try:
        described = client.describe_table(TableName=name)
    except client.exceptions.ResourceNotFoundException:
        notes = [f"there is no table {name!r} here; `aws dynamodb create-table --cli-input-json` takes what is missing"]
        return Inspection(server=server, missing=(creation(name),), notes=notes, round_trip_seconds=time.perf_counter() - asked)
    asked = time.perf_counter()
    client.get_item(TableName=name, Key=key_item(_PING))
    took = time.perf_counter() - asked
    missing = tuple(addition(name, index) for index in lacking(_index_names(described)))
    try:
        described = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    except client.exceptions.ClientError as error:
        if code_of(error) != "AccessDeniedException":
            raise
        notes = ["time to live was not looked at: allow dynamodb:DescribeTimeToLive"]
        return Inspection(server=server, missing=missing, notes=notes, round_trip_seconds=took)
    told = warnings(expiries, described, table=name)
    return Inspection(server=server, missing=missing, notes=[state(described)], warnings=told, round_trip_seconds=took)


def _index_names(described: Mapping[str, Any]) -> set[str]:
    return {index["IndexName"] for index in described["Table"].get("GlobalSecondaryIndexes", [])}


def _as_query(read: Read[Any]) -> Query[Any] | None:
    if isinstance(read, Count):
        return Query(read.kind, read.path, at=read.at, span=read.span, where=read.where)
    return read if isinstance(read, Query) else None


async def _picked(shared: Awaitable[Mapping[Place, Item]], place: Place) -> Item | None:
    return (await shared).get(place)


def _queued(change: Change) -> Place:
    """Where writers of this process queue: at the owner of the partition, or else at the item."""
    index = recent_of(layout_of(change.kind))
    if index is None or index.recent is None or not isinstance(change, Save):
        return item_key(change.kind, change.key)
    return owner_key(index.recent, fields_by(change.kind, index.by, change.record))
