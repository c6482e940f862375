"""Runs traced into database servers: their clients belong to the event loop of the runs, and the exporter works in a thread of its own."""

from __future__ import annotations

import asyncio

import pytest

from mastra_core import Agent, Mastra, Memory
from mastra_core.storage import open_store
from tests.unit.agent.models import ScriptedModel, call, calling

pytestmark = pytest.mark.usefixtures("both_ways")


def weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny in {city}"


@pytest.mark.parametrize("server", ["postgres_url", "redis_url", "sqld_url"])
async def test_concurrent_runs_are_traced_into_a_server(server: str, request: pytest.FixtureRequest) -> None:
    """Every span of 20 runs at once is found, by the trace id of its run, in the database that holds the threads."""
    url: str = request.getfixturevalue(server)
    agents = {
        f"a{index}": Agent(
            f"a{index}", model=ScriptedModel(calling(call("weather", city="Rome")), "Sunny."), memory=Memory(), tools=[weather]
        )
        for index in range(20)
    }
    async with Mastra(storage=url, agents=agents, observability=True) as mastra:
        runs = (agent.generate("Hello?", thread=f"t{name}", resource="u1") for name, agent in agents.items())
        results = await asyncio.gather(*runs)
    async with open_store(url) as store:
        traces = [await store.observability.get_trace(str(result.trace_id)) for result in results]
        listed = await store.observability.list_traces(filters={"resource_id": "u1"}, per_page=None)
    assert [len(trace.spans) if trace else 0 for trace in traces] == [7] * 20
    assert sorted(span.trace_id for span in listed) == sorted(str(result.trace_id) for result in results)
    assert mastra.observer is not None
    assert (mastra.observer.stored, mastra.observer.dropped) == (140, 0)
