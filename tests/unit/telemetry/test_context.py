"""In whose trace a step stands, wherever it runs: in a thread, in a task, on the loop of `.sync`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from mastra_core import Agent, Mastra, Memory, Observability
from mastra_core.storage import LibSQLStore, Store
from tests.unit.agent.models import ScriptedModel, call, calling

pytestmark = pytest.mark.usefixtures("both_ways")
HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    """The TracerProvider of a program."""
    given = TracerProvider(shutdown_on_exit=False)
    yield given
    given.shutdown()


async def parents(store: Store, trace_id: str | None) -> dict[str, str | None]:
    """The name of each span's parent by its name."""
    found = await store.observability.get_trace(str(trace_id))
    assert found is not None
    names = {span.span_id: span.name for span in found.spans}
    return {span.name: names.get(str(span.parent_span_id)) for span in found.spans}


async def test_tools_in_threads_and_tasks_work_within_their_call(tmp_path: Path, provider: TracerProvider) -> None:
    """Issue: "Context flows through threads, tasks and `.sync`": what a tool does in a thread or a task of its own stands below its call."""
    tracer = provider.get_tracer("program")

    def in_thread(city: str) -> str:
        """Run in a thread, as every tool is that does not await."""
        assert threading.current_thread() is not threading.main_thread()
        with tracer.start_as_current_span("in a thread"):
            return city

    async def in_tasks(city: str) -> str:
        """Does two things at once, and one of them in another thread."""

        async def part(name: str) -> None:
            with tracer.start_as_current_span(name):
                await asyncio.sleep(0)

        def blocking() -> None:
            with tracer.start_as_current_span("to a thread"):
                pass

        await asyncio.gather(asyncio.create_task(part("one task")), part("another task"), asyncio.to_thread(blocking))
        return city

    model = ScriptedModel(calling(call("in_thread", id="c1", city="Rome"), call("in_tasks", id="c2", city="Rome")), "Sunny.")
    async with LibSQLStore(url=f"file:{tmp_path}/m.db") as store:
        agent = Agent("a", model=model, memory=Memory(), tools=[in_thread, in_tasks])
        async with Mastra(storage=store, agents={"a": agent}, observability=Observability(tracer_provider=provider)) as mastra:
            result = await agent.generate("Hello?", **HERE)
            assert mastra.observer is not None
            await mastra.observer.flush()
            found = await parents(store, result.trace_id)
    assert {name: found[name] for name in ("in a thread", "one task", "another task", "to a thread")} == {
        "in a thread": "tool: 'in_thread'", "one task": "tool: 'in_tasks'", "another task": "tool: 'in_tasks'",
        "to a thread": "tool: 'in_tasks'",
    }  # fmt: skip


async def test_runs_at_once_keep_their_steps_apart(tmp_path: Path) -> None:
    """Twenty runs in twenty tasks are twenty traces of five steps each: no step stands in a neighbour's trace."""
    agent = Agent("a", model=ScriptedModel("Hello."), memory=Memory())
    store = LibSQLStore(url=f"file:{tmp_path}/m.db")
    async with Mastra(storage=store, agents={"a": agent}, observability=True) as mastra:
        results = await asyncio.gather(*(agent.generate("Hello?", thread=f"t{n}", resource="u1") for n in range(20)))
        assert mastra.observer is not None
        await mastra.observer.flush()
        run, llm = "agent run: 'a'", "llm: 'parrot-1'"
        expected = {run: None, "memory: recall": run, llm: run, "step: 0": llm, "memory: save": run}
        assert [await parents(store, result.trace_id) for result in results] == [expected] * 20


def test_a_run_of_sync_stands_below_what_called_it(tmp_path: Path, provider: TracerProvider) -> None:
    """Issue: "Context flows through threads, tasks and `.sync`": blocking calls run on a loop of their own, in the trace of the caller."""
    tracer = provider.get_tracer("program")
    agent = Agent("a", model=ScriptedModel("Hello."), memory=Memory())
    storage = LibSQLStore(url=f"file:{tmp_path}/m.db")
    mastra = Mastra(storage=storage, agents={"a": agent}, observability=Observability(tracer_provider=provider, storage_operations=True))
    with tracer.start_as_current_span("POST /chat"):
        result = agent.generate_sync("Hello?", **HERE)
        # A thread of the program's own has no context, unless it is given one.
        given: dict[str, Any] = {}
        run = copy_context().run
        thread = threading.Thread(target=run, args=(lambda: given.update(second=agent.generate_sync("Again?", **HERE)),))
        thread.start()
        thread.join()
        streamed = "".join(agent.stream_sync("Once more?", **HERE))
    mastra.sync.close()
    assert (streamed, given["second"].trace_id) == ("Hello.", result.trace_id)
    store = LibSQLStore(url=f"file:{tmp_path}/m.db")
    trace_of = store.sync.observability.get_trace(str(result.trace_id))
    store.sync.close()
    assert trace_of is not None
    names = {span.span_id: span.name for span in trace_of.spans}
    below = [(span.name, names.get(str(span.parent_span_id))) for span in trace_of.spans if span.span_type in {"agent_run", "generic"}]
    assert sorted(below, key=str) == sorted(
        [("POST /chat", None)]
        + [("agent run: 'a'", "POST /chat")] * 3
        + [("storage: memory.read_turn", "memory: recall")] * 3
        + [("storage: memory.save_turn", "memory: save")] * 3,
        key=str,
    )
    assert trace.get_current_span().get_span_context().is_valid is False
