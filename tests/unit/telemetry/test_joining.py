"""Runs beside others: a TracerProvider of the program, a trace that somebody else began, a share of runs that is kept, two Mastras."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from mastra_core import Agent, Mastra, Memory, Observability
from tests.unit.agent.models import CountingStore, ScriptedModel, call, calling
from tests.unit.telemetry.observing import HERE, file_store, observed, spans_of, tree

pytestmark = pytest.mark.usefixtures("both_ways")


async def test_a_programs_own_tracer_provider_is_joined(tmp_path: Path, joined: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    """Issue: "an existing TracerProvider is joined, not replaced; other exporters run beside ours": and they get no texts."""
    provider, other = joined
    tracer = provider.get_tracer("web")

    def look(city: str) -> str:
        """The weather of a city, asked for in a thread of its own."""
        with tracer.start_as_current_span("GET /weather", attributes={"http.request.method": "GET"}):
            return f"Sunny in {city}"

    async with file_store(tmp_path) as store:
        model = ScriptedModel(calling(call("look", city="Rome")), "Lovely.")
        agent = Agent("a", model=model, memory=Memory(storage=store), tools=[look])
        async with Mastra(storage=store, agents={"a": agent}, observability=Observability(tracer_provider=provider)) as mastra:
            with tracer.start_as_current_span("POST /chat"):
                result = await agent.generate("Hello?", **HERE)
            tracer.start_span("another request").end()
            assert mastra.observer is not None
            await mastra.observer.flush()
            spans = await spans_of(store, result.trace_id)
            listed = await store.observability.list_traces()
    names = tree(spans)
    assert (names["POST /chat"], names["agent run: 'a'"], names["GET /weather"]) == (None, "POST /chat", "tool: 'look'")
    (foreign,) = (span for span in spans if span.name == "GET /weather")
    assert (foreign.thread_id, foreign.resource_id, foreign.parent_entity_id, foreign.root_entity_id) == ("t1", "u1", "look", "a")
    assert foreign.run_id
    assert [span.name for span in listed] == ["POST /chat"]
    beside = {span.name: dict(span.attributes or {}) for span in other.get_finished_spans()}
    assert beside["step: 1"] == {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "parrot-1", "gen_ai.provider.name": "scripted",
        "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 2, "gen_ai.response.finish_reasons": ("stop",),
    }  # fmt: skip
    assert not any(text in str(beside) for text in ("Hello?", "Lovely", "Rome", "Sunny"))


@pytest.mark.parametrize("own", [True, False], ids=["its own provider", "a joined provider"])
async def test_sampling_chooses_whole_runs_and_says_which(own: bool, joined: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    """A run that is not sampled has no trace id and stores nothing; the others store all of their spans."""
    store = CountingStore()
    options = Observability(sampling=0.5, tracer_provider=None if own else joined[0])
    async with observed(store, "Hello.", observability=options) as mastra:
        results = [await mastra.get_agent("a").generate("Hello?", thread=f"t{index}", resource="u1") for index in range(40)]
        assert mastra.observer is not None
        await mastra.observer.flush()
        page = await store.observability.list_traces(per_page=None)
        traced = {result.trace_id for result in results} - {None}
        assert {span.trace_id for span in page} == traced
        assert 0 < len(traced) < 40
        assert mastra.observer.stored == 5 * len(traced)


@pytest.mark.parametrize("sampled", [True, False])
async def test_a_run_within_a_trace_follows_its_choice(sampled: bool) -> None:
    """A caller in another program that does not keep its trace gets no half of one here; one that does finds the run in it."""
    store = CountingStore()
    flags, state = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT), TraceState([("vendor", "x")])
    remote = NonRecordingSpan(SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True, trace_flags=flags, trace_state=state))
    async with observed(store, "Hello.", observability=True) as mastra:
        with trace.use_span(remote):
            result = await mastra.get_agent("a").generate("Hello?", **HERE)
        assert mastra.observer is not None
        await mastra.observer.flush()
    assert (result.trace_id, mastra.observer.stored) == ((f"{0xABC:032x}", 5) if sampled else (None, 0))


async def test_two_mastras_in_one_process_keep_their_traces_apart(
    tmp_path: Path, joined: tuple[TracerProvider, InMemorySpanExporter], caplog: pytest.LogCaptureFixture
) -> None:
    """Runs of one Mastra are not found in the store of another that joined the same provider; closing one leaves the other."""
    one, two = CountingStore(id="one"), CountingStore(id="two")
    options = Observability(tracer_provider=joined[0])
    first, second = observed(one, "One.", observability=options), observed(two, "Two.", observability=options)
    of_first = await first.get_agent("a").generate("Hello?", **HERE)
    with caplog.at_level(logging.WARNING):
        of_second = await second.get_agent("a").generate("Hello?", **HERE)
        await first.observer.flush()  # type: ignore[union-attr]
        await second.observer.flush()  # type: ignore[union-attr]
        assert [span.trace_id for span in await one.observability.list_traces()] == [of_first.trace_id]
        assert [span.trace_id for span in await two.observability.list_traces()] == [of_second.trace_id]
        await first.close()
        again = await second.get_agent("a").generate("Hello?", **HERE)
        await second.observer.flush()  # type: ignore[union-attr]
        assert len(await spans_of(two, again.trace_id)) == 5
        await second.close()
    assert caplog.messages == []
