"""A Mastra whose runs are traced into a store, and how to look at what was traced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace

from mastra_core import Agent, Mastra, Memory, MemoryOptions, Observability
from mastra_core.agent.model import ModelReply
from mastra_core.storage import LibSQLStore, Store
from mastra_core.storage.records.span_kinds import Span
from tests.unit.agent.models import ScriptedModel

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
