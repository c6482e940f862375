"""MastraSpanExporter behind OpenTelemetry's own SDK, into real stores: what is kept, what waits, what is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from mastra_core import InvalidInputError, Observability
from mastra_core.storage import InMemoryStore, LibSQLStore, Store
from mastra_core.storage.records.changes import Change, Save
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.span_kinds import Span
from mastra_core.telemetry.exporter import MastraSpanExporter
from tests.servers.sqld import SqldServer

Provider = Callable[..., TracerProvider]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Makes a provider that exports in batches; shut down at the end."""
    made: list[TracerProvider] = []

    def make(exporter: MastraSpanExporter) -> TracerProvider:
        resource = Resource({"service.name": "shop", "deployment.environment.name": "staging"})
        given = TracerProvider(resource=resource, shutdown_on_exit=False)
        given.add_span_processor(BatchSpanProcessor(exporter))
        made.append(given)
        return given

    yield make
    for given in made:
        given.shutdown()


async def only_trace(store: Store) -> tuple[Span, ...]:
    (root,) = await store.observability.list_traces()
    found = await store.observability.get_trace(root.trace_id)
    assert found is not None
    return found.spans


async def test_spans_of_strangers_are_stored_as_a_trace_of_typescripts_shape(tmp_path: Path, provider: Provider) -> None:
    """An HTTP client's span, and one of OpenInference within it, are found in the store with ids, parents, times, service and error."""
    async with LibSQLStore(url=f"file:{tmp_path}/spans.db") as store:
        exporter = MastraSpanExporter(store)
        given = provider(exporter)
        tracer = given.get_tracer("http.client", "1.2")
        with tracer.start_as_current_span(
            "GET /weather", attributes={"http.request.method": "GET", "user.id": "u1", "session.id": "s1"}
        ) as outer:
            inference: dict[str, Any] = {
                "openinference.span.kind": "LLM", "llm.model_name": "gpt-x", "llm.provider": "openai", "llm.token_count.prompt": 7,
                "llm.token_count.completion": 5, "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Hi",
                "output.value": '{"answer": [1, null]}', "output.mime_type": "application/json", "custom": (1, 2),
            }  # fmt: skip
            with tracer.start_as_current_span("ask", attributes=inference, links=[Link(outer.get_span_context())]) as inner:
                inner.add_event("retried", {"attempt": 2})
                inner.record_exception(ValueError("no seeds"))
                inner.set_status(Status(StatusCode.ERROR))
        assert await asyncio.to_thread(given.force_flush)
        root, ask = sorted(await only_trace(store), key=lambda span: span.parent_span_id is not None)
    context = outer.get_span_context()
    assert (root.trace_id, root.span_id, root.parent_span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}", None)
    assert (root.name, root.span_type, root.status) == ("GET /weather", "generic", "success")
    assert (root.user_id, root.session_id, root.service_name, root.environment) == ("u1", "s1", "shop", "staging")
    assert root.attributes == {"http.request.method": "GET"}
    assert root.scope == {"name": "http.client", "version": "1.2"}
    assert root.ended_at is not None
    assert root.started_at <= ask.started_at <= root.ended_at
    assert (ask.parent_span_id, ask.span_type, ask.status) == (root.span_id, "model_generation", "error")
    assert ask.input == [{"role": "user", "content": "Hi"}]
    assert ask.output == {"answer": [1, None]}
    assert ask.links == [{"traceId": root.trace_id, "spanId": root.span_id}]
    assert ask.error is not None
    assert (ask.error["message"], ask.error["name"]) == ("no seeds", "ValueError")
    assert ask.attributes is not None
    assert {name: ask.attributes[name] for name in ("model", "provider", "usage", "custom")} == {
        "model": "gpt-x", "provider": "openai", "usage": {"inputTokens": 7, "outputTokens": 5}, "custom": [1, 2],
    }  # fmt: skip
    assert [(event["name"], event["attributes"]) for event in ask.attributes["events"]] == [("retried", {"attempt": 2})]
    assert (exporter.stored, exporter.dropped) == (2, 0)


@pytest.mark.parametrize(
    "attributes, span_type, entity",
    [
        ({"gen_ai.operation.name": "chat"}, "model_generation", None),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}, "tool_call", ("tool", "look", "look")),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.id": "a", "gen_ai.agent.name": "A"}, "agent_run", ("agent", "a", "A")),
        ({"openinference.span.kind": "RETRIEVER"}, "rag_vector_operation", None),
        ({"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool"}, "mcp_tool_call", None),
        ({"db.system": "x"}, "generic", None),
    ],
)
async def test_conventions_say_what_kind_of_step_a_span_is(
    attributes: dict[str, Any], span_type: str, entity: tuple[str, str, str] | None, provider: Provider
) -> None:
    """A trace of another library is listed and filtered by TypeScript's span types and entities."""
    async with InMemoryStore() as store:
        given = provider(MastraSpanExporter(store))
        given.get_tracer("x").start_span("s", attributes=attributes).end()
        await asyncio.to_thread(given.force_flush)
        (span,) = await only_trace(store)
    assert span.span_type == span_type
    assert (span.entity_type, span.entity_id, span.entity_name) == (entity or (None, None, None))


async def test_a_trace_that_begins_in_another_program_is_listed_all_the_same(provider: Provider) -> None:
    """The span below a remote parent is the root of what is stored, and says which span called it."""
    async with InMemoryStore() as store:
        given = provider(MastraSpanExporter(store))
        remote = NonRecordingSpan(SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True, trace_flags=TraceFlags(1)))
        given.get_tracer("x").start_span("served", context=trace.set_span_in_context(remote)).end()
        await asyncio.to_thread(given.force_flush)
        (span,) = await only_trace(store)
    assert (span.trace_id, span.parent_span_id) == (f"{0xABC:032x}", None)
    assert span.metadata == {"remoteParentSpanId": f"{0xDEF:016x}"}


