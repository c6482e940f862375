"""Runs of agents as traces: through the real SDK into real files, and nothing at all when it is off."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from mastra_core import Agent, ConfigurationError, Mastra, Memory, MemoryOptions, ModelError, Observability, UnsupportedError, WorkingMemory
from mastra_core.agent.model import ModelReply
from mastra_core.storage import CompositeStore, LibSQLStore, Store
from mastra_core.storage.records.span_kinds import Span
from tests.servers.sqld import SqldServer
from tests.tracing import Trace as SqliteTrace
from tests.unit.agent.models import CountingStore, ScriptedModel, WaitingModel, broken, call, calling

pytestmark = pytest.mark.usefixtures("both_ways")
HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


def weather(city: str) -> dict[str, Any]:
    """The weather of a city."""
    if city == "Atlantis":
        msg = "no such city: Atlantis"
        raise ValueError(msg)
    with trace.get_tracer("http.client").start_as_current_span("GET /weather"):
        return {"city": city, "celsius": 12.5}


def observed(
    storage: Store,
    *answers: str | ModelReply | BaseException,
    observability: Observability | bool = True,
    titles: bool = False,
    **agent: Any,
) -> Mastra:
    """A Mastra of one agent `a`, which remembers."""
    memory = Memory(options=MemoryOptions(generate_title=titles))
    one = Agent("a", name="Ann", instructions="Be brief.", model=ScriptedModel(*answers), memory=memory, tools=[weather], **agent)
    return Mastra(storage=storage, agents={"a": one}, observability=observability)


def file_store(folder: Path, name: str = "shared") -> LibSQLStore:
    return LibSQLStore(url=f"file:{folder}/{name}.db")


async def spans_of(store: Store, trace_id: str | None) -> tuple[Span, ...]:
    assert trace_id is not None
    found = await store.observability.get_trace(trace_id)
    assert found is not None
    return found.spans


def tree(spans: Sequence[Span]) -> dict[str, str | None]:
    """The name of each span's parent by its name."""
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_span_id or "") for span in spans}


@pytest.fixture
def joined() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """A TracerProvider of the program's own, with another exporter."""
    provider, other = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(other))
    yield provider, other
    provider.shutdown()


async def test_a_run_is_stored_when_close_returns_as_a_trace_that_its_result_names(tmp_path: Path) -> None:
    """Issue: "`await mastra.close()` right after a run: its spans are stored"; names, types, tree and entities as TypeScript has them."""
    async with observed(file_store(tmp_path), calling(call("weather", city="Rome")), "Sunny.", "A title", titles=True) as mastra:
        result = await mastra.get_agent("a").generate("Hello?", **HERE)
    async with file_store(tmp_path) as store:
        spans = await spans_of(store, result.trace_id)
        page = await store.observability.list_traces(
            filters={"thread_id": "t1", "resource_id": "u1", "entity_id": "a", "status": "success"}
        )
        assert [span.trace_id for span in page] == [result.trace_id]
    run, llm, tool = "agent run: 'a'", "llm: 'parrot-1'", "tool: 'weather'"
    assert tree(spans) == {
        run: None, "memory: recall": run, "memory: save": run, llm: run, "step: 0": llm, "step: 1": llm, tool: "step: 0",
    }  # fmt: skip
    by_name = {
        span.name: span
        for span in spans
        if span.input != {"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Sunny."}]}
    }
    (root, called, asked) = by_name[run], by_name[tool], by_name["step: 0"]
    assert [by_name[name].span_type for name in (run, "memory: recall", llm, "step: 0", tool, "memory: save")] == [
        "agent_run", "memory_operation", "model_generation", "model_step", "tool_call", "memory_operation",
    ]  # fmt: skip
    assert (root.entity_type, root.entity_id, root.entity_name, root.input) == ("agent", "a", "Ann", "Hello?")
    assert root.output == {"text": "Sunny.", "files": []}
    assert root.attributes is not None
    assert (root.attributes["conversationId"], root.attributes["instructions"], root.attributes["availableTools"]) == (
        "t1",
        "Be brief.",
        ["weather"],
    )
    assert (called.entity_type, called.entity_id, called.parent_entity_id, called.root_entity_id) == ("tool", "weather", "a", "a")
    assert (called.input, called.output) == ({"city": "Rome"}, {"city": "Rome", "celsius": 12.5})
    assert called.attributes == {"toolCallId": "c1", "toolType": "tool", "toolDescription": "The weather of a city.", "success": True}
    assert asked.attributes == {
        "stepIndex": 0, "usage": {"inputTokens": 3, "outputTokens": 2}, "finishReason": "tool-calls", "isContinued": True,
    }  # fmt: skip
    assert {(span.run_id, span.thread_id, span.resource_id) for span in spans} == {(root.run_id, "t1", "u1")}
    assert root.run_id
    titles = [span for span in spans if span.name == llm and span.output == {"text": "A title"}]
    assert [span.parent_span_id for span in titles] == [root.span_id]
    assert {span.status for span in spans} == {"success"}


