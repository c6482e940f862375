"""How busy the connections of stores are, as a program's metrics tell it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from mastra_core import Agent, Mastra, Observability
from mastra_core.storage import InMemoryStore, Store, open_store
from mastra_core.storage.records.engine import PoolState
from mastra_core.storage.records.inmemory import InMemoryEngine
from tests.unit.agent.models import ScriptedModel

COUNT, PENDING = "db.client.connection.count", "db.client.connection.pending_requests"


class PooledEngine(InMemoryEngine):
    """An engine that says how busy it is."""

    state = PoolState(open=5, idle=2, waiting=3)

    def pool(self) -> PoolState | None:  # type: ignore[override]  # the in-memory one never has any
        return self.state


def read(reader: InMemoryMetricReader) -> dict[tuple[str, ...], Any]:
    """By metric, pool and state, the value."""
    data = reader.get_metrics_data()
    metrics = [metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics] if data else []
    told = [(metric.name, metric.unit, point) for metric in metrics for point in metric.data.data_points if "connection" in metric.name]
    names = ("db.client.connection.pool.name", "db.client.connection.state")
    return {
        (name, str(unit), *(str(point.attributes[key]) for key in names if point.attributes and key in point.attributes)): getattr(
            point, "value", None
        )
        for name, unit, point in told
    }


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    """Reads what a MeterProvider holds."""
    reader = InMemoryMetricReader()
    yield reader
    reader.shutdown()


@asynccontextmanager
async def measured(store: Store, provider: MeterProvider) -> AsyncIterator[Mastra]:
    """A Mastra over *store*, which is in use."""
    agents = {"a": Agent("a", model=ScriptedModel("Hello."))}
    async with Mastra(storage=store, agents=agents, observability=Observability(meter_provider=provider)) as mastra:
        await store.memory.get_thread_by_id("t1")
        yield mastra


async def test_connections_are_told_by_pool_and_state_while_a_mastra_is_open(reader: InMemoryMetricReader) -> None:
    """Issue: "Metrics: … pool": a dashboard shows each store's connections by OpenTelemetry's names, and none of a store that is closed."""
    provider = MeterProvider([reader])
    async with measured(Store(PooledEngine(), id="main", product="inmemory"), provider) as mastra:
        async with measured(Store(PooledEngine(), id="other", product="inmemory"), provider):
            of_other = {key for key in read(reader) if "other" in key}
        found = read(reader)
        assert mastra.observer is not None
        await mastra.observer.close()
        # The store is open still, but is nobody's business any more.
        assert read(reader) == {}
    assert len(of_other) == 3
    assert found == {
        (COUNT, "{connection}", "main", "used"): 3,
        (COUNT, "{connection}", "main", "idle"): 2,
        (PENDING, "{request}", "main"): 3,
    }


async def test_pools_of_one_name_are_added_up(reader: InMemoryMetricReader) -> None:
    """Two Mastras whose stores have one id hide nothing from each other, and closing one twice takes nothing from the other."""
    provider = MeterProvider([reader])
    shared = Store(PooledEngine(), id="main", product="inmemory")
    async with measured(shared, provider), measured(Store(PooledEngine(), id="main", product="inmemory"), provider):
        assert read(reader)[COUNT, "{connection}", "main", "used"] == 6
        again = Mastra(storage=shared, observability=Observability(meter_provider=provider))
        assert read(reader)[COUNT, "{connection}", "main", "used"] == 6
        assert again.observer is not None
        await again.observer.close()
        await again.observer.close()
        assert read(reader)[COUNT, "{connection}", "main", "used"] == 6


async def test_a_store_without_a_pool_is_not_told_of(reader: InMemoryMetricReader) -> None:
    """No line on a dashboard says 0 of something that is not there."""
    async with measured(InMemoryStore(), MeterProvider([reader])):
        assert read(reader) == {}


@pytest.mark.parametrize("server", ["postgres_url", "redis_url"])
async def test_the_connections_of_a_server_are_counted(server: str, reader: InMemoryMetricReader, request: pytest.FixtureRequest) -> None:
    """What the driver's own pool holds: nothing is in use before and after, and calls wait in the middle of many."""
    store = open_store(request.getfixturevalue(server))
    async with measured(store, MeterProvider([reader])):
        quiet = read(reader)
        calls = [asyncio.create_task(store.memory.get_thread_by_id(f"t{number}")) for number in range(200)]
        busiest = waiting = 0
        while not all(call.done() for call in calls):
            await asyncio.sleep(0)
            found = read(reader)
            busiest = max(busiest, found[COUNT, "{connection}", store.id, "used"])
            waiting = max(waiting, found[PENDING, "{request}", store.id])
        await asyncio.gather(*calls)
        async with asyncio.timeout(30):
            # One that is still being made counts as used.
            while read(reader)[COUNT, "{connection}", store.id, "used"]:
                await asyncio.sleep(0.01)
    assert (quiet[COUNT, "{connection}", store.id, "used"], quiet[PENDING, "{request}", store.id]) == (0, 0)
    assert quiet[COUNT, "{connection}", store.id, "idle"] >= 1
    assert busiest > 0
    assert waiting > 0
