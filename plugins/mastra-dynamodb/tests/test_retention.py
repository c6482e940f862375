"""Pruning and erasure in DynamoDB, certified by the kit on DynamoDB Local."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mastra_core.testing.retention.contract import RetentionContract
from mastra_dynamodb.store import DynamoDBStore


class TestDynamoDBRetention(RetentionContract):
    """Must hold: "The whole kit passes": in a table of the test's own."""

    @pytest.fixture(autouse=True)
    def _server(self, dynamodb_client: Any, dynamodb_table: str) -> None:
        self.client, self.table = dynamodb_client, dynamodb_table

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[DynamoDBStore]:
        yield DynamoDBStore(table_name=self.table, client=self.client)
