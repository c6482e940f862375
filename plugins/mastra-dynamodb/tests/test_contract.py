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


class TestDynamoDBEngine(EngineContract):
    """Must hold: "The whole kit passes": the port."""

    snapshot = Path(__file__).parent / "snapshots" / "dynamodb.txt"

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any, typescript_item: Any, written: Any) -> None:
        self.client, self.item_of, self.written = dynamodb_client, typescript_item, written

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
        return self.written(engine._table)

    async def poke(self, engine: DynamoDBEngine, kind: Kind[Any], document: Mapping[str, Any]) -> bool:
        self.client.put_item(TableName=engine._table, Item=self.item_of(kind, document))
        return True


class TestDynamoDBMemory(MemoryContract):
    """Must hold: "The whole kit passes": the memory domain."""

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any, dynamodb_table: str) -> None:
        self.client, self.table = dynamodb_client, dynamodb_table

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[DynamoDBStore]:
        yield DynamoDBStore(table_name=self.table, client=self.client)


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
