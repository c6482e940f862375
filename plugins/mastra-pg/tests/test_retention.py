"""Pruning and erasure on a real PostgreSQL, certified by the kit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mastra_core.testing.retention.contract import RetentionContract
from mastra_pg.store import PostgresStore


class TestPostgresRetention(RetentionContract):
    """In a database of the test's own."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.url = postgres_url

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[PostgresStore]:
        yield PostgresStore(connection_string=self.url)
