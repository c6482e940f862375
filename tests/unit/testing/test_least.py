"""What the kit asks of an engine that declares nothing beyond the least: all of the kit, run."""

from __future__ import annotations

from contextlib import asynccontextmanager

from mastra_core.storage.store import Store
from mastra_core.testing import MemoryContract
from tests.unit.testing.engines import DoesTheLeast
from tests.unit.testing.runs import contract_of


class TestDoesTheLeast(contract_of(DoesTheLeast)):
    """Tests of what it cannot do pass because it refuses, all others because it does the least."""


class TestDoesTheLeastForMemory(MemoryContract):
    """Likewise for threads and messages."""

    @asynccontextmanager
    async def open_store(self):
        yield Store(DoesTheLeast(), id="least", product="kit")