async def test_a_stream_is_one_trace_also_when_it_is_left_early(tmp_path: Path) -> None:
    """What a stream asks, calls and saves is below its run; an answer that nobody wanted to its end is no error."""
    model = WaitingModel()
    async with file_store(tmp_path) as store:
        agent = Agent("a", model=model, memory=Memory())
        async with Mastra(storage=store, agents={"a": agent}, observability=True) as mastra:
            async with agent.stream("Hello?", **HERE) as stream:
                await model.waiting.wait()
            left = await stream.result()
            assert mastra.observer is not None
            await mastra.observer.flush()
            spans = await spans_of(store, left.trace_id)
    run, llm = "agent run: 'a'", "llm: 'parrot-1'"
    assert tree(spans) == {run: None, "memory: recall": run, llm: run, "step: 0": llm, "memory: save": run}
    assert {span.status for span in spans} == {"success"}
    assert [span.output for span in spans if span.name == run] == [{"text": "One two", "files": []}]
    assert [span.attributes["interrupted"] for span in spans if span.name == "step: 0" and span.attributes] == [True]


async def test_what_fails_is_told_where_it_failed(tmp_path: Path) -> None:
    """A model's error stands on its step and on all around it; a tool's on its call alone, since the model went on."""
    async with file_store(tmp_path) as store, observed(store, calling(call("weather", city="Atlantis")), broken()) as mastra:
        with pytest.raises(ModelError):
            await mastra.get_agent("a").generate("Hello?", **HERE)
        assert mastra.observer is not None
        await mastra.observer.flush()
        (root,) = await store.observability.list_traces(filters={"status": "error"})
        spans = await spans_of(store, root.trace_id)
    errors = {span.name: dict(span.error) for span in spans if span.error is not None}
    model = {"message": "scripted/parrot-1 is out of seeds; feed it", "name": "ModelError"}
    assert errors == {
        "agent run: 'a'": model, "llm: 'parrot-1'": model, "step: 1": model,
        "tool: 'weather'": {"message": "ValueError: no such city: Atlantis"},
    }  # fmt: skip
    # What other exporters are told of a failure is no fact of the user's.
    assert {name for span in spans for name in span.metadata or {}} == {"runId", "threadId", "resourceId"}


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


async def test_an_agent_that_another_one_asks_is_in_the_same_trace() -> None:
    """A run within a tool of another run stands below that call, with its own run id and thread; the first agent is its root."""
    store = CountingStore()
    inner = Agent("inner", model=ScriptedModel("Lovely."), memory=Memory())

    async def ask(question: str) -> str:
        """Ask somebody who knows."""
        return (await inner.generate(question, thread="t2", resource="u1")).text

    outer = Agent("outer", model=ScriptedModel(calling(call("ask", question="Rome?")), "He says it is lovely."), tools=[ask])
    async with Mastra(storage=store, agents={"inner": inner, "outer": outer}, observability=True) as mastra:
        result = await outer.generate("Hello?")
        assert mastra.observer is not None
        await mastra.observer.flush()
        spans = {span.name: span for span in await spans_of(store, result.trace_id)}
        assert len(await store.observability.list_traces()) == 1
    above, below, called = spans["agent run: 'outer'"], spans["agent run: 'inner'"], spans["tool: 'ask'"]
    assert (below.parent_span_id, below.entity_id, below.parent_entity_id, below.root_entity_id) == (
        called.span_id,
        "inner",
        "ask",
        "outer",
    )
    assert (above.thread_id, below.thread_id, called.thread_id) == (None, "t2", None)
    assert above.run_id != below.run_id
    assert below.attributes is not None
    assert below.output == {"text": "Lovely.", "files": []}


def test_storage_that_keeps_no_spans_is_refused(tmp_path: Path) -> None:
    """A composite without an observability store cannot be observed, and says so before anything else is set up."""
    memory = Memory()
    agent = Agent("a", model=ScriptedModel(), memory=memory)
    storage = CompositeStore(domains={"memory": file_store(tmp_path)})
    with pytest.raises(UnsupportedError, match="keeps no observability"):
        Mastra(storage=storage, agents={"a": agent}, observability=True)
    assert memory.storage is None


