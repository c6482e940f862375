"""Well-formed records of all six kinds, as the domains save them: few, and related, so that every list has something to hold.

Knows the domains. Must not know how a row is damaged or judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message, Resource, Thread
from mastra_core.storage.records.span_kinds import Span
from mastra_core.storage.store import Store
from mastra_core.testing.samples import JSON_VALUES

START = clock.from_text("2024-01-01T00:00:00.000Z")
FLAGS: Mapping[str, Json] = {"tag": "b", "n": 1, "flag": True, "nil": None}
"""What the lists filter by."""
META: Mapping[str, Json] = {**FLAGS, "values": JSON_VALUES}
AGENT: Mapping[str, Json] = {"input": {"messageListState": {"memoryInfo": {"threadId": "t1"}}}}


def at(number: int) -> datetime:
    """An instant *number* milliseconds after START."""
    return START + number * clock.MILLISECOND


async def fill(store: Store) -> None:
    """Save every record."""
    await fill_memory(store)
    await fill_runs_and_scores(store)
    await store.observability.batch_create_spans(spans())


async def fill_memory(store: Store) -> None:
    """Threads, messages and resources."""
    memory = store.memory
    for number, owner in ((1, "u1"), (2, "u1"), (3, "u2")):
        metadata = META if number == 1 else {"n": number, "nil": None} if number == 2 else None
        title = "" if number == 3 else f"Thread {number} é😀"
        await memory.save_thread(
            Thread(id=f"t{number}", resource_id=owner, title=title, metadata=metadata, created_at=at(number), updated_at=at(9 - number))
        )
    plain = [{"type": "text", "text": "hello é😀"}, {"type": "tool-invocation", "toolInvocation": {"state": "result", "result": [1, None]}}]
    contents: list[Json] = [
        {"format": 2, "parts": plain, "content": "hello", "metadata": META},
        {"format": 2, "parts": []},
        {"format": 2, "parts": plain, "metadata": {"tag": "c", "n": 1.0}},
        {"format": 2, "parts": plain, "metadata": FLAGS},
    ]
    messages = [
        Message(id=f"m{n}", thread_id="t1", resource_id="u1" if n < 3 else "u2", content=content, created_at=at(10 + n))
        for n, content in enumerate(contents, 1)
    ]
    await memory.save_messages([*messages, Message(id="m9", thread_id="t2", resource_id="u1", content=contents[0], created_at=at(30))])
    for name in ("u1", "u2"):
        text = "# Ada\n* likes tea" if name == "u1" else None
        metadata = META if name == "u1" else None
        await memory.save_resource(Resource(id=name, working_memory=text, metadata=metadata, created_at=at(0), updated_at=at(1)))


async def fill_runs_and_scores(store: Store) -> None:
    """Runs of two workflows and of an agent, and scores of one scorer."""
    save = store.workflows.persist_workflow_snapshot
    snapshots: list[Mapping[str, Json]] = [
        {"status": "suspended", "context": {"input": META}, "value": {}},
        {"status": "success", "context": {}, "result": JSON_VALUES},
        {"status": "suspended", "context": AGENT},
    ]
    for number, snapshot in enumerate(snapshots, 1):
        name, owner = ("agentic-loop" if number == 3 else "w"), ("u1" if number == 1 else None)
        await save(name, run_id=f"r{number}", snapshot=snapshot, resource_id=owner, created_at=at(number), updated_at=at(number + 1))
    payload: dict[str, Any] = {
        "scorer_id": "s", "run_id": "r1", "entity_id": "agent", "entity_type": "AGENT", "entity": {"id": "agent"}, "scorer": META,
        "score": 0.75, "source": "LIVE", "trace_id": "a", "span_id": "a1", "output": [1, "x"], "input": META, "metadata": FLAGS,
        "reason": "because", "request_context": {}, "analyze_step_result": {"a": [1, 2]}, "organization_id": "o",
    }  # fmt: skip
    for number in (1, 2, 3):
        changed: dict[str, Any] = {"id": f"s{number}", "score": number / 10, "input": None if number == 2 else payload["input"]}
        await store.scores.save_score({**payload, **changed})  # type: ignore[typeddict-item]  # the fields are a score's


def spans() -> list[Span]:
    """A trace that failed below its root, and one that still runs."""
    root = Span(
        trace_id="a", span_id="a1", name="agent run", span_type="agent_run", started_at=at(1), ended_at=at(9), tags=["x", "y"],
        metadata=META, attributes={"usage": {"in": 1}}, scope=FLAGS, links=[{"traceId": "z"}], input=META, output="text",
        resource_id="u1", entity_type="agent", entity_id="e", request_context={"k": 1}, created_at=at(1), updated_at=at(9),
    )  # fmt: skip
    child = attrs.evolve(root, span_id="a2", parent_span_id="a1", tags=None, started_at=at(2), error={"message": "no", "stack": "s"})
    below = attrs.evolve(child, span_id="a3", parent_span_id="a2", error=None, is_event=True, started_at=at(3), input=[1, {}], output=None)
    other = attrs.evolve(root, trace_id="b", span_id="b1", ended_at=None, started_at=at(4), tags=["y"], metadata=None, input=None)
    return [root, child, below, other]
