"""What tracing adds to a turn, counted in batches and statements; and that it adds nothing when it is off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mastra_core import Observability
from tests.tracing import Trace as SqliteTrace
from tests.unit.agent.models import CountingStore
from tests.unit.telemetry.observing import HERE, file_store, observed

pytestmark = pytest.mark.usefixtures("both_ways")


async def test_nothing_is_traced_when_it_is_off(joined: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    """Must hold: "off, it costs nothing": a run makes the storage calls that it made before, and its result names no trace."""
    store = CountingStore()
    async with observed(store, "Hello.", observability=False) as mastra:
        result = await mastra.get_agent("a").generate("Hello?", **HERE)
        assert (result.trace_id, mastra.observer, store.batches()) == (None, None, ["fetch", "apply"])


async def test_a_traced_turn_costs_one_batch_more_after_its_answer() -> None:
    """Must hold: "A turn with observability on costs at most 2 storage round trips more, off the critical path"."""
    store = CountingStore()
    async with observed(store, "Hello.") as mastra:
        await mastra.get_agent("a").generate("Hello?", **HERE)
        assert store.batches() == ["fetch", "apply"]
        assert mastra.observer is not None
        await mastra.observer.flush()
        assert store.batches() == ["apply"]


@pytest.mark.parametrize("storage_operations", [False, True])
async def test_a_traced_turn_costs_libsql_one_transaction_more_after_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage_operations: bool
) -> None:
    """Must hold: "A turn with observability on costs at most 2 storage round trips more, off the critical path": 1 hop, as SQLite counts."""
    sqlite = SqliteTrace.installed(monkeypatch)
    async with file_store(tmp_path, "off") as store, observed(store, "Hello.", observability=False) as mastra:
        await mastra.get_agent("a").generate("Hello?", **HERE)
        sqlite.clear()
        await mastra.get_agent("a").generate("Hello?", **HERE)
        hops, statements = sqlite.taken()
    options = Observability(storage_operations=storage_operations)
    async with file_store(tmp_path, "on") as store, observed(store, "Hello.", observability=options) as mastra:
        assert mastra.observer is not None
        await mastra.get_agent("a").generate("Hello?", **HERE)
        await mastra.observer.flush()
        sqlite.clear()
        await mastra.get_agent("a").generate("Hello?", **HERE)
        until_answer = sqlite.taken()
        await mastra.observer.flush()
        after = sqlite.taken()
    assert (hops, len(statements)) == (2, 6)
    assert (until_answer[0], len(until_answer[1])) == (hops, len(statements))
    assert (after[0], len(after[1])) == (1, 3)
    assert (after[1][0], after[1][2]) == ("BEGIN IMMEDIATE", "COMMIT")


OFF = """
import asyncio, sys
from mastra_core import Agent, Mastra
from mastra_core.agent.model import ModelReply, Usage
from mastra_core.storage import InMemoryStore
class Model:
    provider, model_id = "p", "m"
    async def complete(self, request):
        return ModelReply(text="x", finish_reason="stop", usage=Usage())
    def stream(self, request): ...
async def main():
    async with Mastra(storage=InMemoryStore(), agents={"a": Agent("a", model=Model())}) as mastra:
        await mastra.get_agent("a").generate("Hello?")
asyncio.run(main())
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_off_imports_no_opentelemetry() -> None:
    """Must hold: "off, it costs nothing and imports nothing"."""
    ran = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
