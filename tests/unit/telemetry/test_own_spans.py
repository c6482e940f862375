"""What the spans of runs are to a program that meets them: as OpenTelemetry's own, whoever makes them."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from mastra_core import Agent, Mastra, Memory, Observability, clock
from mastra_core.storage import LibSQLStore, Store
from mastra_core.storage.records.span_kinds import Span
from tests.unit.agent.models import CountingStore, ScriptedModel, call, calling


async def spans_of(store: Store, trace_id: str | None) -> tuple[Span, ...]:
    found = await store.observability.get_trace(str(trace_id))
    assert found is not None
    return found.spans


def visit(city: str) -> str:
    """Visit a city."""
    return city


@pytest.mark.usefixtures("both_ways")
async def test_what_a_program_says_of_the_current_span_is_kept(tmp_path: Path) -> None:
    """A tool that names, links and marks the span it runs in finds that in the store, whoever made the span; nothing said later counts."""
    cities, spans = ["Rome"], []

    def visit(city: str) -> str:
        """Say something of the span."""
        span = trace.get_current_span()
        assert span.is_recording()
        span.set_attributes({"tenant": "acme", "cities": cities, "thread": city})
        span.set_attribute("gen_ai.usage.input_tokens", 7)
        span.update_name("visit of a city")
        span.add_link(SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True))
        span.add_event("seen")
        span.record_exception(ValueError("no matter"))
        span.set_status(StatusCode.ERROR)
        cities.append("changed later")
        spans.append(span)
        return city

    model = ScriptedModel(calling(call("visit", city="Rome")), "Sunny.")
    async with LibSQLStore(url=f"file:{tmp_path}/shared.db") as store:
        agent = Agent("a", model=model, memory=Memory(), tools=[visit])
        async with Mastra(storage=store, agents={"a": agent}, observability=True) as mastra:
            result = await agent.generate("Hello?", thread="t1", resource="u1")
            assert mastra.observer is not None
            (ended,) = spans
            ended.set_attribute("late", "no")
            ended.update_name("late")
            ended.end()
            assert not ended.is_recording()
            await mastra.observer.flush()
            (found,) = [span for span in await spans_of(store, result.trace_id) if span.name == "visit of a city"]
    assert (found.span_type, found.status, found.output) == ("tool_call", "success", "Rome")
    assert found.metadata is not None
    assert {name: found.metadata[name] for name in found.metadata if name not in {"runId", "resourceId", "threadId"}} == {
        "tenant": "acme", "cities": ["Rome"], "thread": "Rome",
    }  # fmt: skip
    assert found.links == [{"traceId": f"{0xABC:032x}", "spanId": f"{0xDEF:016x}"}]


@pytest.mark.usefixtures("both_ways")
async def test_what_a_program_says_of_one_step_is_said_of_no_other() -> None:
    """Steps of a run share its ids; a user or a tenant that a tool names is found on that call alone, though all are stored together."""
    told = {
        "Rome": {"user.id": "ada", "tenant": "acme"},
        "Bern": {"user.id": "bob"},
        "Oslo": {"tenant": "hooli"},
        "Lima": {"tenant": "zorg"},
    }

    def visit(city: str) -> str:
        """Say for whom the city is visited."""
        trace.get_current_span().set_attributes(told[city])
        return city

    store = CountingStore()
    model = ScriptedModel(calling(*(call("visit", id=city, city=city) for city in told)), "Sunny.")
    agent = Agent("a", model=model, memory=Memory(), tools=[visit])
    async with Mastra(storage=store, agents={"a": agent}, observability=True) as mastra:
        result = await agent.generate("Hello?", thread="t1", resource="u1")
        assert mastra.observer is not None
        await mastra.observer.flush()
        spans = await spans_of(store, result.trace_id)
    ids = {"runId": spans[0].run_id, "threadId": "t1", "resourceId": "u1"}
    said = {span.output: (span.user_id, span.metadata) for span in spans if span.span_type == "tool_call"}
    assert said == {
        "Rome": ("ada", {**ids, "tenant": "acme"}), "Bern": ("bob", ids),
        "Oslo": (None, {**ids, "tenant": "hooli"}), "Lima": (None, {**ids, "tenant": "zorg"}),
    }  # fmt: skip
    assert [(span.user_id, span.metadata) for span in spans if span.span_type != "tool_call"] == [(None, ids)] * 6
    assert {(span.run_id, span.thread_id, span.resource_id) for span in spans} == {(ids["runId"], "t1", "u1")}


async def test_steps_of_one_millisecond_are_listed_in_the_order_they_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may take less than the millisecond to which times are stored: nobody reads that it was saved before the model was asked."""
    monkeypatch.setattr(clock, "nanoseconds", itertools.count(1_700_000_000 * 10**9).__next__)
    store = CountingStore()
    agent = Agent("a", model=ScriptedModel(calling(call("visit", city="Rome")), "Sunny."), memory=Memory(), tools=[visit])
    async with Mastra(storage=store, agents={"a": agent}, observability=True) as mastra:
        result = await agent.generate("Hello?", thread="t1", resource="u1")
        assert mastra.observer is not None
        await mastra.observer.flush()
        spans = await spans_of(store, result.trace_id)
    assert len({span.started_at for span in spans}) == 1
    assert [span.name for span in spans] == [
        "agent run: 'a'", "memory: recall", "llm: 'parrot-1'", "step: 0", "tool: 'visit'", "step: 1", "memory: save",
    ]  # fmt: skip


