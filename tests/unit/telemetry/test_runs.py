"""Runs of agents as traces: what stands in the store of a run when it has ended, however it ended, on whatever loop it ran."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mastra_core import Agent, Mastra, Memory, ModelError, Observability
from mastra_core.telemetry.cleaning import TRUNCATED
from tests.unit.agent.models import CountingStore, ScriptedModel, WaitingModel, broken, call, calling
from tests.unit.telemetry.observing import HERE, file_store, observed, spans_of, tree

pytestmark = pytest.mark.usefixtures("both_ways")


async def test_a_run_is_stored_when_close_returns_as_a_trace_that_its_result_names(tmp_path: Path) -> None:
    """Must hold: "`await mastra.close()` right after a run: its spans are stored"; names, types, tree and entities as TypeScript has them."""
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


@pytest.mark.parametrize("missing", [0, 1])
async def test_a_prompt_is_kept_up_to_the_limit_to_the_byte(missing: int) -> None:
    """All that a prompt says counts towards `max_attribute_bytes`, the names of its members too, in the step as in the generation."""
    whole = len("rolesystemcontentBe brief.roleusercontentHello?")
    cut = "Hello?" if not missing else f"Hello{TRUNCATED}"
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": cut}]
    for limit, name, kept in ((whole, "step: 0", prompt), (whole + len("messages"), "llm: 'parrot-1'", {"messages": prompt})):
        store = CountingStore()
        async with observed(store, "Hi.", observability=Observability(max_attribute_bytes=limit - missing)) as mastra:
            result = await mastra.get_agent("a").generate("Hello?")
            assert mastra.observer is not None
            await mastra.observer.flush()
            (found,) = [span.input for span in await spans_of(store, result.trace_id) if span.name == name]
            assert found == kept
