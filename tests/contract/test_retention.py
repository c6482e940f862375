"""Pruning and erasure of the built-in stores, certified by the kit."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager

from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.testing.retention.contract import RetentionContract


class TestInMemoryRetention(RetentionContract):
    """In a dictionary."""

    @asynccontextmanager
    async def open_store(self):
        yield InMemoryStore()


class TestLibSQLRetention(RetentionContract):
    """In a file."""

    @asynccontextmanager
    async def open_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield LibSQLStore(url=f"file:{folder}/retention.db")
