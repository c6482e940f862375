from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.wire import dump_json, load_json
from mastra_core.testing import EngineContract, MemoryContract


class TestInMemoryEngine(EngineContract):
    """The model itself keeps every promise."""

    snapshot = Path(__file__).parent / "snapshots" / "inmemory.txt"

    @asynccontextmanager
    async def open_engine(self):
        yield InMemoryEngine()

    async def peek(self, engine, kind, key):
        text = engine.tables.get(kind.name, {}).get(key)
        return None if text is None else load_json(text, kind=kind.name, key=key, field="")

    async def on_disk(self, engine, kind, key):
        return {"document": engine.tables[kind.name][key]}

    async def poke(self, engine, kind, document):
        engine.tables.setdefault(kind.name, {})[(document["id"],)] = dump_json(document, at=kind.name, any_unicode=True)
        return True


class TestInMemoryStore(MemoryContract):
    """Threads and messages in a dictionary keep every promise."""

    @asynccontextmanager
    async def open_store(self):
        async with InMemoryStore() as store:
            yield store
