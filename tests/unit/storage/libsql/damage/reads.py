"""Reads of every kind through the domains, each with the rows that it is about: what a damaged store is asked.

Knows the domains' methods. Must not know how an answer is judged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from mastra_core.storage.domains.observability import HEAVY
from mastra_core.storage.records.kind import Json, Kind
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS
from mastra_core.storage.store import Store

FEW = 100
"""More records than any list here has; one that goes on is endless."""


@attrs.frozen(kw_only=True)
class Ask:
    """A read, and what it is about.

    Attributes:
        kind: of which records.
        call: asks the store; gives records.
        by: what the columns of its rows hold; None: null.
        any_of: likewise, several values of one column.
        where: JSON values and texts that the records must have, by field and keys.
        order: the time that orders the answer; "" if one record is asked for or the order is the ids'.
        descending: whether the latest comes first.
        nulls_last: whether a null time counts as the latest.
        part: whether the answer may be a part of the rows, such as a window, and may depend on others.
        omit: fields that are not read.
        asks_by: the id that the read asks further by; no store can be asked by an id that is none.
    """

    kind: Kind[Any]
    call: Callable[[Store], Awaitable[Sequence[Any]]]
    by: Mapping[str, str | None] = attrs.field(factory=dict)
    any_of: tuple[str, Sequence[str]] | None = None
    where: Mapping[tuple[str, ...], Json] = attrs.field(factory=dict)
    order: str = ""
    descending: bool = False
    part: bool = False
    omit: Sequence[str] = ()
    asks_by: str = ""


async def one(found: Awaitable[Any]) -> Sequence[Any]:
    """The record of an answer, if there is one."""
    record = await found
    return [] if record is None else [record]


async def paged(found: Awaitable[Any]) -> Sequence[Any]:
    """The records of a page, whose total, if counted, is right."""
    page = await found
    assert page.total in {None, len(page.items)}, (page.total, len(page.items))
    return list(page.items)


async def around(found: Awaitable[Any]) -> Sequence[Any]:
    """The records of a page that holds windows alone."""
    return list((await found).items)


async def of_trace(found: Awaitable[Any]) -> Sequence[Any]:
    """The spans of a trace."""
    trace = await found
    return [] if trace is None else list(trace.spans)


async def walked(store: Store, **options: Any) -> Sequence[Any]:
    """The messages of a thread, two at a time."""
    found = []
    async for message in store.memory.iter_messages("t1", batch_size=2, **options):
        found.append(message)
        assert len(found) < FEW, f"iter_messages goes round in circles at {message.id!r}"
    return found


async def in_turn(store: Store) -> Sequence[Any]:
    """The messages of a turn."""
    return (await store.memory.read_turn("t1", resource_id="u1", last=2)).messages


MESSAGES_OF_A = {"by": {"thread_id": "t1"}, "order": "created_at"}
NEWEST: Mapping[str, Any] = {"order": "created_at", "descending": True}
EVERY: Mapping[str, Any] = {"per_page": None, "include_total": True}
WINDOW: Any = [{"id": "m2", "with_previous_messages": 1, "with_next_messages": 1}]

ASKS: Sequence[Ask] = (
    *(Ask(kind=THREADS, call=lambda s, i=i: one(s.memory.get_thread_by_id(i)), by={"id": i}) for i in ("t1", "t2")),
    Ask(kind=THREADS, call=lambda s: paged(s.memory.list_threads(per_page=None)), **NEWEST),
    Ask(
        kind=THREADS,
        call=lambda s: paged(
            s.memory.list_threads(filter={"resource_id": "u1"}, order_by={"field": "updated_at", "direction": "ASC"}, per_page=None)
        ),
        by={"resource_id": "u1"},
        order="updated_at",
    ),
    *(
        Ask(
            kind=THREADS,
            call=lambda s, k=key, v=value: paged(s.memory.list_threads(filter={"metadata": {k: v}}, per_page=None)),
            where={("metadata", key): value},
            **NEWEST,
        )
        for key, value in (("tag", "b"), ("n", 1), ("flag", True), ("nil", None))
    ),
    Ask(kind=MESSAGES, call=lambda s: paged(s.memory.list_messages("t1", **EVERY)), **MESSAGES_OF_A),
    Ask(
        kind=MESSAGES,
        call=lambda s: paged(s.memory.list_messages("t1", order_by={"direction": "DESC"}, **EVERY)),
        by={"thread_id": "t1"},
        **NEWEST,
    ),
    Ask(
        kind=MESSAGES,
        call=lambda s: paged(s.memory.list_messages_by_resource_id("u1", **EVERY)),
        by={"resource_id": "u1"},
        order="created_at",
    ),
    Ask(
        kind=MESSAGES,
        call=lambda s: paged(s.memory.list_messages_by_id(["m9", "m1", "m2"])),
        any_of=("id", ("m9", "m1", "m2")),
        order="created_at",
    ),
    Ask(kind=MESSAGES, call=lambda s: around(s.memory.list_messages("t1", per_page=0, include=WINDOW)), part=True, order="created_at"),
    Ask(kind=MESSAGES, call=walked, **MESSAGES_OF_A),
    Ask(kind=MESSAGES, call=lambda s: walked(s, order_by={"direction": "DESC"}), by={"thread_id": "t1"}, **NEWEST),
    Ask(kind=MESSAGES, call=in_turn, part=True, **MESSAGES_OF_A),
    *(
        Ask(
            kind=MESSAGES,
            call=lambda s, k=key, v=value: paged(s.memory.list_messages("t1", filter={"metadata": {k: v}}, **EVERY)),
            where={("content", "metadata", key): value},
            **MESSAGES_OF_A,
        )
        for key, value in (("tag", "b"), ("n", 1), ("nil", None))
    ),
    *(Ask(kind=RESOURCES, call=lambda s, i=i: one(s.memory.get_resource_by_id(i)), by={"id": i}) for i in ("u1", "u2")),
    Ask(
        kind=RUNS,
        call=lambda s: one(s.workflows.get_workflow_run_by_id("r1", workflow_name="w")),
        by={"workflow_name": "w", "run_id": "r1"},
    ),
    Ask(kind=RUNS, call=lambda s: one(s.workflows.get_workflow_run_by_id("r2")), by={"run_id": "r2"}, part=True, **NEWEST),
    Ask(kind=RUNS, call=lambda s: paged(s.workflows.list_workflow_runs()), **NEWEST),
    Ask(kind=RUNS, call=lambda s: paged(s.workflows.list_workflow_runs(workflow_name="w")), by={"workflow_name": "w"}, **NEWEST),
    Ask(
        kind=RUNS,
        call=lambda s: paged(s.workflows.list_workflow_runs(status="suspended")),
        where={("snapshot", "status"): "suspended"},
        **NEWEST,
    ),
    Ask(kind=RUNS, call=lambda s: paged(s.workflows.list_workflow_runs(thread_id="t1")), part=True, **NEWEST),
    Ask(kind=SCORES, call=lambda s: one(s.scores.get_score_by_id("s1")), by={"id": "s1"}),
    Ask(kind=SCORES, call=lambda s: paged(s.scores.list_scores_by_scorer_id("s")), by={"scorer_id": "s"}, **NEWEST),
    Ask(kind=SCORES, call=lambda s: paged(s.scores.list_scores_by_run_id("r1")), by={"run_id": "r1"}, **NEWEST),
    Ask(
        kind=SCORES,
        call=lambda s: paged(s.scores.list_scores_by_entity_id("agent", entity_type="AGENT")),
        by={"entity_id": "agent", "entity_type": "AGENT"},
        **NEWEST,
    ),
    Ask(
        kind=SCORES, call=lambda s: paged(s.scores.list_scores_by_span("a", span_id="a1")), by={"trace_id": "a", "span_id": "a1"}, **NEWEST
    ),
    Ask(kind=SPANS, call=lambda s: one(s.observability.get_span("a", span_id="a2")), by={"trace_id": "a", "span_id": "a2"}),
    Ask(kind=SPANS, call=lambda s: of_trace(s.observability.get_trace("a")), by={"trace_id": "a"}, order="started_at"),
    Ask(kind=SPANS, call=lambda s: of_trace(s.observability.get_trace_light("a")), by={"trace_id": "a"}, order="started_at", omit=HEAVY),
    Ask(
        kind=SPANS,
        call=lambda s: of_trace(s.observability.get_branch("a", span_id="a2")),
        by={"trace_id": "a"},
        order="started_at",
        part=True,
    ),
    Ask(kind=SPANS, call=lambda s: one(s.observability.get_root_span("a")), by={"trace_id": "a", "parent_span_id": None}, part=True),
    Ask(
        kind=SPANS,
        call=lambda s: paged(s.observability.list_traces(**EVERY)),
        by={"parent_span_id": None},
        order="started_at",
        descending=True,
    ),
    Ask(
        kind=SPANS,
        call=lambda s: paged(s.observability.list_traces(order_by={"field": "ended_at", "direction": "ASC"}, **EVERY)),
        by={"parent_span_id": None},
        order="ended_at",
    ),
    Ask(
        kind=SPANS,
        call=lambda s: paged(s.observability.list_traces(filters={"metadata": {"n": 1}}, **EVERY)),
        by={"parent_span_id": None},
        where={("metadata", "n"): 1},
        order="started_at",
        descending=True,
    ),
    Ask(
        kind=SPANS,
        call=lambda s: paged(s.observability.list_traces(filters={"tags": ["y"], "has_child_error": True}, **EVERY)),
        by={"parent_span_id": None},
        part=True,
        asks_by="trace_id",
        order="started_at",
        descending=True,
    ),
)
