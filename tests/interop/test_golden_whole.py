"""Every answer of readback.json, asked of us: a key that no question here claims fails, so that nothing of it goes unread."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Resource
from mastra_core.testing.equality import assert_same
from tests.interop.test_golden_libsql import GOLDEN, message, messages, thread, threads
from tests.interop.test_golden_observability import by_place, shown
from tests.interop.test_golden_scores import listed, score
from tests.interop.test_golden_workflows import run, runs

SAID: Mapping[str, Any] = json.loads((GOLDEN / "readback.json").read_text())["results"]
"""What the TypeScript API answered to each call, by the name of the call."""
EVERY: Mapping[str, Any] = {"per_page": None, "include_total": True}
FIRST = SAID["messages.list.thread-plain.all"]["messages"][0]["id"]
EDGE = clock.from_text("2025-01-02T03:04:05.678Z")
TRACE, SPAN = "0" * 31 + "1", "0" * 15 + "1"
NOT_OURS = {
    "vector.indexes": "vectors: tests of LibSQLVector",
    "vector.query.memory_messages_384": "vectors: tests of LibSQLVector",
    "memory.recall.semantic": "needs the vectors and the embedder that wrote them: tests of LibSQLVector",
    "obs.scores": "an error: TypeScript's observability domain has no scores, and neither has ours; scores have a domain of their own",
}
"""Answers that are no reading of the four domains, and who reads them."""

Ask = Callable[[LibSQLStore, re.Match[str]], Awaitable[Any]]


async def every_thread(store: LibSQLStore, _: re.Match[str]) -> Any:
    found = [await store.memory.get_thread_by_id(name) for name in SAID["threads.getById"]]
    return {record.id: thread(record) for record in found if record is not None}


async def a_page_of_threads(store: LibSQLStore, at: re.Match[str]) -> Any:
    order = {"field": {"createdAt": "created_at", "updatedAt": "updated_at"}[at["field"]], "direction": at["direction"]}
    filters = {"resource_id": "user-a"}
    return threads(await store.memory.list_threads(filter=filters, page=int(at["page"]), per_page=int(at["per"]), order_by=order))  # type: ignore[arg-type]


async def threads_of(store: LibSQLStore, at: re.Match[str]) -> Any:
    return threads(await store.memory.list_threads(filter={"resource_id": at[1]}, per_page=None))


async def pinned(store: LibSQLStore, _: re.Match[str]) -> Any:
    return threads(await store.memory.list_threads(filter={"metadata": {"pinned": True}}))


async def messages_of(store: LibSQLStore, at: re.Match[str]) -> Any:
    return messages(await store.memory.list_messages(at[1], **EVERY))


async def last_two(store: LibSQLStore, at: re.Match[str]) -> Any:
    return messages(await store.memory.list_messages(at[1], per_page=2, order_by={"direction": "DESC"}, include_total=True))


async def tagged(store: LibSQLStore, _: re.Match[str]) -> Any:
    return messages(await store.memory.list_messages("thread-edge", filter={"metadata": {"tag": "b"}}, **EVERY))


async def within(store: LibSQLStore, _: re.Match[str]) -> Any:
    dates = {"start": EDGE + 2 * clock.MILLISECOND, "end": EDGE + 3 * clock.MILLISECOND}
    return messages(await store.memory.list_messages("thread-edge", filter={"date_range": dates}, **EVERY))  # type: ignore[arg-type]


async def around_the_second(store: LibSQLStore, _: re.Match[str]) -> Any:
    window = {"id": "edge-msg-2", "with_previous_messages": 1, "with_next_messages": 1}
    return messages(await store.memory.list_messages("thread-edge", per_page=0, include=[window]))  # type: ignore[list-item]


async def after_the_first(store: LibSQLStore, _: re.Match[str]) -> Any:
    return messages(await store.memory.list_messages("thread-plain", per_page=0, include=[{"id": FIRST, "with_next_messages": 2}]))


async def by_id(store: LibSQLStore, _: re.Match[str]) -> Any:
    return {"messages": [message(m) for m in await store.memory.list_messages_by_id(["edge-msg-3", FIRST, "missing"])]}


async def of_two_threads(store: LibSQLStore, _: re.Match[str]) -> Any:
    return messages(await store.memory.list_messages(["thread-plain", "thread-tool"], **EVERY))


async def of_a_resource(store: LibSQLStore, _: re.Match[str]) -> Any:
    return messages(await store.memory.list_messages_by_resource_id("user-a", **EVERY))


async def of_another(store: LibSQLStore, _: re.Match[str]) -> Any:
    return messages(await store.memory.list_messages("thread-plain", resource_id="user-b", **EVERY))


async def a_resource(store: LibSQLStore, at: re.Match[str]) -> Any:
    found: Resource | None = await store.memory.get_resource_by_id(at[1])
    return found and {
        "id": found.id, "workingMemory": found.working_memory, "metadata": found.metadata,
        "createdAt": clock.to_text(found.created_at), "updatedAt": clock.to_text(found.updated_at),
    }  # fmt: skip


async def working_memory(store: LibSQLStore, _: re.Match[str]) -> Any:
    found = await store.memory.get_resource_by_id("user-b")
    return found and found.working_memory


async def some_runs(store: LibSQLStore, at: re.Match[str]) -> Any:
    named: Mapping[str, Any] = {} if at[1] == "all" else {"workflow_name": "orderWorkflow"}
    choices: Mapping[str, Mapping[str, Any]] = {
        "suspended": {"status": "suspended"}, "resource=user-a": {"resource_id": "user-a"}, "page": {"page": 1, "per_page": 1},
    }  # fmt: skip
    asked = choices.get(at[1], {})
    return runs(await store.workflows.list_workflow_runs(**named, **asked))


async def a_trace(store: LibSQLStore, at: re.Match[str]) -> Any:
    trace = await store.observability.get_trace(at[1])
    if trace is not None:
        assert await store.observability.get_spans(at[1], span_ids=[span.span_id for span in trace.spans]) == trace.spans
    return trace and {"traceId": trace.trace_id, "spans": [shown(span) for span in trace.spans]}


async def roots(store: LibSQLStore, at: re.Match[str]) -> Any:
    page = await store.observability.list_traces(filters={"span_type": "agent_run"} if at[1] else None, per_page=50, include_total=True)
    pagination = {"total": page.total, "page": page.page, "perPage": page.per_page, "hasMore": page.has_more}
    return {"pagination": pagination, "spans": [{**shown(root), "status": root.status} for root in page]}


async def missing_thread(store: LibSQLStore, _: re.Match[str]) -> Any:
    return await store.memory.get_thread_by_id("nope")


async def all_threads(store: LibSQLStore, _: re.Match[str]) -> Any:
    return threads(await store.memory.list_threads(per_page=None))


async def a_run(store: LibSQLStore, at: re.Match[str]) -> Any:
    named = run(await store.workflows.get_workflow_run_by_id(at[1], workflow_name="orderWorkflow"))
    assert_same(run(await store.workflows.get_workflow_run_by_id(at[1])), named)
    return named


async def a_snapshot(store: LibSQLStore, at: re.Match[str]) -> Any:
    return await store.workflows.load_workflow_snapshot("orderWorkflow", run_id=at[1])


async def some_scores(store: LibSQLStore, at: re.Match[str]) -> Any:
    scores = store.scores
    asked: Mapping[str, Callable[[], Awaitable[Any]]] = {
        "byScorer.manual": lambda: scores.list_scores_by_scorer_id("manual-scorer", per_page=50),
        "byScorer.live": lambda: scores.list_scores_by_scorer_id("answer-length", per_page=50),
        "byScorer.source": lambda: scores.list_scores_by_scorer_id("manual-scorer", source="TEST", per_page=50),
        "byRun": lambda: scores.list_scores_by_run_id("score-run-1", per_page=50),
        "byEntity": lambda: scores.list_scores_by_entity_id("plain-agent", entity_type="AGENT", per_page=50),
        "bySpan": lambda: scores.list_scores_by_span(TRACE, span_id=SPAN, per_page=50),
    }
    return listed(await asked[at[1]]())


async def a_score(store: LibSQLStore, _: re.Match[str]) -> Any:
    return score(await store.scores.get_score_by_id(SAID["scores.byId"]["id"]))


QUESTIONS: Mapping[str, Ask] = {
    r"threads\.getById": every_thread,
    r"threads\.getById\.missing": missing_thread,
    r"threads\.list\.all": all_threads,
    r"threads\.list\.resource=(.+)": threads_of,
    r"threads\.list\.page(?P<page>\d)of(?P<per>\d)\.(?P<field>createdAt|updatedAt)(?P<direction>ASC|DESC)": a_page_of_threads,
    r"threads\.list\.metadata": pinned,
    r"messages\.list\.(thread-\w+)\.all": messages_of,
    r"messages\.list\.(thread-\w+)\.last2desc": last_two,
    r"messages\.list\.multi": of_two_threads,
    r"messages\.list\.otherResource": of_another,
    r"messages\.list\.edge\.metadata": tagged,
    r"messages\.list\.edge\.dateRange": within,
    r"messages\.list\.edge\.include": around_the_second,
    r"messages\.list\.plain\.include\.perPage0": after_the_first,
    r"messages\.byId": by_id,
    r"messages\.byResource": of_a_resource,
    r"resource\.(.+)": a_resource,
    r"memory\.getWorkingMemory": working_memory,
    r"workflows\.list\.(.+)": some_runs,
    r"workflows\.run\.(.+)": a_run,
    r"workflows\.snapshot\.(.+)": a_snapshot,
    r"scores\.(by(?:Scorer\..+|Run|Entity|Span))": some_scores,
    r"scores\.byId": a_score,
    r"traces\.list(\.filter\.agent)?": roots,
    r"traces\.get\.(\w+)": a_trace,
}
"""How each answer is asked for, by a pattern of its name."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LibSQLStore]:
    """A store over a copy of the golden database."""
    shutil.copy(GOLDEN / "golden.db", tmp_path / "golden.db")
    async with LibSQLStore(url=f"file:{tmp_path}/golden.db") as opened:
        yield opened


def expected(name: str) -> Any:
    """What TypeScript answered, where it leaves the order open in ours: of spans that started in one millisecond."""
    answer = SAID[name]
    return {**answer, "spans": by_place(answer["spans"])} if name.startswith("traces.get.") else answer


@pytest.mark.parametrize("name", [name for name in SAID if name not in NOT_OURS])
async def test_an_answer_of_typescript_is_ours_too(store: LibSQLStore, name: str) -> None:
    """Issue: "The whole of `golden/libsql/` reads back equal to `readback.json` (known TypeScript bugs excepted, each named)"."""
    claims = [(ask, at) for pattern, ask in QUESTIONS.items() if (at := re.fullmatch(pattern, name)) is not None]
    assert len(claims) == 1, f"{name}: asked by {[ask.__name__ for ask, _ in claims]}; each answer of readback.json wants one question"
    ask, at = claims[0]
    assert_same(await ask(store, at), expected(name))


def test_what_is_excepted_is_there() -> None:
    """An exception that nothing in readback.json needs is dropped, and so is a question that nobody asked."""
    assert NOT_OURS.keys() <= SAID.keys()
    assert [pattern for pattern in QUESTIONS if not any(re.fullmatch(pattern, name) for name in SAID)] == []
