"""Spans and traces of the built-in stores, certified by the kit."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager

from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.testing import ObservabilityContract


class TestInMemoryObservability(ObservabilityContract):
    """In a dictionary."""

    @asynccontextmanager
    async def open_store(self):
        yield InMemoryStore()


class TestLibSQLObservability(ObservabilityContract):
    """In a file."""

    @asynccontextmanager
    async def open_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield LibSQLStore(url=f"file:{folder}/spans.db")
