"""Every answer of a readback.json, asked of a store: a key that no question here claims is an error, so that nothing goes unread.

Knows what scripts that made the golden data asked TypeScript, by the names that they gave the answers. Must not know a backend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.store import Store
from mastra_core.testing.equality import assert_same
from tests.interop.shapes import by_place, listed, message, messages, resource, run, runs, score, shown, thread, threads

EVERY: Mapping[str, Any] = {"per_page": None, "include_total": True}
EDGE = clock.from_text("2025-01-02T03:04:05.678Z")
TRACE, SPAN = "0" * 31 + "1", "0" * 15 + "1"
ELSEWHERE: Mapping[str, str] = {
    "vector.indexes": "vectors: tests of each vector store",
    "vector.query.memory_messages_384": "vectors: tests of each vector store",
    "memory.recall.semantic": "needs the vectors and the embedder that wrote them: tests of each vector store",
    "obs.scores": "an error: TypeScript's observability domain has no scores, and neither has ours; scores have a domain of their own",
}
"""Answers that are no reading of the four domains, and who reads them."""


def said_in(folder: Path) -> Mapping[str, Any]:
    """What the TypeScript API answered to each call, by the name of the call, in the readback.json of this folder."""
    said: Mapping[str, Any] = json.loads((folder / "readback.json").read_text())["results"]
    return said


@attrs.frozen
class Golden:
    """A store over golden data, and what TypeScript said of them.

    Attributes:
        store: the store that is asked.
        said: the answers of TypeScript, by name.
        hidden: stored names of a span's fields that TypeScript does not select on this backend.
    """

    store: Store
    said: Mapping[str, Any]
    hidden: Collection[str] = ()

    @property
    def first(self) -> str:
        """The id of the first message of thread-plain."""
        return str(self.said["messages.list.thread-plain.all"]["messages"][0]["id"])

    def expected(self, name: str) -> Any:
        """What TypeScript answered, where it leaves the order open in ours: of spans that started in one millisecond."""
        answer = self.said[name]
        return {**answer, "spans": by_place(answer["spans"])} if name.startswith("traces.get.") else answer

    def question(self, name: str) -> tuple[Ask, re.Match[str]]:
        """What asks for the answer of this name; exactly one question claims it."""
        claims = [(ask, at) for pattern, ask in QUESTIONS.items() if (at := re.fullmatch(pattern, name)) is not None]
        assert len(claims) == 1, f"{name}: asked by {[ask.__name__ for ask, _ in claims]}; each answer of readback.json wants one question"
        return claims[0]

    async def assert_alike(self, name: str) -> None:
        """The store gives the answer of this name."""
        ask, at = self.question(name)
        assert_same(await ask(self, at), self.expected(name))


Ask = Callable[[Golden, re.Match[str]], Awaitable[Any]]


async def every_thread(of: Golden, _: re.Match[str]) -> Any:
    found = [await of.store.memory.get_thread_by_id(name) for name in of.said["threads.getById"]]
    return {record.id: thread(record) for record in found if record is not None}


async def a_page_of_threads(of: Golden, at: re.Match[str]) -> Any:
    order = {"field": {"createdAt": "created_at", "updatedAt": "updated_at"}[at["field"]], "direction": at["direction"]}
    filters = {"resource_id": "user-a"}
    return threads(await of.store.memory.list_threads(filter=filters, page=int(at["page"]), per_page=int(at["per"]), order_by=order))  # type: ignore[arg-type]


async def threads_of(of: Golden, at: re.Match[str]) -> Any:
    return threads(await of.store.memory.list_threads(filter={"resource_id": at[1]}, per_page=None))


async def pinned(of: Golden, _: re.Match[str]) -> Any:
    return threads(await of.store.memory.list_threads(filter={"metadata": {"pinned": True}}))


async def messages_of(of: Golden, at: re.Match[str]) -> Any:
    return messages(await of.store.memory.list_messages(at[1], **EVERY))


async def last_two(of: Golden, at: re.Match[str]) -> Any:
    return messages(await of.store.memory.list_messages(at[1], per_page=2, order_by={"direction": "DESC"}, include_total=True))


async def tagged(of: Golden, _: re.Match[str]) -> Any:
    return messages(await of.store.memory.list_messages("thread-edge", filter={"metadata": {"tag": "b"}}, **EVERY))


async def within(of: Golden, _: re.Match[str]) -> Any:
    dates = {"start": EDGE + 2 * clock.MILLISECOND, "end": EDGE + 3 * clock.MILLISECOND}
    return messages(await of.store.memory.list_messages("thread-edge", filter={"date_range": dates}, **EVERY))  # type: ignore[arg-type]


async def around_the_second(of: Golden, _: re.Match[str]) -> Any:
    window = {"id": "edge-msg-2", "with_previous_messages": 1, "with_next_messages": 1}
    return messages(await of.store.memory.list_messages("thread-edge", per_page=0, include=[window]))  # type: ignore[list-item]


async def after_the_first(of: Golden, _: re.Match[str]) -> Any:
    return messages(await of.store.memory.list_messages("thread-plain", per_page=0, include=[{"id": of.first, "with_next_messages": 2}]))


async def by_id(of: Golden, _: re.Match[str]) -> Any:
    return {"messages": [message(m) for m in await of.store.memory.list_messages_by_id(["edge-msg-3", of.first, "missing"])]}


async def of_two_threads(of: Golden, _: re.Match[str]) -> Any:
    return messages(await of.store.memory.list_messages(["thread-plain", "thread-tool"], **EVERY))


async def of_a_resource(of: Golden, _: re.Match[str]) -> Any:
    return messages(await of.store.memory.list_messages_by_resource_id("user-a", **EVERY))


async def of_another(of: Golden, _: re.Match[str]) -> Any:
    return messages(await of.store.memory.list_messages("thread-plain", resource_id="user-b", **EVERY))


async def a_resource(of: Golden, at: re.Match[str]) -> Any:
    return resource(await of.store.memory.get_resource_by_id(at[1]))


async def working_memory(of: Golden, _: re.Match[str]) -> Any:
    found = await of.store.memory.get_resource_by_id("user-b")
    return found and found.working_memory


async def some_runs(of: Golden, at: re.Match[str]) -> Any:
    named: Mapping[str, Any] = {} if at[1] == "all" else {"workflow_name": "orderWorkflow"}
    choices: Mapping[str, Mapping[str, Any]] = {
        "suspended": {"status": "suspended"}, "resource=user-a": {"resource_id": "user-a"}, "page": {"page": 1, "per_page": 1},
    }  # fmt: skip
    asked = choices.get(at[1], {})
    return runs(await of.store.workflows.list_workflow_runs(**named, **asked))


async def a_trace(of: Golden, at: re.Match[str]) -> Any:
    trace = await of.store.observability.get_trace(at[1])
    if trace is not None:
        assert await of.store.observability.get_spans(at[1], span_ids=[span.span_id for span in trace.spans]) == trace.spans
    return trace and {"traceId": trace.trace_id, "spans": [shown(span, hidden=of.hidden) for span in trace.spans]}


async def roots(of: Golden, at: re.Match[str]) -> Any:
    page = await of.store.observability.list_traces(filters={"span_type": "agent_run"} if at[1] else None, per_page=50, include_total=True)
    pagination = {"total": page.total, "page": page.page, "perPage": page.per_page, "hasMore": page.has_more}
    return {"pagination": pagination, "spans": [{**shown(root, hidden=of.hidden), "status": root.status} for root in page]}


async def missing_thread(of: Golden, _: re.Match[str]) -> Any:
    return await of.store.memory.get_thread_by_id("nope")


async def all_threads(of: Golden, _: re.Match[str]) -> Any:
    return threads(await of.store.memory.list_threads(per_page=None))


async def a_run(of: Golden, at: re.Match[str]) -> Any:
    named = run(await of.store.workflows.get_workflow_run_by_id(at[1], workflow_name="orderWorkflow"))
    assert_same(run(await of.store.workflows.get_workflow_run_by_id(at[1])), named)
    return named


async def a_snapshot(of: Golden, at: re.Match[str]) -> Any:
    return await of.store.workflows.load_workflow_snapshot("orderWorkflow", run_id=at[1])


async def some_scores(of: Golden, at: re.Match[str]) -> Any:
    scores = of.store.scores
    asked: Mapping[str, Callable[[], Awaitable[Any]]] = {
        "byScorer.manual": lambda: scores.list_scores_by_scorer_id("manual-scorer", per_page=50),
        "byScorer.live": lambda: scores.list_scores_by_scorer_id("answer-length", per_page=50),
        "byScorer.source": lambda: scores.list_scores_by_scorer_id("manual-scorer", source="TEST", per_page=50),
        "byRun": lambda: scores.list_scores_by_run_id("score-run-1", per_page=50),
        "byEntity": lambda: scores.list_scores_by_entity_id("plain-agent", entity_type="AGENT", per_page=50),
        "bySpan": lambda: scores.list_scores_by_span(TRACE, span_id=SPAN, per_page=50),
    }
    return listed(await asked[at[1]]())


async def a_score(of: Golden, _: re.Match[str]) -> Any:
    return score(await of.store.scores.get_score_by_id(of.said["scores.byId"]["id"]))


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


def unneeded(said: Mapping[str, Any]) -> set[str]:
    """Exceptions that no answer of this readback.json needs, and questions that nobody asked."""
    unasked = {pattern for pattern in QUESTIONS if not any(re.fullmatch(pattern, name) for name in said)}
    return unasked | (ELSEWHERE.keys() - said.keys())
