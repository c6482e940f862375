"""A run of ours, traced into a file, and the real `@mastra/libsql` that lists and opens its trace."""

from __future__ import annotations

from mastra_core import Agent, Mastra, Memory
from mastra_core.storage import open_store
from mastra_core.testing.equality import assert_same
from tests.interop.scripts import answer_of
from tests.interop.shapes import shown_at
from tests.unit.agent.models import ScriptedModel, call, calling


def weather(city: str) -> dict[str, object]:
    """The weather of a city."""
    return {"city": city, "celsius": 12.5}


async def test_typescript_lists_and_opens_a_trace_of_ours(shared_url: str) -> None:
    """Must hold: "the real `@mastra/libsql` (npm) lists and opens a trace that we wrote, with the same tree"."""
    agent = Agent("a", model=ScriptedModel(calling(call("weather", city="Rome")), "Sunny."), memory=Memory(), tools=[weather])
    async with Mastra(storage=open_store(shared_url), agents={"a": agent}, observability=True):
        result = await agent.generate("Hello?", thread="t1", resource="u1")
    assert result.trace_id is not None
    read = answer_of("traces.mjs", shared_url, result.trace_id)
    async with open_store(shared_url) as store:
        ours = await store.observability.get_trace(result.trace_id)
    assert ours is not None
    by_id = {span["spanId"]: span for span in read["trace"]["spans"]}
    assert_same(by_id, {span.span_id: shown_at(shared_url, span) for span in ours.spans})
    assert [(span["traceId"], span["name"], span["status"]) for span in read["roots"]] == [(result.trace_id, "agent run: 'a'", "success")]
    assert read["root"]["spanId"] == read["roots"][0]["spanId"]
    tree = [(span["name"], by_id.get(span.get("parentSpanId"), {}).get("name")) for span in read["trace"]["spans"]]
    run, llm = "agent run: 'a'", "llm: 'parrot-1'"
    assert sorted(tree, key=str) == sorted(
        [
            (run, None), ("memory: recall", run), (llm, run), ("step: 0", llm), ("tool: 'weather'", "step: 0"), ("step: 1", llm),
            ("memory: save", run),
        ],
        key=str,
    )  # fmt: skip
