"""One database with two writers: the real `@mastra/redis` reads what we wrote, in every domain it has, and we read what it wrote."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from mastra_core import clock
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.wire import to_document
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import JSON_VALUES, a_message, a_resource, a_thread
from mastra_redis.store import RedisStore
from tests.interop.scripts import answer_of

START = clock.from_text("2024-01-01T00:00:00.001Z")
VALUES = {name: value for name, value in JSON_VALUES.items() if not isinstance(value, int) or isinstance(value, bool) or abs(value) < 2**53}
"""Every type of JSON; JavaScript has no larger integers (contract §9.40)."""
THEIRS = {**VALUES, "awkward.keys": {name: value for name, value in VALUES["awkward.keys"].items() if name != "__proto__"}}
"""The same, given to TypeScript to write: there a key `__proto__` names the prototype."""
SCORE = {
    "id": "s1", "scorer_id": "scorer", "run_id": "run", "entity_id": "agent", "entity_type": "AGENT", "source": "LIVE", "score": 0.1 + 0.2,
    "trace_id": "trace", "span_id": "span", "scorer": {"id": "scorer"}, "entity": {"id": "agent"}, "input": VALUES, "output": VALUES,
    "request_context": VALUES, "metadata": VALUES,
}  # fmt: skip


def asked(url, *calls):
    """What the methods of TypeScript's domains answer."""
    return answer_of("calls.mjs", url, json.dumps(calls))


def without_nulls(document):
    return {name: value for name, value in document.items() if value is not None}


@pytest.fixture(params=[False, True], ids=["without lifetimes", "with lifetimes"])
def options(request):
    """A time to live changes no byte that TypeScript reads."""
    return (
        {"ttl": dict.fromkeys(("thread", "message", "resource", "workflow_snapshot", "score"), timedelta(days=1))} if request.param else {}
    )


async def test_typescript_reads_what_we_wrote_in_every_domain_it_has(redis_url, options):
    """Must hold: "the real `@mastra/redis` reads what we wrote"."""
    threads = [a_thread(f"t{n}", title=f"Ünï '{n}", metadata={"values": VALUES}, created=n) for n in range(3)]
    content = {"format": 2, "parts": [{"type": "text", "text": "lone \ud83d, NUL \0, 日本語 🎉"}], "metadata": {"values": VALUES}}
    messages = [a_message(f"m{n}", thread_id="t0", resource_id="r", content=content, created=n) for n in range(4)]
    resource = a_resource(working_memory="# Ada", metadata={"values": VALUES})
    snapshot = {"status": "suspended", "context": {"input": VALUES}, "value": {}}
    async with RedisStore(connection_string=redis_url, **options) as store:
        for thread in threads:
            await store.memory.save_thread(thread)
        await store.memory.save_messages(messages)
        await store.memory.save_resource(resource)
        save = store.workflows.persist_workflow_snapshot
        await save("w", run_id="plain", snapshot=snapshot, created_at=START, updated_at=START)
        await save("w", run_id="owned", snapshot=snapshot, resource_id="r", created_at=START, updated_at=START)
        score = await store.scores.save_score(SCORE)
        thread = await store.memory.get_thread_by_id("t0")
    found = asked(
        redis_url,
        ["memory", "getThreadById", {"threadId": "t0"}],
        ["memory", "listThreads", {"filter": {"resourceId": "r"}, "orderBy": {"field": "createdAt", "direction": "ASC"}}],
        ["memory", "listMessages", {"threadId": "t0", "perPage": False}],
        [
            "memory",
            "listMessages",
            {"threadId": "t0", "perPage": 0, "include": [{"id": "m1", "withPreviousMessages": 1, "withNextMessages": 1}]},
        ],
        ["memory", "listMessagesById", {"messageIds": ["m3"]}],
        ["memory", "getResourceById", {"resourceId": "r"}],
        ["workflows", "loadWorkflowSnapshot", {"workflowName": "w", "runId": "plain"}],
        ["workflows", "getWorkflowRunById", {"workflowName": "w", "runId": "owned"}],
        ["workflows", "listWorkflowRuns", {"workflowName": "w", "resourceId": "r"}],
        ["scores", "getScoreById", {"id": "s1"}],
        ["scores", "listScoresByScorerId", {"scorerId": "scorer", "pagination": {"page": 0, "perPage": 10}}],
        ["scores", "listScoresByRunId", {"runId": "run", "pagination": {"page": 0, "perPage": 10}}],
        ["scores", "listScoresBySpan", {"traceId": "trace", "spanId": "span", "pagination": {"page": 0, "perPage": 10}}],
    )
    assert_same(found[0], to_document(THREADS, thread))
    assert [one["id"] for one in found[1]["threads"]] == ["t0", "t1", "t2"]
    # TypeScript hides the type "v2".
    assert_same(found[2]["messages"], [{**without_nulls(to_document(MESSAGES, one)), "type": "v2"} for one in messages])
    assert [one["id"] for one in found[3]["messages"]] == ["m0", "m1", "m2"]
    assert [one["id"] for one in found[4]["messages"]] == ["m3"]
    assert_same(found[5], to_document(RESOURCES, resource))
    assert_same(found[6], snapshot)
    assert_same(found[7]["snapshot"], snapshot)
    assert [one["runId"] for one in found[8]["runs"]] == ["owned"]
    assert_same(found[9], without_nulls(to_document(SCORES, score)))
    assert [[one["id"] for one in lists["scores"]] for lists in found[10:]] == [["s1"]] * 3