async def test_spans_wait_while_the_server_is_down_and_arrive_when_it_is_back(sqld: SqldServer, provider: Provider) -> None:
    """Must hold: "The store killed during export: …, drops are counted, later spans arrive", without a restart of the program."""
    async with LibSQLStore(url=sqld.url) as store:
        exporter = MastraSpanExporter(store, options=Observability(max_buffered_spans=3))
        given = provider(exporter)
        tracer = given.get_tracer("x")

        async def export(*names: str) -> None:
            for name in names:
                tracer.start_span(name).end()
            await asyncio.to_thread(given.force_flush)

        await export("before")
        await asyncio.to_thread(sqld.kill)
        await export("lost 1", "lost 2", "kept 1")
        assert (exporter.stored, exporter.dropped) == (1, 0)
        await export("kept 2", "kept 3")
        assert (exporter.stored, exporter.dropped) == (1, 2)
        await asyncio.to_thread(sqld.start)
        await export("after")
        # "after" is one too many for three that wait.
        assert (exporter.stored, exporter.dropped) == (4, 3)
        await export("later")
        found = await store.observability.list_traces(per_page=None)
    assert sorted(span.name for span in found) == ["after", "before", "kept 2", "kept 3", "later"]


async def test_a_closed_store_costs_its_spans_and_no_more() -> None:
    """Spans that end after their store was closed are counted as dropped; nothing is raised into whoever ends them."""
    store = InMemoryStore()
    await store.init()
    exporter = MastraSpanExporter(store)
    given = TracerProvider(shutdown_on_exit=False)
    given.add_span_processor(BatchSpanProcessor(exporter))
    await store.close()
    given.get_tracer("x").start_span("late").end()
    assert await asyncio.to_thread(given.force_flush)
    # Not kept for a store that never comes back.
    assert (exporter.stored, exporter.dropped) == (0, 1)
    await asyncio.to_thread(given.shutdown)


class SmallEngine(InMemoryEngine):
    """An engine whose records have an upper size, as DynamoDB's items do."""

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        for change in changes:
            if isinstance(change, Save) and len(str(change.record)) > 3000:
                msg = "the record is too large"
                raise InvalidInputError(msg)
        return await super().apply(changes, atomic=atomic)


async def test_a_span_that_is_refused_costs_no_other(provider: Provider) -> None:
    """One span that a store cannot take is dropped and counted; the others of its batch are stored."""
    async with Store(SmallEngine(), id="small", product="inmemory") as store:
        exporter = MastraSpanExporter(store)
        given = provider(exporter)
        for name, size in {"one": 1, "large": 10_000, "two": 1}.items():
            given.get_tracer("x").start_span(name, attributes={"input.value": "x" * size}).end()
        await asyncio.to_thread(given.force_flush)
        found = await store.observability.list_traces()
    assert sorted(span.name for span in found) == ["one", "two"]
    assert (exporter.stored, exporter.dropped) == (2, 1)


async def test_a_span_of_an_impossible_time_is_stored(provider: Provider) -> None:
    """A library that counts in other units than nanoseconds does not cost its neighbours' spans."""
    async with InMemoryStore() as store:
        given = provider(MastraSpanExporter(store))
        given.get_tracer("x").start_span("odd", start_time=10**30).end(end_time=10**31)
        await asyncio.to_thread(given.force_flush)
        assert [span.name for span in await only_trace(store)] == ["odd"]


async def test_ending_a_span_on_the_stores_own_loop_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Exported at once, by SimpleSpanProcessor on the loop that would have to write, a span is written as soon as the loop is free."""
    monkeypatch.setattr("mastra_core.telemetry.exporter.TIMEOUT_SECONDS", 0.1)
    async with LibSQLStore(url=f"file:{tmp_path}/spans.db") as store:
        exporter = MastraSpanExporter(store)
        given = TracerProvider(shutdown_on_exit=False)
        given.add_span_processor(SimpleSpanProcessor(exporter))
        given.get_tracer("x").start_span("s").end()
        assert exporter.stored == 0
        assert await asyncio.to_thread(exporter.force_flush)
        assert exporter.stored == 1
        await asyncio.to_thread(given.shutdown)
    assert caplog.messages == []


def test_a_program_without_an_event_loop_exports_through_sync(tmp_path: Path, provider: Provider) -> None:
    """The store of a blocking program is used on the loop of `.sync`, and its spans read back there."""
    store = LibSQLStore(url=f"file:{tmp_path}/spans.db")
    given = provider(MastraSpanExporter(store))
    given.get_tracer("x").start_span("s").end()
    assert given.force_flush()
    assert [span.name for span in store.sync.observability.list_traces()] == ["s"]
    store.sync.close()


def test_a_loop_that_has_ended_does_not_hold_up_the_program(tmp_path: Path, provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    """Spans that end after `asyncio.run` wait for nothing: their store's loop is gone, so they are dropped and counted."""
    store = LibSQLStore(url=f"file:{tmp_path}/spans.db")

    async def begin() -> MastraSpanExporter:
        return MastraSpanExporter(store)

    exporter = asyncio.run(begin())
    given = provider(exporter)
    given.get_tracer("x").start_span("late").end()
    given.shutdown()
    assert (exporter.stored, exporter.dropped) == (0, 1)
    assert [message for message in caplog.messages if "dropped" not in message] == []
