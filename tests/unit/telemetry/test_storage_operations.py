"""Operations of stores in traces and metrics: what is asked for is told, what is stored is not, and nobody else pays."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from mastra_core import (
    Agent,
    ConfigurationError,
    Mastra,
    Memory,
    MemoryOptions,
    Observability,
    SemanticRecall,
    StorageUnavailableError,
    clock,
)
from mastra_core.storage import InMemoryVector, LibSQLStore, Store
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.engine import Fault
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.kinds import Thread
from mastra_core.storage.records.span_kinds import Span
from mastra_core.storage.records.watching import spent
from mastra_core.telemetry.exporter import MastraSpanExporter
from tests.unit.agent.models import CountingStore, ScriptedModel

pytestmark = pytest.mark.usefixtures("both_ways")
HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
START = clock.from_text("2026-01-01T00:00:00.000Z")
READ, SAVE = "storage: memory.read_turn", "storage: memory.save_turn"


class Numbers:
    """Embeds a text as two numbers."""

    provider, model_id, dimension = "numbers", "two", 2

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0] for text in texts]


def observed(storage: Store, *, observability: Observability, memory: Memory | None = None) -> Mastra:
    """A Mastra of one agent `a`, which remembers."""
    agent = Agent("a", model=ScriptedModel("Hello."), memory=memory or Memory())
    return Mastra(storage=storage, agents={"a": agent}, observability=observability)


def file_store(folder: Path) -> LibSQLStore:
    return LibSQLStore(url=f"file:{folder}/shared.db", id="main")


async def spans_of(store: Store, trace_id: str | None) -> tuple[Span, ...]:
    found = await store.observability.get_trace(str(trace_id))
    assert found is not None
    return found.spans


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    """Reads what a MeterProvider holds."""
    reader = InMemoryMetricReader()
    yield reader
    reader.shutdown()


def read(reader: InMemoryMetricReader) -> dict[str, dict[tuple[str, ...], Any]]:
    """By metric, the count or value by the operation's (or component's) name and the error."""
    found: dict[str, dict[tuple[str, ...], Any]] = {}
    data = reader.get_metrics_data()
    for metric in [m for resource in data.resource_metrics for scope in resource.scope_metrics for m in scope.metrics] if data else []:
        for point in metric.data.data_points:
            told = dict(point.attributes or {})
            named = told.get("db.operation.name") or told.get("otel.component.type") or told["db.client.connection.pool.name"]
            key = (str(named), *([str(told["error.type"])] if "error.type" in told else []))
            found.setdefault(metric.name, {})[key] = getattr(point, "count", None) or getattr(point, "value", None)
    return found


async def test_operations_of_stores_are_steps_of_the_run_by_option(tmp_path: Path) -> None:
    """Issue: "instrumentation of …, as an option, storage operations": name, store, batches; and never what the exporter itself writes."""
    async with file_store(tmp_path) as store, observed(store, observability=Observability(storage_operations=True)) as mastra:
        result = await mastra.get_agent("a").generate("Hello?", **HERE)
        assert mastra.observer is not None
        # Each of these writes spans, and is none.
        assert await mastra.observer.flush()
        assert await mastra.observer.flush()
        # Outside of runs nothing is traced.
        await store.memory.list_threads()
        spans = await spans_of(store, result.trace_id)
        assert len(await store.observability.list_traces()) == 1
    assert mastra.observer.stored == len(spans) == 7
    names = {span.span_id: span.name for span in spans}
    below = {span.name: (names.get(str(span.parent_span_id)), span.attributes) for span in spans if span.name.startswith("storage")}
    assert below == {
        READ: ("memory: recall", {"operation": "read_turn", "store": "main", "batches": 1, "retries": 0}),
        SAVE: ("memory: save", {"operation": "save_turn", "store": "main", "batches": 1, "retries": 0}),
    }
    saved = next(span for span in spans if span.name == SAVE)
    assert (saved.input, saved.output, saved.span_type, saved.thread_id, saved.root_entity_id) == (None, None, "generic", "t1", "a")


async def test_searches_of_vectors_are_steps_too() -> None:
    """Semantic recall shows what its vector store took, beside the model and the threads."""
    store = CountingStore()
    memory = Memory(vector=InMemoryVector(), embedder=Numbers(), options=MemoryOptions(semantic_recall=SemanticRecall()))
    async with observed(store, observability=Observability(storage_operations=True), memory=memory) as mastra:
        agent = mastra.get_agent("a")
        await agent.generate("Hello?", **HERE)
        await agent.drain()
        result = await agent.generate("Again?", **HERE)
        assert mastra.observer is not None
        await mastra.observer.flush()
        spans = await spans_of(store, result.trace_id)
    found = [(span.span_type, span.attributes) for span in spans if span.name == "storage: vectors.query"]
    assert [(kind, (told or {})["operation"]) for kind, told in found] == [("rag_vector_operation", "query")]


async def test_off_no_operation_is_told_to_anybody() -> None:
    """Must hold: "off, it costs nothing": without the option, and without a MeterProvider, stores have nobody to tell."""
    store = CountingStore()
    async with observed(store, observability=Observability()) as mastra:
        result = await mastra.get_agent("a").generate("Hello?", **HERE)
        assert mastra.observer is not None
        await mastra.observer.flush()
        assert not store.records.watchers
        assert not [span for span in await spans_of(store, result.trace_id) if span.name.startswith("storage")]


async def test_a_store_that_outlives_its_mastra_tells_nobody_any_more(reader: InMemoryMetricReader) -> None:
    """Whoever used a store leaves it as it was."""
    store = CountingStore()
    async with observed(store, observability=Observability(storage_operations=True, meter_provider=MeterProvider([reader]))):
        assert len(store.records.watchers) == 2
    assert not store.records.watchers


async def test_an_exporter_in_the_runs_own_loop_does_not_trace_itself() -> None:
    """Exported at once on the loop of the run, within its context, a span's writing makes no span, which would be written, and so on."""
    store = CountingStore(id="own")
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = MastraSpanExporter(store)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with observed(store, observability=Observability(storage_operations=True, tracer_provider=provider)) as mastra:
        result = await mastra.get_agent("a").generate("Hello?", **HERE)
        await asyncio.to_thread(exporter.force_flush)
        assert mastra.observer is not None
        await mastra.observer.flush()
        assert len(await spans_of(store, result.trace_id)) == 7
    provider.shutdown()


