"""The DynamoDB engine, certified by the kit on DynamoDB Local."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mastra_core.storage.records.kind import Key, Kind
from mastra_core.testing import EngineContract, MemoryContract
from mastra_dynamodb import keys
from mastra_dynamodb.engine import DynamoDBEngine
from mastra_dynamodb.store import DynamoDBStore
from tests.servers.dynamodb import create_table


def item_of(kind: Kind[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """An item as TypeScript writes it."""
    json_fields = {field.stored for field in kind.fields if field.type in {"json", "json_text"}}
    item = {name: json.dumps(value) if name in json_fields else value for name, value in document.items() if value is not None}
    layout = keys.layout_of(kind)
    pk, sk = keys.item_key(kind, tuple(document[kind.by_name[name].stored] for name in kind.key))
    item |= {"pk": pk, "sk": sk, "entity": layout.entity, "__edb_e__": layout.entity, "__edb_v__": "1"}
    for index in keys.written_indexes(layout):
        item |= {
            f"{index.name}pk": keys.index_partition(layout, index, item),
            f"{index.name}sk": keys.index_sort(layout, index.order, item[index.order]),
        }
    return {name: {"S": value} for name, value in item.items()}


class TestDynamoDBEngine(EngineContract):
    """The port."""

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any) -> None:
        self.client = dynamodb_client

    @asynccontextmanager
    async def open_engine(self) -> AsyncIterator[DynamoDBEngine]:
        table = f"mastra-test-{uuid.uuid4().hex}"
        create_table(self.client, table)
        yield DynamoDBEngine(table, client=self.client)
        self.client.delete_table(TableName=table)

    async def peek(self, engine: DynamoDBEngine, kind: Kind[Any], key: Key) -> Mapping[str, Any] | None:
        pk, sk = keys.item_key(kind, key)
        item = self.client.get_item(TableName=engine._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True).get("Item")
        return None if item is None or "id" not in item else {name: value["S"] for name, value in item.items()}

    async def poke(self, engine: DynamoDBEngine, kind: Kind[Any], document: Mapping[str, Any]) -> bool:
        self.client.put_item(TableName=engine._table, Item=item_of(kind, document))
        return True


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
        self.client.put_item(TableName=self.shadow, Item=item_of(kind, document))
        return await super().poke(engine, kind, document)


class TestDynamoDBMemory(MemoryContract):
    """The memory domain."""

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any, dynamodb_table: str) -> None:
        self.client, self.table = dynamodb_client, dynamodb_table

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[DynamoDBStore]:
        yield DynamoDBStore(table_name=self.table, client=self.client)
