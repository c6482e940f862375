"""One database with two writers: the real `@mastra/mongodb` reads what we wrote, in every domain, however it was written.

What it changes and we then read is asked of every backend at once, in tests/interop; vectors are in test_typescript_vectors.py.
"""

from __future__ import annotations

import json

import pytest

from mastra_core import clock
from mastra_core.storage.records.span_kinds import Span
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import JSON_VALUES, a_message, a_resource, a_thread, at
from mastra_mongodb.store import MongoDBStore
from tests.interop import shapes
from tests.interop.scripts import answer_of

START = clock.from_text("2024-01-01T00:00:00.001Z")
VALUES = {name: value for name, value in JSON_VALUES.items() if not isinstance(value, int) or abs(value) < 2**53}
"""Every type of JSON; JavaScript has no larger integers (contract §9.40)."""
CONTENT = {"format": 2, "parts": [{"type": "text", "text": "lone \ud83d, NUL \0, 日本語 🎉"}], "metadata": {"values": VALUES}}
SCORE = {
    "id": "s1", "scorer_id": "scorer", "run_id": "run", "entity_id": "agent", "entity_type": "AGENT", "source": "LIVE", "score": 0.1 + 0.2,
    "trace_id": "trace", "span_id": "root", "scorer": {"id": "scorer"}, "entity": {"id": "agent"}, "input": {"values": VALUES},
    "output": {"values": VALUES}, "request_context": VALUES, "metadata": VALUES,
}  # fmt: skip
SPAN = Span(trace_id="trace", span_id="root", name="run", span_type="agent_run", input=VALUES, started_at=START, ended_at=START)
NEIGHBOURS = [{"id": "m1", "withPreviousMessages": 1, "withNextMessages": 1}]
PAGE = {"page": 0, "perPage": 10}
QUESTIONS = {
    "thread": ("memory", "getThreadById", {"threadId": "t"}),
    "threads": ("memory", "listThreads", {"filter": {"resourceId": "r"}, "orderBy": {"field": "createdAt", "direction": "ASC"}}),
    "messages": ("memory", "listMessages", {"threadId": "t", "perPage": False}),
    "around": ("memory", "listMessages", {"threadId": "t", "perPage": 0, "include": NEIGHBOURS}),
    "message": ("memory", "listMessagesById", {"messageIds": ["m3"]}),
    "resource": ("memory", "getResourceById", {"resourceId": "r"}),
    "run": ("workflows", "getWorkflowRunById", {"workflowName": "w", "runId": "run"}),
    "snapshot": ("workflows", "loadWorkflowSnapshot", {"workflowName": "w", "runId": "run"}),
    "suspended": ("workflows", "listWorkflowRuns", {"workflowName": "w", "status": "suspended"}),
    "score": ("scores", "getScoreById", {"id": "s1"}),
    "of a scorer": ("scores", "listScoresByScorerId", {"scorerId": "scorer", "pagination": PAGE}),
    "of a run": ("scores", "listScoresByRunId", {"runId": "run", "pagination": PAGE}),
    "of a span": ("scores", "listScoresBySpan", {"traceId": "trace", "spanId": "root", "pagination": PAGE}),
    "trace": ("observability", "getTrace", {"traceId": "trace"}),
    "roots": ("observability", "listTraces", {"pagination": PAGE}),
}


async def write(store):
    """Something in every domain, each part as its domain writes it, and then changed."""
    for number, name in enumerate(("t", "u")):
        await store.memory.save_thread(a_thread(name, title="Ünï '", metadata={"values": VALUES}, created=number))
    said = [a_message(f"m{n}", content=CONTENT, created=n) for n in range(4)]
    await store.memory.save_turn(thread=a_thread(), messages=said[:2], existed=True)
    await store.memory.save_turn(thread=a_thread("new", created=2), messages=[a_message("first", thread_id="new")])
    await store.memory.save_messages(said[2:])
    await store.memory.update_thread("t", metadata={"$set": "$title", "a.b": [None]})
    await store.memory.save_resource(a_resource(metadata={"values": VALUES}))
    await store.memory.update_resource("r", working_memory="# Ada")
    snapshot = {"status": "running", "context": {"input": VALUES}, "value": {}}
    await store.workflows.persist_workflow_snapshot(
        "w", run_id="run", snapshot=snapshot, resource_id="r", created_at=START, updated_at=START
    )
    await store.workflows.update_workflow_state("w", run_id="run", opts={"status": "suspended"})
    await store.scores.save_score(SCORE)
    child = Span(trace_id="trace", span_id="child", parent_span_id="root", name="step", span_type="tool_call", started_at=at(1))
    await store.observability.batch_create_spans([SPAN, child])
    await store.observability.update_span("trace", span_id="child", updates={"ended_at": at(2), "output": VALUES})


@pytest.mark.parametrize("transactions", [None, False], ids=["transactions", "without-transactions"])
async def test_typescript_reads_what_we_wrote_in_every_domain(mongodb_url, transactions):
    """Must hold: "the real `@mastra/mongodb` (npm) reads what we wrote from the same server": as we read it ourselves."""
    async with MongoDBStore(uri=mongodb_url, transactions=transactions) as store:
        await write(store)
        answers = answer_of("calls.mjs", mongodb_url, json.dumps(list(QUESTIONS.values())))
        found = dict(zip(QUESTIONS, answers, strict=True))
        messages = [shapes.message(one) for one in await store.memory.list_messages("t", per_page=None)]
        assert [one["id"] for one in messages] == ["m0", "m1", "m2", "m3"]
        assert_same(messages[0]["content"], CONTENT)
        assert_same(found["thread"], shapes.thread(await store.memory.get_thread_by_id("t")))
        assert_same(found["thread"]["metadata"], {"values": VALUES, "$set": "$title", "a.b": [None]})
        assert [one["id"] for one in found["threads"]["threads"]] == ["t", "u", "new"]
        assert_same(found["messages"]["messages"], messages)
        assert_same(found["around"]["messages"], messages[:3])
        assert_same(found["message"]["messages"], messages[3:])
        assert_same(found["resource"], shapes.resource(await store.memory.get_resource_by_id("r")))
        run = shapes.run(await store.workflows.get_workflow_run_by_id("run", workflow_name="w"))
        assert_same(run["snapshot"], {"status": "suspended", "context": {"input": VALUES}, "value": {}})
        assert_same([found["run"], *found["suspended"]["runs"]], [run, run])
        assert_same(found["snapshot"], run["snapshot"])
        score = shapes.score(await store.scores.get_score_by_id("s1"))
        assert_same([found["score"], *(found[f"of a {what}"]["scores"] for what in ("scorer", "run", "span"))], [score, *[[score]] * 3])
        trace = await store.observability.get_trace("trace")
        assert_same(found["trace"]["spans"], [shapes.shown_at(mongodb_url, span) for span in trace.spans])
        assert [one["spanId"] for one in found["roots"]["spans"]] == ["root"]
