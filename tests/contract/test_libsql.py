"""The embedded default, certified by the kit: in a file and in memory."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

from mastra_core.storage.libsql.driver import Place
from mastra_core.storage.libsql.engine import LibSQLEngine
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.testing import EngineContract, MemoryContract
from tests.contract.rows import insert, on_disk, select

SNAPSHOT = Path(__file__).parent / "snapshots" / "libsql.txt"


class TestLibSQLEngineInAFile(EngineContract):
    """Readers beside one writer."""

    snapshot = SNAPSHOT

    @asynccontextmanager
    async def open_engine(self):
        with tempfile.TemporaryDirectory() as folder:
            yield LibSQLEngine(Place(str(Path(folder) / "engine.db")))

    async def peek(self, engine, kind, key):
        return await engine.writer.run(lambda connection: select(connection, kind, key))

    async def on_disk(self, engine, kind, key):
        return await engine.writer.run(lambda connection: on_disk(connection, kind, key))

    async def poke(self, engine, kind, document):
        return await engine.writer.run(lambda connection: insert(connection, kind, document))

    def again(self, engine):
        return None if engine.place.path is None else LibSQLEngine(engine.place)


class TestLibSQLEngineInMemory(TestLibSQLEngineInAFile):
    """One connection for everything."""

    @asynccontextmanager
    async def open_engine(self):
        yield LibSQLEngine(Place(None))


class TestLibSQLMemory(MemoryContract):
    """The memory domain over a file."""

    @asynccontextmanager
    async def open_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield LibSQLStore(url=f"file:{folder}/memory.db")