async def test_a_run_goes_on_while_the_spans_server_is_down(tmp_path: Path, sqld: SqldServer) -> None:
    """Issue: "The store killed during export: the run goes on, drops are counted, later spans arrive"."""
    spans = LibSQLStore(url=sqld.url, id="spans")
    storage = CompositeStore(default=file_store(tmp_path), domains={"observability": spans})
    async with observed(storage, "Hello.", observability=Observability(max_buffered_spans=5)) as mastra:
        agent, observer = mastra.get_agent("a"), mastra.observer
        assert observer is not None
        await agent.generate("First", **HERE)
        assert await observer.flush()
        await asyncio.to_thread(sqld.kill)
        for text in ("Second", "Third"):
            assert (await agent.generate(text, **HERE)).text == "Hello."
            assert not await observer.flush()
        assert (observer.stored, observer.dropped) == (5, 5)
        await asyncio.to_thread(sqld.start)
        later = await agent.generate("Fourth", **HERE)
        assert await observer.flush()
        assert len(await spans_of(spans, later.trace_id)) == 5
        assert observer.stored + observer.dropped == 20


async def test_what_is_too_much_for_the_queue_is_counted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A burst of spans that the store cannot follow costs no run its time: what does not fit is dropped, and each drop is counted."""
    monkeypatch.setattr("mastra_core.telemetry.observer.QUEUE", 3)
    async with observed(CountingStore(), "Hello.") as mastra:
        observer = mastra.observer
        assert observer is not None
        # Without giving up the loop, which the store needs.
        for _ in range(20):
            with observer.step("generic", "burst"):
                pass
        assert observer.dropped > 0
        await observer.flush()
        assert observer.stored + observer.dropped == 20
        await mastra.get_agent("a").generate("Hello?", **HERE)
    assert observer.stored + observer.dropped == 25
    assert not [message for message in caplog.messages if "Queue full" in message]


async def test_with_redaction_no_text_and_no_secret_is_in_the_files_bytes(tmp_path: Path) -> None:
    """Issue: "With redaction configured, no message text and no secret appears anywhere in the raw database (searched for in the file's bytes)".

    Prompts, instructions, working memory, arguments and results of tools, answers, titles, texts of errors, an API key among them.
    """

    def hidden(_: Any) -> str:
        return "[hidden]"

    folder = tmp_path / "spans"
    folder.mkdir()
    storage = CompositeStore(default=file_store(tmp_path), domains={"observability": file_store(folder)})
    said = [
        "SAID-BY-USER", "Atlantis", "SAID-BY-TOOL", "SAID-BY-MODEL", "SAID-AS-TITLE", "Be brief", "no such city", "sk-hush", "REMEMBERED",
    ]  # fmt: skip

    def look(city: str, api_key: str) -> dict[str, str]:
        """Look a city up."""
        return {"seen": f"SAID-BY-TOOL in {city}", "authorization": api_key}

    answers = (
        calling(
            call("weather", id="c1", city="Atlantis"),
            call("look", id="c2", city="Atlantis", api_key="sk-hush"),
            call("updateWorkingMemory", id="c3", memory="# REMEMBERED"),
            text="SAID-BY-MODEL 1",
        ),
        "SAID-BY-MODEL 2",
        "SAID-AS-TITLE",
        ModelError("401 for the key sk-hush: SAID-BY-MODEL 3"),
    )
    hide = Observability(redact_input=hidden, redact_output=hidden, storage_operations=True)
    memory = Memory(options=MemoryOptions(generate_title=True, working_memory=WorkingMemory()))
    agent = Agent("a", instructions="Be brief.", model=ScriptedModel(*answers), memory=memory, tools=[weather, look])
    async with Mastra(storage=storage, agents={"a": agent}, observability=hide) as mastra:
        result = await agent.generate("SAID-BY-USER sk-hush", **HERE)
        await agent.drain()
        with pytest.raises(ModelError):
            await agent.generate("SAID-BY-USER", **HERE)
        assert mastra.observer is not None
        assert await mastra.observer.flush()
        # The log, too, while it is there.
        written = b"".join(path.read_bytes() for path in folder.iterdir())
        names = {span.name for span in await spans_of(storage, result.trace_id)}
        thread = await storage.memory.get_thread_by_id("t1")
        remembered = await memory.get_working_memory(resource_id="u1")
    written += b"".join(path.read_bytes() for path in folder.iterdir())
    # All of it was said, and is where it belongs.
    errors = {called.call.id: called.error for called in result.tool_calls}
    assert errors == {"c1": "ValueError: no such city: Atlantis", "c2": "", "c3": ""}
    assert (thread.title if thread else None, remembered) == ("SAID-AS-TITLE", "# REMEMBERED")
    assert {"tool: 'look'", "tool: 'updateWorkingMemory'", "storage: memory.read_turn", "storage: memory.save_turn"} < names
    assert b"[hidden]" in written
    assert b"agent run: 'a'" in written
    assert [text for text in said if text.encode() in written] == []


async def test_nothing_is_traced_when_it_is_off(joined: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    """Off, a run makes the storage calls that it made before, and its result names no trace."""
    store = CountingStore()
    async with observed(store, "Hello.", observability=False) as mastra:
        result = await mastra.get_agent("a").generate("Hello?", **HERE)
        assert (result.trace_id, mastra.observer, store.batches()) == (None, None, ["fetch", "apply"])


async def test_a_traced_turn_costs_one_batch_more_after_its_answer() -> None:
    """Issue: "A turn with observability on costs at most 2 storage round trips more, off the critical path"."""
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
    """Issue: "A turn with observability on costs at most 2 storage round trips more, off the critical path": 1 hop, as SQLite counts."""
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
    """Issue: "off, it costs nothing and imports nothing"."""
    ran = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


NOT_INSTALLED = """
import sys
sys.modules["opentelemetry"] = None
from mastra_core import Mastra
from mastra_core.storage import InMemoryStore
Mastra(storage=InMemoryStore(), observability=True)
"""


def test_without_the_extra_the_mend_is_named() -> None:
    """Observability without opentelemetry-sdk says which extra to install, at the line that asked for it."""
    ran = subprocess.run([sys.executable, "-c", NOT_INSTALLED], capture_output=True, text=True, check=False)
    assert (
        'ConfigurationError: Mastra: observability needs opentelemetry-sdk, which is not installed; install it: pip install "mastra-core[otel]"'
        in ran.stderr
    )


def test_what_is_no_observability_is_refused() -> None:
    """A misspelt option is told where it is written."""
    wrong: Any = {"sampling": 1}
    with pytest.raises(ConfigurationError, match=r"observability must be True, False or Observability\(…\), found \{'sampling': 1\}"):
        Mastra(storage=CountingStore(), observability=wrong)


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


def test_a_blocking_program_is_traced_and_closed(tmp_path: Path) -> None:
    """`.sync` runs are traced on its loop, and `.sync.close()` stores their spans."""
    mastra = observed(file_store(tmp_path), "Hello.")
    result = mastra.get_agent("a").generate_sync("Hello?", **HERE)
    mastra.sync.close()
    store = file_store(tmp_path)
    found = store.sync.observability.get_trace(str(result.trace_id))
    assert found is not None
    assert len(found.spans) == 5
    store.sync.close()


async def test_a_run_after_close_is_no_longer_traced() -> None:
    """An agent that outlives its Mastra, with a memory of its own, runs on as if it had never been traced."""
    store = CountingStore(id="its own")
    agent = Agent("a", model=ScriptedModel("Hello."), memory=Memory(storage=store))
    async with Mastra(storage=CountingStore(), agents={"a": agent}, observability=True) as mastra:
        assert (await agent.generate("Hello?")).trace_id is not None
    assert mastra.observer is not None
    late = Agent("b", model=ScriptedModel("Hello."))
    late.tracing = agent.tracing
    assert (await late.generate("Hello?")).trace_id is None
    assert mastra.observer.dropped == 0


def test_a_mastra_made_in_another_event_loop_than_its_runs_is_traced(tmp_path: Path) -> None:
    """A program that sets up in one `asyncio.run` and works in the next finds its traces, also of agents that use no storage."""

    async def made() -> Mastra:
        agent = Agent("a", model=ScriptedModel("Hello."))
        return Mastra(storage=file_store(tmp_path), agents={"a": agent}, observability=True)

    async def used(mastra: Mastra) -> int:
        async with mastra:
            result = await mastra.get_agent("a").generate("Hello?")
            assert mastra.observer is not None
            assert await mastra.observer.flush()
            return len(await spans_of(mastra.storage, result.trace_id))

    assert asyncio.run(used(asyncio.run(made()))) == 3


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