async def test_what_typescript_writes_and_changes_is_read_and_gone_on_with(redis_url):
    """Issue: "with `typescript_writes=True` lists also find what TypeScript adds later", and nothing of it is lost or altered."""
    date = {"$date": clock.to_text(START)}
    async with RedisStore(connection_string=redis_url, typescript_writes=True) as store:
        await store.memory.save_turn(thread=a_thread("ours"), messages=[a_message("m", thread_id="ours", resource_id="r")])
        content = {"format": 2, "parts": [{"type": "text", "text": "hi"}], "metadata": {"values": THEIRS}}
        message = {"id": "x", "threadId": "theirs", "resourceId": "r", "role": "user", "type": "v2", "createdAt": date, "content": content}
        thread = {"id": "theirs", "resourceId": "r", "title": "T", "metadata": {"values": THEIRS}, "createdAt": date, "updatedAt": date}
        failed = [
            one for one in asked(
                redis_url,
                ["memory", "saveThread", {"thread": thread}],
                ["memory", "saveMessages", {"messages": [message, {**message, "id": "y"}]}],
                ["memory", "saveMessages", {"messages": [{**message, "id": "z", "threadId": "ours"}]}],
                ["memory", "updateThread", {"id": "ours", "title": "renamed", "metadata": {"ts": True}}],
                ["memory", "updateResource", {"resourceId": "r", "workingMemory": "# Ada"}],
                ["workflows", "persistWorkflowSnapshot", {"workflowName": "w", "runId": "run", "resourceId": "r", "snapshot": {"context": THEIRS}}],
            ) if one and "__error" in one
        ]  # fmt: skip
        assert failed == []
        memory = store.memory
        assert {found.id: found.title for found in await memory.list_threads(filter={"resource_id": "r"})} == {
            "ours": "renamed",
            "theirs": "T",
        }
        theirs = await memory.get_thread_by_id("theirs")
        assert_same(theirs.metadata, {"values": THEIRS})
        assert [found.id for found in await memory.list_messages("theirs")] == ["x", "y"]
        assert {found.id for found in await memory.list_messages("ours")} == {"m", "z"}
        (first, *_) = await memory.list_messages("theirs")
        assert_same(first.content["metadata"], {"values": THEIRS})
        assert (await memory.get_resource_by_id("r")).working_memory == "# Ada"
        assert_same(await store.workflows.load_workflow_snapshot("w", run_id="run"), {"context": THEIRS})
        assert [run.run_id for run in await store.workflows.list_workflow_runs(resource_id="r")] == ["run"]
        await memory.save_messages([a_message("new", thread_id="theirs", resource_id="r", created=10**6)])
        await memory.delete_messages(["x"])
    (page,) = asked(redis_url, ["memory", "listMessages", {"threadId": "theirs", "perPage": False}])
    assert [found["id"] for found in page["messages"]] == ["y", "new"]
