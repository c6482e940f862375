"""One table with two writers: the real `@mastra/dynamodb` reads what we wrote, in every domain it has, and we read what it wrote."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage import open_store
from mastra_core.storage.records.kind import Json, Kind
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES, Score
from mastra_core.storage.records.wire import to_document
from mastra_core.testing.equality import assert_same, difference
from mastra_core.testing.samples import JSON_VALUES, a_message, a_resource, a_thread
from mastra_dynamodb.store import DynamoDBStore
from tests.interop import test_typescript_lists as lists
from tests.interop.scripts import answer_of

START = clock.from_text("2024-01-01T00:00:00.001Z")
VALUES = {name: value for name, value in JSON_VALUES.items() if not isinstance(value, int) or isinstance(value, bool) or abs(value) < 2**53}
"""Every type of JSON; JavaScript has no larger integers (contract §9.40)."""
AWKWARD = VALUES["awkward.keys"]
assert isinstance(AWKWARD, Mapping)
THEIRS: Mapping[str, Json] = {**VALUES, "awkward.keys": {name: value for name, value in AWKWARD.items() if name != "__proto__"}}
"""The same, given to TypeScript to write: there a key `__proto__` names the prototype."""
SCORE: dict[str, Any] = {
    "id": "s1", "scorer_id": "scorer", "run_id": "run", "entity_id": "agent", "entity_type": "AGENT", "source": "LIVE", "score": 0.1 + 0.2,
    "trace_id": "trace", "span_id": "span", "scorer": {"id": "scorer"}, "entity": {"id": "agent"}, "input": VALUES, "output": VALUES,
    "request_context": VALUES, "metadata": VALUES, "resource_id": "r", "thread_id": "t0",
}  # fmt: skip
PAGE = {"page": 0, "perPage": 10}
NOT_THEIRS = {
    "messages of two threads": "a list of several threads fails, and the failure is answered as no messages (contract §3.7)",
    "messages by metadata": "the filter by metadata is not applied",
    "messages of a resource": "`@mastra/dynamodb` has no such list, and throws",
    "neighbours": "perPage 0 has the total of the thread (ours has none, semantics §2.5)",
}
"""Questions that TypeScript answers otherwise, and why."""


def asked(url: str, *calls: tuple[str, str, Mapping[str, Any]]) -> list[Any]:
    """What the methods of TypeScript's domains answer."""
    answers: list[Any] = answer_of("calls.mjs", url, json.dumps(calls))
    return answers


def plain(kind: Kind[Any], record: Any) -> dict[str, Any]:
    """A record as TypeScript shows it: without nulls."""
    names = {"workflow_name": "workflowName", "run_id": "runId"} if kind is RUNS else {}
    return {names.get(name, name): value for name, value in to_document(kind, record).items() if value is not None}


def shown(found: Any, *, but: Sequence[str] = ()) -> Any:
    """What TypeScript answered, without the attributes of an item that are none of its record: the discriminator above all."""
    if isinstance(found, list):
        return [shown(one, but=but) for one in found]
    if not isinstance(found, dict):
        return found
    records = {name: shown(found[name], but=but) for name in ("threads", "messages", "runs", "scores") if isinstance(found.get(name), list)}
    hidden = {*but, *(["entity"] if isinstance(found.get("entity"), str) else []), *(["updatedAt"] if "role" in found else [])}
    hidden |= {"type"} if found.get("type") == "v2" else set()
    return {name: records.get(name, value) for name, value in found.items() if name not in hidden and value is not None}


@pytest.fixture(params=[False, True], ids=["without lifetimes", "with lifetimes"])
def ttl(request: pytest.FixtureRequest) -> Any:
    """A time to live changes nothing that TypeScript reads."""
    lasting = {"enabled": True, "default_ttl_seconds": 86400}
    return dict.fromkeys(("thread", "message", "resource", "workflow_snapshot", "score"), lasting) if request.param else None


