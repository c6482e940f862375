"""The whole kit while every secondary index is 2 seconds behind and a fifth of all requests is throttled, which DynamoDB Local never does."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from mastra_core import clock
from mastra_core.errors import StorageUnavailableError
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.testing import (
    CompositeContract,
    EngineContract,
    MemoryContract,
    ObservabilityContract,
    RetentionContract,
    ScoresContract,
    WorkflowsContract,
    contract,
)
from mastra_core.testing.engine import model
from mastra_dynamodb import keys
from mastra_dynamodb.engine import DynamoDBEngine, connect
from mastra_dynamodb.store import DynamoDBStore
from tests.servers.dynamodb import create_table

BEHIND_SECONDS = 2.0
THROTTLED = 0.2
LOCAL = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
Answer = Callable[[Any], AWSResponse]


class Adverse:
    """A client of a table whose indexes show each write 2 seconds late: they are those of a second table, written to as time passes."""

    def __init__(self, client: Any, *, admin: Any, table: str, shadow: str) -> None:
        self._client = client
        self._admin = admin
        self._table = table
        self._shadow = shadow
        self._due: deque[tuple[float, dict[str, Any]]] = deque()
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **arguments: Any) -> Any:
        """Write, and note what the indexes will show."""
        answer = self._client.transact_write_items(**arguments)
        self.note(*(next(iter(element.values()))["Key"] for element in arguments["TransactItems"]))
        return answer

    def delete_item(self, **arguments: Any) -> Any:
        """Likewise."""
        answer = self._client.delete_item(**arguments)
        self.note(arguments["Key"])
        return answer

    def batch_get_item(self, **arguments: Any) -> Any:
        """Now and then a part of the keys is left for the next request, as under load."""
        ((table, asked),) = arguments["RequestItems"].items()
        wanted = asked["Keys"]
        now = wanted[: len(wanted) // 2] if len(wanted) > 1 and random.random() < THROTTLED else wanted
        answer = self._client.batch_get_item(**{**arguments, "RequestItems": {table: {**asked, "Keys": now}}})
        if now is not wanted:
            answer["UnprocessedKeys"] = {table: {**asked, "Keys": wanted[len(now) :]}}
        return answer

    def query(self, **arguments: Any) -> Any:
        """An index is that of the table that is late; the table itself is not late."""
        if "IndexName" not in arguments:
            return self._client.query(**arguments)
        self._deliver()
        return self._client.query(**{**arguments, "TableName": self._shadow})

    def note(self, *places: dict[str, Any]) -> None:
        """These items were written now."""
        with self._lock:
            self._due.extend((time.monotonic() + BEHIND_SECONDS, place) for place in places)

    def _deliver(self) -> None:
        with self._lock:
            while self._due and self._due[0][0] <= time.monotonic():
                place = self._due.popleft()[1]
                item = self._admin.get_item(TableName=self._table, Key=place, ConsistentRead=True).get("Item")
                if item is None:
                    self._admin.delete_item(TableName=self._shadow, Key=place)
                else:
                    self._admin.put_item(TableName=self._shadow, Item=item)


def throttle(client: Any, *, share: float, answer: Answer) -> None:
    """Have the service give *answer* to *share* of the requests that *client* sends, each try of the driver anew."""
    client.meta.events.register("before-send.dynamodb", lambda request, **_: answer(request) if random.random() < share else None)


class Tables:
    """Pairs of tables, each with a client that has a hard time with it; emptied and used again, since making them takes longer than a test."""

    def __init__(self, admin: Any, *, endpoint: str, answer: Answer) -> None:
        self._admin = admin
        self._client = connect(region="us-east-1", endpoint=endpoint, credentials=LOCAL)
        throttle(self._client, share=THROTTLED, answer=answer)
        self._idle: list[tuple[str, str]] = []
        self._names: list[str] = []

    @contextmanager
    def pair(self) -> Iterator[tuple[str, Adverse]]:
        """The name of an empty table, and the client for it."""
        table, shadow = self._idle.pop() if self._idle else self._made()
        for name in (table, shadow):
            self._empty(name)
        yield table, Adverse(self._client, admin=self._admin, table=table, shadow=shadow)
        self._idle.append((table, shadow))

    def close(self) -> None:
        """Delete the tables."""
        self._client.close()
        for name in self._names:
            self._admin.delete_table(TableName=name)

    def _made(self) -> tuple[str, str]:
        table, shadow = (f"mastra-test-{uuid.uuid4().hex}" for _ in range(2))
        for name in (table, shadow):
            create_table(self._admin, name)
        self._names += [table, shadow]
        return table, shadow

    def _empty(self, name: str) -> None:
        pages = self._admin.get_paginator("scan").paginate(TableName=name, ProjectionExpression="pk, sk", ConsistentRead=True)
        places = [item for page in pages for item in page["Items"]]
        for start in range(0, len(places), 25):
            self._admin.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": key}} for key in places[start : start + 25]]})


@pytest.fixture(scope="module")
def tables(dynamodb_client: Any, dynamodb_endpoint: str, refusal: Callable[[str], Answer]) -> Iterator[Tables]:
    """Tables in bad weather."""
    tables = Tables(dynamodb_client, endpoint=dynamodb_endpoint, answer=refusal("ThrottlingException"))
    yield tables
    tables.close()


class Weather:
    """Must hold: "The whole kit passes, also with GSI propagation delayed by 2 seconds and 20 % of requests throttled"."""

    @pytest.fixture(autouse=True)
    def _tables(self, tables: Tables, dynamodb_client: Any, typescript_item: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tables, self.admin, self.item_of = tables, dynamodb_client, typescript_item
        for module in (contract, model):
            # What is late by seconds need not be asked for fifty times a second.
            monkeypatch.setattr(module, "POLL_SECONDS", 0.2)

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[DynamoDBStore]:
        with self.tables.pair() as (table, client):
            yield DynamoDBStore(table_name=table, client=client)


@pytest.mark.scale
class TestDynamoDBEngineInBadWeather(Weather, EngineContract):
    """The port."""

    snapshot = Path(__file__).parent / "snapshots" / "dynamodb.txt"

    @pytest.fixture(autouse=True)
    def _written(self, written: Any) -> None:
        self.written = written

    async def on_disk(self, engine: DynamoDBEngine, kind: Kind[Any], key: Key) -> Mapping[str, Any]:
        return self.written(engine._table)

    @asynccontextmanager
    async def open_engine(self) -> AsyncIterator[DynamoDBEngine]:
        with self.tables.pair() as (table, client):
            yield DynamoDBEngine(table, client=client)

    async def poke(self, engine: DynamoDBEngine, kind: Kind[Any], document: Mapping[str, Any]) -> bool:
        item = self.item_of(kind, document)
        self.admin.put_item(TableName=engine._table, Item=item)
        engine._given.note({"pk": item["pk"], "sk": item["sk"]})
        return True

    def again(self, engine: DynamoDBEngine) -> DynamoDBEngine:
        return DynamoDBEngine(engine._table, client=engine._given)

    async def peek(self, engine: DynamoDBEngine, kind: Kind[Any], key: Key) -> Mapping[str, Any] | None:
        pk, sk = keys.item_key(kind, key)
        item = self.admin.get_item(TableName=engine._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True).get("Item")
        return None if item is None or "id" not in item else {name: value["S"] for name, value in item.items()}


@pytest.mark.scale
class TestDynamoDBMemoryInBadWeather(Weather, MemoryContract):
    """Threads, messages and resources."""


@pytest.mark.scale
class TestDynamoDBWorkflowsInBadWeather(Weather, WorkflowsContract):
    """Runs of workflows."""


@pytest.mark.scale
class TestDynamoDBScoresInBadWeather(Weather, ScoresContract):
    """Scores."""


@pytest.mark.scale
class TestDynamoDBObservabilityInBadWeather(Weather, ObservabilityContract):
    """Spans and traces."""


@pytest.mark.scale
class TestDynamoDBRetentionInBadWeather(Weather, RetentionContract):
    """Pruning and erasure."""


@pytest.mark.scale
class TestDynamoDBCompositeInBadWeather(Weather, CompositeContract):
    """Two tables."""

    @asynccontextmanager
    async def open_stores(self) -> AsyncIterator[tuple[DynamoDBStore, DynamoDBStore]]:
        with self.tables.pair() as (one, first), self.tables.pair() as (two, second):
            yield DynamoDBStore(id="one", table_name=one, client=first), DynamoDBStore(table_name=two, client=second)


async def test_conversations_are_whole_in_bad_weather(tables: Tables) -> None:
    """Ten turns of eight threads at once: each is read whole right after it was written."""
    with tables.pair() as (table, client):
        async with DynamoDBStore(table_name=table, client=client) as store:

            async def talk(name: str) -> list[list[str]]:
                seen = []
                for number in range(10):
                    thread = Thread(id=name, resource_id="u", created_at=clock.now(), updated_at=clock.now())
                    said = [Message(id=f"{name}-{number}-{role}", thread_id=name, resource_id="u") for role in ("a", "b")]
                    await store.memory.save_turn(thread=thread, messages=said)
                    seen.append([message.id for message in (await store.memory.read_turn(name, resource_id="u", last=40)).messages])
                return seen

            for name, seen in zip("abcdefgh", await asyncio.gather(*map(talk, "abcdefgh")), strict=True):
                whole = [f"{name}-{number}-{role}" for number in range(10) for role in ("a", "b")]
                assert seen == [whole[: 2 * number + 2] for number in range(10)]


@pytest.mark.usefixtures("impatient")
async def test_a_table_that_throttles_everything_is_told_with_the_mend(
    dynamodb_table: str, dynamodb_endpoint: str, refusal: Callable[[str], Answer]
) -> None:
    """Build: "Throttling: bounded retries with jitter, …, `StorageUnavailableError` past them"; nothing is acknowledged."""
    client = connect(region="us-east-1", endpoint=dynamodb_endpoint, credentials=LOCAL)
    store = DynamoDBStore(table_name=dynamodb_table, client=client)
    await store.init()
    throttle(client, share=1.1, answer=refusal("ThrottlingException"))
    with pytest.raises(
        StorageUnavailableError, match=r"throttles TransactWriteItems; raise the table's capacity, or switch it to on-demand"
    ):
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=clock.now(), updated_at=clock.now()))
    await store.close()
    client.close()
