"""Stores put together from the built-in ones, certified by the kit."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager

from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.testing import CompositeContract


class TestInMemoryComposite(CompositeContract):
    """Two dictionaries."""

    @asynccontextmanager
    async def open_stores(self):
        yield InMemoryStore(id="one"), InMemoryStore(id="other")


class TestLibSQLComposite(CompositeContract):
    """Two files."""

    @asynccontextmanager
    async def open_stores(self):
        with tempfile.TemporaryDirectory() as folder:
            yield LibSQLStore(id="one", url=f"file:{folder}/one.db"), LibSQLStore(id="other", url=f"file:{folder}/other.db")