class FlakyEngine(InMemoryEngine):
    """Fails as a database does whose connection is lost, as often as it is told."""

    driver_errors: tuple[type[BaseException], ...] = (ConnectionError,)

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        return await super().apply(changes, atomic=atomic)

    def diagnose(self, error: BaseException) -> Fault:
        return Fault(error=StorageUnavailableError, message="SAID-BY-DATABASE", retry=True)


async def test_retries_and_failures_are_told_where_they_happened() -> None:
    """A slow answer is explained by its trace: the write that was given again, and in the end given up; its text only where allowed."""
    engine = FlakyEngine()
    store = Store(engine, id="flaky", product="inmemory")
    hide = Observability(storage_operations=True, redact_output=lambda _: "[hidden]")
    async with observed(store, observability=hide) as mastra:
        agent, observer = mastra.get_agent("a"), mastra.observer
        engine.failures = 1
        retried = await agent.generate("Hello?", **HERE)
        engine.failures = 4
        with pytest.raises(StorageUnavailableError):
            await agent.generate("Hello?", **HERE)
        assert observer is not None
        await observer.flush()
        (failed,) = await store.observability.list_traces(filters={"status": "error"})
        saves = [
            next(span for span in await spans_of(store, trace_id) if span.name == SAVE) for trace_id in (retried.trace_id, failed.trace_id)
        ]
    told = [(dict(save.attributes or {})["retries"], None if save.error is None else dict(save.error)) for save in saves]
    assert told == [(1, None), (3, {"message": "[hidden]", "name": "StorageUnavailableError"})]


class ChargingEngine(InMemoryEngine):
    """Charges for each write, in two requests, as DynamoDB does."""

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        spent("write_units", 1.5)
        await asyncio.gather(asyncio.to_thread(spent, "write_units", 0.5))
        return await super().apply(changes, atomic=atomic)


async def test_what_a_database_charges_for_is_told_by_operation(reader: InMemoryMetricReader) -> None:
    """Issue 8: "Consumed capacity per operation (…, span attributes)": whatever an engine says that its requests took, and nobody else's."""
    store = Store(ChargingEngine(), id="charging", product="inmemory")
    options = Observability(storage_operations=True, meter_provider=MeterProvider([reader]))
    async with observed(store, observability=options) as mastra:
        result = await mastra.get_agent("a").generate("Hello?", **HERE)
        assert mastra.observer is not None
        await mastra.observer.flush()
        told = {span.name: dict(span.attributes or {}) for span in await spans_of(store, result.trace_id)}
        found = read(reader)
    assert told[SAVE] == {"operation": "save_turn", "store": "charging", "batches": 1, "retries": 0, "write_units": 2.0}
    assert "write_units" not in told[READ]
    assert found["mastra.storage.spent"]["memory.save_turn",] == 2.0
    assert ("memory.read_turn",) not in found["mastra.storage.spent"]


