"""The DynamoDB engine, certified by the kit on DynamoDB Local."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mastra_core.storage.records.kind import Key, Kind
from mastra_core.testing import CompositeContract, EngineContract, MemoryContract
from mastra_dynamodb import keys
from mastra_dynamodb.engine import DynamoDBEngine
from mastra_dynamodb.store import DynamoDBStore
from tests.servers.dynamodb import create_table


def shown(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of an item with their types, marks without the random end of their tokens."""
    attributes = {}
    for name in sorted(item):
        ((form, value),) = item[name].items()
        marked = f"{name[:-6]}??????" if name.startswith(keys.MARKS) and name != keys.MARKS else name
        attributes[f"{item[keys.ENTITY]['S']} {marked} {form}"] = f"{value[:-6]}??????" if name == keys.MARKS else value
    return attributes


class TestDynamoDBEngine(EngineContract):
    """The port."""

    snapshot = Path(__file__).parent / "snapshots" / "dynamodb.txt"

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any, typescript_item: Any) -> None:
        self.client, self.item_of = dynamodb_client, typescript_item

    @asynccontextmanager
    async def open_engine(self) -> AsyncIterator[DynamoDBEngine]:
        table = f"mastra-test-{uuid.uuid4().hex}"
        create_table(self.client, table)
        yield DynamoDBEngine(table, client=self.client)
        self.client.delete_table(TableName=table)

    def again(self, engine: DynamoDBEngine) -> DynamoDBEngine:
        return DynamoDBEngine(engine._table, client=engine._given)

    async def peek(self, engine: DynamoDBEngine, kind: Kind[Any], key: Key) -> Mapping[str, Any] | None:
        pk, sk = keys.item_key(kind, key)
        item = self.client.get_item(TableName=engine._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True).get("Item")
        return None if item is None or "id" not in item else {name: value["S"] for name, value in item.items()}

    async def on_disk(self, engine: DynamoDBEngine, kind: Kind[Any], key: Key) -> Mapping[str, Any]:
        """The items that are new or other than at the last look, without the random part of marks."""
        items = self.client.scan(TableName=engine._table, ConsistentRead=True)["Items"]
        seen: dict[str, Any] = vars(self).get("seen", {})
        self.seen = {f"{item['pk']['S']} {item['sk']['S']}": shown(item) for item in items}
        return {name: value for place, item in sorted(self.seen.items()) if seen.get(place) != item for name, value in item.items()}

    async def poke(self, engine: DynamoDBEngine, kind: Kind[Any], document: Mapping[str, Any]) -> bool:
        self.client.put_item(TableName=engine._table, Item=self.item_of(kind, document))
        return True


@pytest.mark.scale
class TestDynamoDBEngineWithALateIndex(TestDynamoDBEngine):
    """The port, while the index of messages shows every write only after the next one."""

    @pytest.fixture(autouse=True)
    def _lagging(self, lagging: Any) -> None:
        self.lagging = lagging

    @asynccontextmanager
    async def open_engine(self) -> AsyncIterator[DynamoDBEngine]:
        table, self.shadow = (f"mastra-test-{uuid.uuid4().hex}" for _ in range(2))
        for name in (table, self.shadow):
            create_table(self.client, name)
        yield DynamoDBEngine(table, client=self.lagging(self.client, table=table, shadow=self.shadow))
        for name in (table, self.shadow):
            self.client.delete_table(TableName=name)

    async def poke(self, engine: DynamoDBEngine, kind: Kind[Any], document: Mapping[str, Any]) -> bool:
        self.client.put_item(TableName=self.shadow, Item=self.item_of(kind, document))
        return await super().poke(engine, kind, document)


class TestDynamoDBMemory(MemoryContract):
    """The memory domain."""

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any, dynamodb_table: str) -> None:
        self.client, self.table = dynamodb_client, dynamodb_table

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[DynamoDBStore]:
        yield DynamoDBStore(table_name=self.table, client=self.client)


@pytest.mark.scale
class TestDynamoDBMemoryWithALateIndex(MemoryContract):
    """The memory domain, while the index of messages shows every write only after the next one."""

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any, lagging: Any) -> None:
        self.client, self.lagging = dynamodb_client, lagging

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[DynamoDBStore]:
        names = [f"mastra-test-{uuid.uuid4().hex}" for _ in range(2)]
        for name in names:
            create_table(self.client, name)
        yield DynamoDBStore(table_name=names[0], client=self.lagging(self.client, table=names[0], shadow=names[1]))
        for name in names:
            self.client.delete_table(TableName=name)


class TestDynamoDBComposite(CompositeContract):
    """Two tables."""

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any) -> None:
        self.client = dynamodb_client

    @asynccontextmanager
    async def open_stores(self) -> AsyncIterator[tuple[DynamoDBStore, DynamoDBStore]]:
        names = [f"mastra-test-{uuid.uuid4().hex}" for _ in range(2)]
        for name in names:
            create_table(self.client, name)
        yield DynamoDBStore(id="one", table_name=names[0], client=self.client), DynamoDBStore(table_name=names[1], client=self.client)
        for name in names:
            self.client.delete_table(TableName=name)