async def test_typescript_reads_what_we_wrote_in_every_domain_it_has(
    dynamodb_url: str, dynamodb_table: str, dynamodb_client: Any, ttl: Any
) -> None:
    """Must hold: "the real `@mastra/dynamodb` reads what we wrote"."""
    threads = [a_thread(f"T{n}", title=f"Ünï '{n}", metadata={"values": VALUES}, created=n) for n in range(3)]
    content = {"format": 2, "parts": [{"type": "text", "text": "lone \ud83d, NUL \0, 日本語 🎉"}], "metadata": {"values": VALUES}}
    messages = [a_message(f"M{n}", thread_id="T0", resource_id="r", content=content, created=n) for n in range(4)]
    resource = a_resource(working_memory="# Ada", metadata={"values": VALUES})
    snapshot = {"status": "suspended", "context": {"input": VALUES}, "value": {}}
    async with DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client, ttl=ttl) as store:
        for thread in threads:
            await store.memory.save_thread(thread)
        await store.memory.save_messages(messages)
        await store.memory.save_resource(resource)
        for name, owner in (("plain", None), ("owned", "r")):
            await store.workflows.persist_workflow_snapshot(
                "w", run_id=name, snapshot=snapshot, resource_id=owner, created_at=START, updated_at=START
            )
        score = await store.scores.save_score(SCORE)  # type: ignore[arg-type]  # the fields are a score's
        saved = [await store.memory.get_thread_by_id(f"T{n}") for n in range(3)]
        run = await store.workflows.get_workflow_run_by_id("owned", workflow_name="w")
    window = {"id": "M1", "withPreviousMessages": 1, "withNextMessages": 1}
    found = asked(
        dynamodb_url,
        ("memory", "getThreadById", {"threadId": "T0"}),
        ("memory", "listThreads", {"filter": {"resourceId": "r"}, "orderBy": {"field": "createdAt", "direction": "ASC"}}),
        ("memory", "listMessages", {"threadId": "T0", "perPage": False}),
        ("memory", "listMessages", {"threadId": "T0", "perPage": 0, "include": [window]}),
        ("memory", "listMessagesById", {"messageIds": ["M3"]}),
        ("memory", "getResourceById", {"resourceId": "r"}),
        ("workflows", "loadWorkflowSnapshot", {"workflowName": "w", "runId": "plain"}),
        ("workflows", "getWorkflowRunById", {"workflowName": "w", "runId": "owned"}),
        ("workflows", "getWorkflowRunById", {"runId": "owned"}),
        ("workflows", "listWorkflowRuns", {"workflowName": "w", "resourceId": "r", "status": "suspended"}),
        ("scores", "getScoreById", {"id": "s1"}),
        ("scores", "listScoresByScorerId", {"scorerId": "scorer", "pagination": PAGE}),
        ("scores", "listScoresByRunId", {"runId": "run", "pagination": PAGE}),
        ("scores", "listScoresByEntityId", {"entityId": "agent", "entityType": "AGENT", "pagination": PAGE}),
        ("scores", "listScoresBySpan", {"traceId": "trace", "spanId": "span", "pagination": PAGE}),
    )  # fmt: skip
    found = shown(found, but=["ttl"])
    assert_same(found[:2], [plain(THREADS, saved[0]), {**found[1], "threads": [plain(THREADS, one) for one in saved]}])
    assert_same(found[2]["messages"], [shown(plain(MESSAGES, one)) for one in messages])
    assert [one["id"] for one in found[3]["messages"]] == ["M0", "M1", "M2"]
    assert_same(found[4]["messages"], found[2]["messages"][3:])
    assert_same(found[5], plain(RESOURCES, resource))
    assert_same(found[6], snapshot)
    assert_same([found[7], found[8], *found[9]["runs"]], [plain(RUNS, run)] * 3)
    assert_same([found[10], *(one for page in found[11:] for one in page["scores"])], [plain(SCORES, score)] * 5)


@pytest.mark.parametrize("fill", [lists.we_fill, lists.they_fill])
async def test_both_languages_list_the_same(dynamodb_url: str, fill: Callable[[str], Awaitable[None]]) -> None:
    """Threads, messages and resources, whoever wrote them: every list, filter, order, page and window is the same for both."""
    await fill(dynamodb_url)
    theirs = asked(dynamodb_url, *(asking for asking, _ in lists.QUESTIONS.values()))
    async with open_store(dynamodb_url) as store:
        ours = {name: await ask(store) for name, (_, ask) in lists.QUESTIONS.items()}
    for name, answer in zip(lists.QUESTIONS, theirs, strict=True):
        if name in NOT_THEIRS:
            assert difference(shown(ours[name]), shown(answer)) is not None
        else:
            assert_same(shown(ours[name]), shown(answer))
    assert {message["id"] for message in ours["messages of two threads"]["messages"]} == {message.id for message in lists.MESSAGES}


