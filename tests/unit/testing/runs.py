"""Running single tests of the kit against an engine, without collecting them."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mastra_core.errors import MastraError
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.wire import dump_json, load_json
from mastra_core.testing import EngineContract

SNAPSHOT = Path(__file__).parents[2] / "contract" / "snapshots" / "inmemory.txt"
"""What the model stores, and with it each engine made of it."""

RED = (AssertionError, pytest.fail.Exception)


def contract_of(engine_class, **attributes):
    """A contract over *engine_class*, as a user would write it."""

    class Contract(EngineContract):
        snapshot = SNAPSHOT

        @asynccontextmanager
        async def open_engine(self):
            yield engine_class()

        async def peek(self, engine, kind, key):
            text = engine.tables.get(kind.name, {}).get(key)
            return None if text is None else load_json(text, kind=kind.name, key=key, field="")

        async def on_disk(self, engine, kind, key):
            return {"document": engine.tables[kind.name][key]}

        async def poke(self, engine, kind, document):
            engine.tables.setdefault(kind.name, {})[(document["id"],)] = dump_json(document, at=kind.name, any_unicode=True)
            return True

        def again(self, engine):
            return engine.again() if hasattr(engine, "again") else None

    for name, value in attributes.items():
        setattr(Contract, name, value)
    return Contract


async def run(contract, test, **arguments):
    """Run one test of *contract* on a fresh engine."""
    instance = contract()
    if test == "test_a_random_walk_agrees_with_the_model":
        await instance.test_a_random_walk_agrees_with_the_model(**arguments)
        return
    async with instance.open_engine() as engine:
        if "engine" in inspect.signature(getattr(instance, test)).parameters:
            await getattr(instance, test)(engine=engine, **arguments)
            return
        records = Records(engine, store_id="kit")
        await records.open()
        instance.capabilities = engine.capabilities
        await getattr(instance, test)(records=records, **arguments)


async def is_red(contract, test, **arguments):
    """Whether the test fails, by its own assertion or by an error of the engine under test."""
    try:
        await run(contract, test, **arguments)
    except (*RED, MastraError):
        return True
    return False