@pytest.mark.usefixtures("both_ways")
async def test_other_spans_join_a_run_and_a_run_joins_them(joined: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    """A span made with a provider that our Mastra knows nothing of has the run's span as its parent, and a run within one is in its trace."""
    provider, other = joined
    tracer = provider.get_tracer("elsewhere")

    def ask(city: str) -> str:
        """Makes a span of somebody else's."""
        with tracer.start_as_current_span("GET"):
            return city

    store = CountingStore()
    agent = Agent("a", model=ScriptedModel(calling(call("ask", city="Rome")), "Sunny."), tools=[ask])
    async with Mastra(storage=store, agents={"a": agent}, observability=True) as mastra:
        with tracer.start_as_current_span("POST /chat") as around:
            result = await agent.generate("Hello?")
        assert mastra.observer is not None
        await mastra.observer.flush()
        spans = {span.name: span for span in await spans_of(store, result.trace_id)}
    (inner,) = [span for span in other.get_finished_spans() if span.name == "GET"]
    assert result.trace_id == f"{around.get_span_context().trace_id:032x}"
    assert inner.parent is not None
    assert f"{inner.parent.span_id:016x}" == spans["tool: 'ask'"].span_id
    assert spans["agent run: 'a'"].parent_span_id == f"{around.get_span_context().span_id:016x}"


async def test_a_tool_that_ends_the_span_it_runs_in_costs_none() -> None:
    """The step is stored with what came of it, and the others of its run, though a program ended a span that is not its own."""

    async def leave(city: str) -> str:
        """End the current span, and wait until what has ended is exported."""
        trace.get_current_span().end()
        assert mastra.observer is not None
        await mastra.observer.flush()
        return city

    store = CountingStore()
    agent = Agent("a", model=ScriptedModel(calling(call("leave", city="Rome")), "Sunny."), tools=[leave])
    async with Mastra(storage=store, agents={"a": agent}, observability=True) as mastra:
        result = await agent.generate("Hello?")
        assert mastra.observer is not None
        await mastra.observer.flush()
        spans = {span.name: span for span in await spans_of(store, result.trace_id)}
    assert set(spans) == {"agent run: 'a'", "llm: 'parrot-1'", "step: 0", "tool: 'leave'", "step: 1"}
    assert (spans["tool: 'leave'"].span_type, spans["tool: 'leave'"].output) == ("tool_call", "Rome")


@pytest.mark.usefixtures("both_ways")
async def test_a_step_below_a_span_of_another_trace_is_in_no_trace_of_ours() -> None:
    """A tool that goes on in a trace of somebody else's leaves no step there, where it would have no root and never be listed."""

    async def elsewhere(city: str) -> str:
        """Run another agent in a trace that began elsewhere."""
        other = SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        with trace.use_span(NonRecordingSpan(other)):
            await inner.generate(city)
        return city

    store = CountingStore()
    inner = Agent("b", model=ScriptedModel("Hello."))
    outer = Agent("a", model=ScriptedModel(calling(call("elsewhere", city="Rome")), "Sunny."), tools=[elsewhere])
    async with Mastra(storage=store, agents={"a": outer, "b": inner}, observability=True) as mastra:
        result = await outer.generate("Hello?")
        assert mastra.observer is not None
        await mastra.observer.flush()
        names = [span.name for span in await spans_of(store, result.trace_id)]
        assert await store.observability.get_trace(f"{0xABC:032x}") is None
    assert sorted(names) == ["agent run: 'a'", "llm: 'parrot-1'", "step: 0", "step: 1", "tool: 'elsewhere'"]


async def test_a_run_that_is_not_kept_says_so_to_whoever_would_tell_more() -> None:
    """A tool need not gather costly facts for a trace that is not sampled; its span has ids for logs all the same."""
    seen: list[tuple[bool, bool]] = []

    def look(city: str) -> str:
        """Ask the current span."""
        span = trace.get_current_span()
        seen.append((span.is_recording(), span.get_span_context().is_valid))
        return city

    agent = Agent("a", model=ScriptedModel(calling(call("look", city="Rome")), "Sunny."), tools=[look])
    async with Mastra(storage=CountingStore(), agents={"a": agent}, observability=Observability(sampling=0.0)):
        assert (await agent.generate("Hello?")).trace_id is None
    assert seen == [(False, True)]


@pytest.mark.parametrize("own", [True, False])
async def test_opentelemetry_that_is_switched_off_traces_nothing(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SDK_DISABLED=true` is for a program's every trace: ours too."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider = None if own else TracerProvider(shutdown_on_exit=False)
    agent, options = Agent("a", model=ScriptedModel("Hello.")), Observability(tracer_provider=provider)
    async with Mastra(storage=CountingStore(), agents={"a": agent}, observability=options) as mastra:
        result = await agent.generate("Hello?")
    assert mastra.observer is not None
    assert (result.trace_id, mastra.observer.stored) == (None, 0)


UNCLOSED = """
import sys
from mastra_core import Agent, Mastra
from mastra_core.agent.model import ModelReply, Usage
from mastra_core.storage import LibSQLStore
class Model:
    provider, model_id = "p", "m"
    async def complete(self, request):
        return ModelReply(text="x", finish_reason="stop", usage=Usage())
    def stream(self, request): ...
mastra = Mastra(storage=LibSQLStore(url=sys.argv[1]), agents={"a": Agent("a", model=Model())}, observability=True)
print(mastra.get_agent("a").generate_sync("Hello?").trace_id)
"""


async def test_a_blocking_program_that_ends_without_close_has_stored_its_spans(tmp_path: Path) -> None:
    """Forgotten `close()`: what was traced is stored when the interpreter ends."""
    url = f"file:{tmp_path}/shared.db"
    ran = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", UNCLOSED, url], capture_output=True, text=True, check=True)
    async with LibSQLStore(url=f"file:{tmp_path}/shared.db") as store:
        assert len(await spans_of(store, ran.stdout.strip())) == 3
