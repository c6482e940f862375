"""The observability domain: spans, and the traces they make up (contract §2.4, §7.3, semantics §2.5, §2.15).

Written once for every backend. Knows records and the port; must not know any engine, nor who makes spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.clearing import clear
from mastra_core.storage.domains.filters import id_list
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.domains.paging import Cut, Direction, Page, check_order
from mastra_core.storage.domains.span_changes import SpanUpdate, SpanUpdateRecord, creates, updates_of
from mastra_core.storage.domains.trace_filters import CHILD_ERROR, TraceFilters, Wanted, of_root, wanted
from mastra_core.storage.records.changes import Delete
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.kind import Key
from mastra_core.storage.records.query import Count, Get, Query, Read, Where, behind, place
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.span_kinds import ROOT, SPANS, Span
from mastra_core.storage.records.wire import undecodable

MAX_TRACES = 1000
"""How many traces one call deletes (contract §2.4)."""

HEAVY = ("input", "output", "attributes", "metadata", "tags", "links")
"""What a light read leaves out (semantics §2.15)."""

WALK = 100
"""Roots looked at together, and traces deleted together."""

_OPTIONAL = tuple(field.name for field in SPANS.fields if field.optional)


class TraceOrder(TypedDict, total=False):
    """What traces are ordered by; either key alone is enough."""

    field: Literal["started_at", "ended_at"]
    direction: Direction


@attrs.frozen(kw_only=True)
class Trace:
    """The spans of a trace, or of a branch of it, in the order in which they started."""

    trace_id: str
    spans: tuple[Span, ...]


@attrs.frozen(kw_only=True)
class ObservabilityStrategy:
    """How an exporter should save spans (contract §7.2): the way it is made for, and all that work."""

    preferred: str
    supported: tuple[str, ...]


class ObservabilityDomain:
    """Spans and traces of one store."""

    domain = "observability"

    def __init__(self, records: Records, *, product: str) -> None:
        self.records = records
        self.product = product

    @property
    def observability_strategy(self) -> ObservabilityStrategy:
        """Spans are created when they start or end, in batches, and updated later."""
        return ObservabilityStrategy(preferred="batch-with-updates", supported=("batch-with-updates", "insert-only"))

    @operation
    async def create_span(self, span: Span) -> None:
        """Create the span, or replace the stored one of the same ids.

        Raises:
            InvalidInputError: a time is naive, or a value cannot be stored.
        """
        await self.records.apply(*creates([span]))

    @operation
    async def batch_create_spans(self, records: Sequence[Span]) -> None:
        """Create spans, or replace stored ones, in one batch; each is written whole, and of two of the same ids the last one counts.

        Raises:
            InvalidInputError: a time is naive, or a value cannot be stored; nothing was sent.
        """
        await self.records.apply(*creates(records), atomic=False)

    @operation
    async def update_span(self, trace_id: str, *, span_id: str, updates: SpanUpdate) -> None:
        """Change some attributes of a span; None leaves the stored value as it is. No error when there is no such span.

        Raises:
            InvalidInputError: an unknown attribute, or a value that cannot be stored.
        """
        await self.records.apply(*updates_of([{"trace_id": trace_id, "span_id": span_id, "updates": updates}], now=clock.now()))

    @operation
    async def batch_update_spans(self, records: Sequence[SpanUpdateRecord]) -> None:
        """Change some attributes of many spans in one batch, each as update_span does; later updates of the same span win.

        Raises:
            InvalidInputError: an unknown key or attribute, or a value that cannot be stored; nothing was sent.
        """
        await self.records.apply(*updates_of(records, now=clock.now()), atomic=False)

    @operation
    async def get_span(self, trace_id: str, *, span_id: str) -> Span | None:
        """The span, or None."""
        found: tuple[Span | None] = await self.records.fetch(Get(SPANS, (trace_id, span_id)))
        return found[0]

    @operation
    async def get_spans(self, trace_id: str, *, span_ids: Sequence[str]) -> tuple[Span, ...]:
        """Spans of one trace, in the order of their ids given; those that do not exist are passed over."""
        check_id(trace_id, at="trace_id")
        ids = dict.fromkeys(id_list(span_ids, at="span_ids"))
        found = await self.records.fetch(*(Get(SPANS, (trace_id, i)) for i in ids))
        return tuple(span for span in found if span is not None)

    @operation
    async def get_root_span(self, trace_id: str) -> Span | None:
        """The span of the trace that has no parent, or None; of several the one that started first."""
        (found,) = await self.records.fetch(Query(SPANS, "by_trace", at={"trace_id": trace_id}, where=ROOT, limit=1))
        return found[0] if found else None

    @operation
    async def get_trace(self, trace_id: str) -> Trace | None:
        """Every span of the trace, in the order in which they started, or None when there is none."""
        return await self._trace(trace_id)

    @operation
    async def get_trace_light(self, trace_id: str) -> Trace | None:
        """The trace without input, output, attributes, metadata, tags and links, which are None; enough to draw it."""
        return await self._trace(trace_id, omit=HEAVY)

    @operation
    async def get_branch(self, trace_id: str, *, span_id: str) -> Trace | None:
        """The span and all below it, in the order in which they started; None when there is no such span."""
        check_id(span_id, at="span_id")
        trace = await self._trace(trace_id)
        below: dict[str | None, list[Span]] = {}
        for span in trace.spans if trace else ():
            below.setdefault(span.parent_span_id, []).append(span)
        reached, open_ids = {span_id}, [span_id]
        while open_ids:
            fresh = [span.span_id for span in below.get(open_ids.pop(), ()) if span.span_id not in reached]
            reached.update(fresh)
            open_ids += fresh
        branch = tuple(span for span in (trace.spans if trace else ()) if span.span_id in reached)
        there = any(span.span_id == span_id for span in branch)
        return Trace(trace_id=trace_id, spans=branch) if there else None

    @operation
    async def list_traces(
        self,
        *,
        filters: TraceFilters | None = None,
        page: int = 0,
        per_page: int | None = 10,
        order_by: TraceOrder | None = None,
        include_total: bool = False,
    ) -> Page[Span]:
        """The root spans of traces, newest first; the `status` of each says how the trace stands.

        Args:
            filters: conditions on root spans, all of which must hold; `has_child_error` is about the spans below them.
            page: from 0.
            per_page: None is everything.
            order_by: `{"field": "ended_at", "direction": "ASC"}`; what still runs comes last then, and first when descending.
            include_total: whether to count; else `total` is None. With `has_child_error` every trace is looked at to count.

        Raises:
            InvalidInputError: an unknown key, or a value that cannot be asked for.
        """
        order, descending = check_order(order_by, fields=("started_at", "ended_at"), default="DESC")
        part, want = Cut.checked(page=page, per_page=per_page), wanted(filters)
        if want.trace_id is not None:
            return await self._of_trace(want.trace_id, want, order, part, descending=descending, include_total=include_total)
        path = "roots" if order == "started_at" else "roots_ended"
        span, where = want.within(order)
        query = Query(SPANS, path, at={}, span=span, where=where, descending=descending)
        if want.child_error is not None:
            return await self._walked(query, order, part, child_error=want.child_error, include_total=include_total)
        reads: list[Read[Any]] = [attrs.evolve(query, offset=part.offset, limit=part.probe)]
        if include_total:
            reads.append(Count(SPANS, path, at={}, span=span, where=where))
        found, *counted = await self.records.fetch(*reads)
        return part.page_of(found, total=counted[0] if counted else None)

    @operation
    async def batch_delete_traces(
        self, trace_ids: Sequence[str], *, organization_id: str | None = None, resource_id: str | None = None
    ) -> None:
        """Remove whole traces; ids that do not exist are passed over.

        Args:
            trace_ids: at most 1000.
            organization_id: only traces of this organization.
            resource_id: only traces of this resource. Whose a trace is, its root span says (without one, its first span).

        Raises:
            InvalidInputError: there are more ids, or one is none.
        """
        ids = list(dict.fromkeys(check_id(i, at="trace_ids") for i in id_list(trace_ids, at="trace_ids")))
        if len(ids) > MAX_TRACES:
            msg = f"trace_ids: found {len(ids)} of them, at most {MAX_TRACES} are deleted at once; delete the others with another call"
            raise InvalidInputError(msg)
        scope = {"organization_id": organization_id, "resource_id": resource_id}
        owner = {name: check_id(value, at=name) for name, value in scope.items() if value is not None}
        for start in range(0, len(ids), WALK):
            some = ids[start : start + WALK]
            await self._delete(await self._owned(some, owner) if owner else some)

    @operation
    async def dangerously_clear_all(self) -> None:
        """Remove every span of the store; there is no way back."""
        await clear(self.records, SPANS)

    async def _trace(self, trace_id: str, *, omit: tuple[str, ...] = ()) -> Trace | None:
        (found,) = await self.records.fetch(Query(SPANS, "by_trace", at={"trace_id": trace_id}, omit=omit))
        return Trace(trace_id=trace_id, spans=tuple(found)) if found else None

    async def _of_trace(self, trace_id: str, want: Wanted, order: str, part: Cut, *, descending: bool, include_total: bool) -> Page[Span]:
        """The page of the roots of one trace, of which there is seldom more than one."""
        where = of_root(tuple(other for other in (want.started_at, want.ended_at, *want.where) if other is not None))
        (found,) = await self.records.fetch(Query(SPANS, "by_trace", at={"trace_id": trace_id}, where=where))
        if want.child_error is not None and found and await self._failed([trace_id]) != [want.child_error]:
            found = []
        path = SPANS.path("roots" if order == "started_at" else "roots_ended")
        assert path is not None
        found.sort(key=lambda span: place(SPANS, path, span), reverse=descending)
        end = None if part.probe is None else part.offset + part.probe
        return part.page_of(found[part.offset : end], total=len(found) if include_total else None)

    async def _walked(self, query: Query[Span], order: str, part: Cut, *, child_error: bool, include_total: bool) -> Page[Span]:
        """The page of those roots of *query* whose trace has, or has not, a failed child; looked at a hundred at a time."""
        kept: list[Span] = []
        met = 0
        walk = attrs.evolve(query, limit=WALK)
        while True:
            (found,) = await self.records.fetch(walk)
            failed = await self._failed([_nameable(root) for root in found])
            for root, has in zip(found, failed, strict=True):
                if has is child_error:
                    met += 1
                    if met > part.offset and (part.probe is None or len(kept) < part.probe):
                        kept.append(root)
            full = part.probe is not None and len(kept) >= part.probe and not include_total
            if len(found) < WALK or full:
                return part.page_of(kept, total=met if include_total else None)
            walk = behind(walk, found[-1])

    async def _failed(self, trace_ids: Sequence[str]) -> list[bool]:
        """Of each trace, whether a span below a root failed."""
        found = await self.records.fetch(*self._each(trace_ids, where=CHILD_ERROR, limit=1))
        return [bool(spans) for spans in found]

    async def _owned(self, trace_ids: Sequence[str], owner: Mapping[str, str]) -> list[str]:
        """Those of the traces that are the owner's."""
        unneeded = tuple(name for name in _OPTIONAL if name not in owner)
        of_roots, of_firsts = (self._each(trace_ids, where=where, limit=1, omit=unneeded) for where in (ROOT, ()))
        found = await self.records.fetch(*of_roots, *of_firsts)
        firsts = [roots or spans for roots, spans in zip(found[: len(trace_ids)], found[len(trace_ids) :], strict=True)]
        return [spans[0].trace_id for spans in firsts if spans and all(getattr(spans[0], name) == held for name, held in owner.items())]

    async def _delete(self, trace_ids: Sequence[str]) -> None:
        """Remove every span of some traces, a thousand of each at a time."""
        left = list(trace_ids)
        while left:
            found = await self.records.fetch(*self._each(left, limit=MAX_TRACES, omit=_OPTIONAL))
            keys: list[Key] = [SPANS.key_of(span) for spans in found for span in spans]
            await self.records.apply(*(Delete(SPANS, key, answer=False) for key in keys), atomic=False)
            left = [trace_id for trace_id, spans in zip(left, found, strict=True) if len(spans) == MAX_TRACES]

    def _each(self, trace_ids: Sequence[str], *, limit: int, where: Where = (), omit: tuple[str, ...] = _OPTIONAL) -> list[Query[Span]]:
        """The first spans of each trace that meet *where*."""
        return [Query(SPANS, "by_trace", at={"trace_id": i}, where=where, limit=limit, omit=omit) for i in trace_ids]


def _nameable(root: Span) -> str:
    """The trace of a stored span, if it can be asked for.

    Raises:
        StoredDataError: its id is none that a store takes, such as an empty one.
    """
    try:
        return check_id(root.trace_id, at="trace_id")
    except InvalidInputError as error:
        raise undecodable(SPANS.name, SPANS.key_of(root), "trace_id", root.trace_id, f"is no id ({error})") from error
