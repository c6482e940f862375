"""Following a trace while its spans arrive in a store.

A span is stored when it ends, and a step that goes on with the next spans of its trace that are exported: some seconds late.
Knows stores by their public faces; must not know who makes spans, nor how they are shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from mastra_core.storage.domains.trace_filters import TraceFilters
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.span_kinds import Span
from mastra_core.storage.store import Store

PAUSE_SECONDS = 0.5
"""Between two looks."""


async def follow(
    url: str,
    trace_id: str | None,
    *,
    filters: Mapping[str, str],
    grown: Callable[[Sequence[Span]], None],
    waits: Callable[[], None],
) -> tuple[Span, ...]:
    """Call *grown* with all spans of a trace whenever there are others than before; at the end of the trace, its spans.

    A trace ends when it has a root and no span in it goes on. Waits for the trace if it is not there yet.

    Args:
        url: of the store.
        trace_id: which trace; None is the newest that runs, or else the next one that does.
        filters: of list_traces, if the trace is to be found.
        grown: is given the spans in the order in which they started.
        waits: is called once if the trace is not there yet.
    """
    before: tuple[Span, ...] = ()
    async with open_store(url) as store:
        trace_id = trace_id or await _running(store, filters)
        if trace_id is None or await store.observability.get_trace_light(trace_id) is None:
            waits()
        while True:
            trace_id = trace_id or await _running(store, filters)
            found = None if trace_id is None else await store.observability.get_trace(trace_id)
            spans = () if found is None else found.spans
            if spans and spans != before:
                grown(spans)
                before = spans
            if any(span.parent_span_id is None for span in spans) and not any(map(_goes_on, spans)):
                return spans
            await asyncio.sleep(PAUSE_SECONDS)


def _goes_on(span: Span) -> bool:
    return span.ended_at is None and not span.is_event


async def _running(store: Store, filters: Mapping[str, str]) -> str | None:
    wanted = cast("TraceFilters", {"status": "running", **filters})
    page = await store.observability.list_traces(filters=wanted, per_page=1)
    return page.items[0].trace_id if page.items else None