async def test_metrics_of_storage_go_to_the_meter_provider_handed_in(tmp_path: Path, reader: InMemoryMetricReader) -> None:
    """Issue: "Metrics (OpenTelemetry): storage operations, latencies, round trips, …, drops", by the names of the conventions."""
    options = Observability(meter_provider=MeterProvider([reader]))
    async with file_store(tmp_path) as store:
        async with observed(store, observability=options) as mastra:
            # Outside of a run too.
            await store.memory.save_thread(Thread(id="t1", resource_id="u1", created_at=START, updated_at=START))
            for _ in range(3):
                await mastra.get_agent("a").generate("Hello?", **HERE)
        found = read(reader)
    assert mastra.observer is not None
    writes = found["db.client.operation.duration"].pop(("observability.batch_create_spans",))
    assert found["db.client.operation.duration"] == {("memory.save_thread",): 1, ("memory.read_turn",): 3, ("memory.save_turn",): 3}
    assert found["mastra.storage.batches"] == {
        ("memory.save_thread",): 1, ("memory.read_turn",): 3, ("memory.save_turn",): 3, ("observability.batch_create_spans",): writes,
    }  # fmt: skip
    assert found["otel.sdk.exporter.span.exported"] == {("mastra_span_exporter",): 15}
    assert mastra.observer.stored == 15


async def test_the_time_system_and_store_of_an_operation_are_measured(tmp_path: Path, reader: InMemoryMetricReader) -> None:
    """A dashboard of database clients shows our operations beside others: seconds, by system, operation and store."""
    async with file_store(tmp_path) as store, observed(store, observability=Observability(meter_provider=MeterProvider([reader]))):
        await store.memory.get_thread_by_id("t1")
        data = reader.get_metrics_data()
    assert data is not None
    (duration,) = (
        metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "db.client.operation.duration"
    )
    (point,) = duration.data.data_points
    assert duration.unit == "s"
    assert dict(point.attributes or {}) == {
        "db.system.name": "sqlite", "db.operation.name": "memory.get_thread_by_id", "mastra.store.id": "main",
    }  # fmt: skip
    assert 0 < point.sum < 60  # type: ignore[union-attr]
    assert point.explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)  # type: ignore[union-attr]


async def test_retries_failures_and_drops_are_counted(reader: InMemoryMetricReader) -> None:
    """An operator sees a database that fails now and then, and spans that were lost, before users tell."""
    engine = FlakyEngine()
    store = Store(engine, id="flaky", product="inmemory")
    options = Observability(meter_provider=MeterProvider([reader]), max_buffered_spans=2)
    async with observed(store, observability=options) as mastra:
        agent, observer = mastra.get_agent("a"), mastra.observer
        assert observer is not None
        engine.failures = 1
        await agent.generate("Hello?", **HERE)
        # Of five spans three are too many for a buffer of two.
        await observer.flush()
        engine.failures = 4
        with pytest.raises(StorageUnavailableError):
            await agent.generate("Hello?", **HERE)
        found = read(reader)
    assert found["mastra.storage.retries"] == {("memory.save_turn",): 4}
    assert found["db.client.operation.duration"]["memory.save_turn",] == 1
    assert found["db.client.operation.duration"]["memory.save_turn", "StorageUnavailableError"] == 1
    assert found["otel.sdk.exporter.span.exported"] == {("mastra_span_exporter",): 2, ("mastra_span_exporter", "dropped"): 3}


GLOBAL = """
import asyncio
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from mastra_core import Agent, Mastra
from mastra_core.agent.model import ModelReply, Usage
from mastra_core.storage import InMemoryStore
class Model:
    provider, model_id = "p", "m"
    async def complete(self, request):
        return ModelReply(text="x", finish_reason="stop", usage=Usage())
    def stream(self, request): ...
reader = InMemoryMetricReader()
async def main():
    async with Mastra(storage=InMemoryStore(), agents={"a": Agent("a", model=Model())}, observability=True) as mastra:
        metrics.set_meter_provider(MeterProvider([reader]))
        await mastra.get_agent("a").generate("Hello?")
asyncio.run(main())
scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
print(sorted(metric.name for scope in scopes for metric in scope.metrics if scope.scope.name == "mastra_core"))
"""


def test_the_programs_global_meter_provider_is_joined() -> None:
    """A program that sets up OpenTelemetry's metrics, also after its Mastra but before its first run, gets ours without an option."""
    ran = subprocess.run([sys.executable, "-c", GLOBAL], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['db.client.operation.duration', 'mastra.storage.batches', 'otel.sdk.exporter.span.exported']"


@pytest.mark.parametrize("option, wrong", [("storage_operations", 1), ("meter_provider", object())])
def test_an_option_that_cannot_be_is_refused_where_it_is_written(option: str, wrong: Any) -> None:
    """A mistake is told by name and value, not by spans that never come."""
    with pytest.raises(ConfigurationError, match=f"Observability: {option} must be .*, found "):
        Observability(**{option: wrong})