async def test_what_typescript_writes_and_changes_is_read_and_gone_on_with(dynamodb_url: str) -> None:
    """Threads, messages, resources, runs and scores; in a thread of its own, and in one of ours, right after our write."""
    date = {"$date": clock.to_text(START)}
    content = {"format": 2, "parts": [{"type": "text", "text": "hi"}], "metadata": {"values": THEIRS}}
    message = {"id": "X", "threadId": "Theirs", "resourceId": "r", "role": "user", "type": "v2", "createdAt": date, "content": content}
    thread = {"id": "Theirs", "resourceId": "r", "title": "T", "metadata": {"values": THEIRS}, "createdAt": date, "updatedAt": date}
    snapshot = {"status": "suspended", "context": {"input": THEIRS}}
    score = {name: value for name, value in to_document(SCORES, Score(**SCORE, created_at=START, updated_at=START)).items() if name != "id"}
    async with open_store(dynamodb_url) as store:
        await store.memory.save_turn(
            thread=a_thread("ours"), messages=[a_message(name, thread_id="ours", resource_id="r") for name in ("m", "n")]
        )
        written = asked(
            dynamodb_url,
            ("memory", "saveThread", {"thread": thread}),
            ("memory", "saveMessages", {"messages": [message, {**message, "id": "Y"}]}),
            ("memory", "saveMessages", {"messages": [{**message, "id": "Z", "threadId": "ours"}]}),
            ("memory", "updateMessages", {"messages": [{"id": "m", "content": {"metadata": {"ts": True}}}]}),
            ("memory", "deleteMessages", ["n"]),
            ("memory", "updateThread", {"id": "ours", "title": "renamed", "metadata": {"ts": True}}),
            ("memory", "updateResource", {"resourceId": "r", "workingMemory": "# Ada", "metadata": {"values": THEIRS}}),
            ("workflows", "persistWorkflowSnapshot", {"workflowName": "w", "runId": "run", "resourceId": "r", "snapshot": snapshot}),
            ("scores", "saveScore", {**score, "input": THEIRS, "output": "just text"}),
        )  # fmt: skip
        assert [one for one in written if isinstance(one, dict) and "__error" in one] == []
        memory = store.memory
        threads = await memory.list_threads(filter={"resource_id": "r"})
        assert {found.id: found.title for found in threads} == {"ours": "renamed", "Theirs": "T"}
        theirs, ours = [await memory.get_thread_by_id(name) for name in ("Theirs", "ours")]
        assert theirs is not None
        assert ours is not None
        assert_same([theirs.metadata, ours.metadata], [{"values": THEIRS}, {**(a_thread("ours").metadata or {}), "ts": True}])
        first, second = await memory.list_messages("Theirs")
        assert_same([first.id, first.content, second.id, second.created_at], ["X", content, "Y", START])
        assert {found.id: found.content.get("metadata") for found in await memory.list_messages("ours")} == {
            "m": {"ts": True}, "Z": content["metadata"],
        }  # fmt: skip
        resource = await memory.get_resource_by_id("r")
        assert resource is not None
        assert_same([resource.working_memory, resource.metadata], ["# Ada", {"values": THEIRS}])
        assert_same(await store.workflows.load_workflow_snapshot("w", run_id="run"), snapshot)
        await store.workflows.update_workflow_state("w", run_id="run", opts={"status": "running"}, expected_status="suspended")
        (scored,) = await store.scores.list_scores_by_run_id("run")
        assert_same([scored.input, scored.output, scored.entity, scored.score], [THEIRS, "just text", {"id": "agent"}, 0.1 + 0.2])
        await memory.save_messages([a_message("new", thread_id="Theirs", resource_id="r", created=10**6)])
        await memory.delete_messages(["X"])
    (page, run) = asked(
        dynamodb_url,
        ("memory", "listMessages", {"threadId": "Theirs", "perPage": False}),
        ("workflows", "loadWorkflowSnapshot", {"workflowName": "w", "runId": "run"}),
    )
    assert [found["id"] for found in page["messages"]] == ["Y", "new"]
    assert_same(run, {**snapshot, "status": "running"})


async def test_messages_that_typescript_saved_without_a_thread_harm_nobody(dynamodb_url: str) -> None:
    """`@mastra/dynamodb` leaves an item with an id and a time then (contract §9.13): no thread to us, which can still be made."""
    content = {"format": 2, "parts": []}
    message = {"id": "x", "threadId": "t", "resourceId": "r", "role": "user", "type": "v2", "createdAt": {"$date": clock.to_text(START)}}
    (saved,) = asked(dynamodb_url, ("memory", "saveMessages", {"messages": [{**message, "content": content}]}))
    assert len(saved["messages"]) == 1
    async with open_store(dynamodb_url) as store:
        assert await store.memory.get_thread_by_id("t") is None
        assert (await store.memory.list_threads()).total == 0
        assert [found.id for found in await store.memory.list_messages("t")] == ["x"]
        await store.memory.save_turn(thread=a_thread("t"), messages=[a_message("y", thread_id="t", resource_id="r")])
        assert [found.id for found in await store.memory.list_threads()] == ["t"]
        await store.memory.delete_thread("t")
        assert [found.id for found in await store.memory.list_messages("t")] == []
