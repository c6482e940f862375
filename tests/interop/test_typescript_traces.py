"""A run of ours, traced into a file, and the real `@mastra/libsql` that lists and opens its trace."""

from __future__ import annotations

from pathlib import Path

from mastra_core import Agent, Mastra, Memory
from mastra_core.storage import LibSQLStore
from mastra_core.storage.records.span_kinds import SPANS
from mastra_core.storage.records.wire import to_document
from mastra_core.testing.equality import assert_same
from tests.interop.scripts import answer_of
from tests.unit.agent.models import ScriptedModel, call, calling


def weather(city: str) -> dict[str, object]:
    """The weather of a city."""
    return {"city": city, "celsius": 12.5}


async def test_typescript_lists_and_opens_a_trace_of_ours(tmp_path: Path) -> None:
    """Issue: "the real `@mastra/libsql` (npm) lists and opens a trace that we wrote, with the same tree"."""
    url = f"file:{tmp_path}/shared.db"
    agent = Agent("a", model=ScriptedModel(calling(call("weather", city="Rome")), "Sunny."), memory=Memory(), tools=[weather])
    async with Mastra(storage=LibSQLStore(url=url), agents={"a": agent}, observability=True):
        result = await agent.generate("Hello?", thread="t1", resource="u1")
    assert result.trace_id is not None
    read = answer_of("traces.mjs", url, result.trace_id)
    async with LibSQLStore(url=url) as store:
        ours = await store.observability.get_trace(result.trace_id)
    assert ours is not None
    nothing = dict.fromkeys(field.stored for field in SPANS.fields)
    by_id = {span["spanId"]: span for span in read["trace"]["spans"]}
    assert_same(by_id, {span.span_id: nothing | to_document(SPANS, span) for span in ours.spans})
    assert [(span["traceId"], span["name"], span["status"]) for span in read["roots"]] == [(result.trace_id, "agent run: 'a'", "success")]
    assert read["root"]["spanId"] == read["roots"][0]["spanId"]
    assert len(by_id) == 7
