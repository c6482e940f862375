"""The command that shows what runs did: traces as a list, one as a waterfall.

Knows stores by their public faces and the shape of traces; must not know any backend, nor who makes spans.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import typer

from mastra_core import clock
from mastra_core.cli import following, output
from mastra_core.cli.commands import AsJson, Url, _existing, app
from mastra_core.storage.domains.trace_filters import TraceFilters
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.span_kinds import Span

WIDTH = 24
"""Characters of a bar."""

COLUMNS = ("span", "took", "when", "tokens", "error")

Wanted = Annotated[str | None, typer.Option(metavar="ID", help="Only traces whose root names it.")]


@app.command()
def traces(
    url: Url,
    trace: Annotated[str | None, typer.Argument(metavar="[TRACE]", help="The trace's id: show its spans.")] = None,
    *,
    agent: Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this agent.")] = None,
    thread: Wanted = None,
    resource: Wanted = None,
    run: Wanted = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only those that stand so: success, error or running.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many, the newest.")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="Follow TRACE, or the next one that runs, until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the traces of a store, newest first, or show the spans of one with their durations, tokens and errors."""
    of_agent = {} if agent is None else {"entity_type": "agent", "entity_id": agent}
    given = {"thread_id": thread, "resource_id": resource, "run_id": run, "status": status}
    filters = {**of_agent, **{name: value for name, value in given.items() if value is not None}}
    if watch:
        _watch(url, trace, filters=filters, as_json=as_json)
        return
    if trace is not None:
        spans = asyncio.run(_spans(url, trace))
        if not spans:
            output.note(f"there is no trace {trace!r} in this store; list them with: mastra traces URL")
            raise typer.Exit(1)
        _show(spans, as_json=as_json)
        return
    roots, more = asyncio.run(_roots(url, filters=filters, limit=limit))
    if as_json:
        for root in roots:
            output.json_line(_document(root))
    else:
        rows = [
            (root.trace_id, output.moment(root.started_at), _took(root), root.status, root.name, root.thread_id or "") for root in roots
        ]
        output.table(("trace", "started", "took", "status", "root", "thread"), rows)
    if more:
        output.note(f"there are more than {limit} traces; see more with --limit")


def _watch(url: str, trace: str | None, *, filters: Mapping[str, str], as_json: bool) -> None:
    """Show a trace as it grows: on a terminal drawn anew, into a pipe a line for each span that begins or ends."""
    waits = f"waiting for {'a trace that runs' if trace is None else f'the trace {trace!r}'}; Ctrl-C ends it"
    screen = None if as_json else output.screen()
    shown: dict[str, str] = {}

    def grown(spans: Sequence[Span]) -> None:
        if screen is not None:
            screen.draw(COLUMNS, _rows(spans))
            return
        for (span, depth), row in zip(_placed(spans), _rows(spans), strict=True):
            if shown.get(span.span_id) != _took(span):
                shown[span.span_id] = _took(span)
                _line(span, depth=depth, row=row, as_json=as_json)

    try:
        spans = asyncio.run(following.follow(_existing(url), trace, filters=filters, grown=grown, waits=lambda: output.note(waits)))
    finally:
        if screen is not None:
            screen.close()
    if not as_json:
        _sum_up(spans)


def _line(span: Span, *, depth: int, row: Sequence[str], as_json: bool) -> None:
    if as_json:
        output.json_line({**_document(span), "depth": depth})
    else:
        output.table(COLUMNS, [row])
    # Whoever reads the pipe follows too.
    sys.stdout.flush()


def _show(spans: Sequence[Span], *, as_json: bool) -> None:
    """Print the spans of one trace, each below its parent."""
    if as_json:
        for span, depth in _placed(spans):
            output.json_line({**_document(span), "depth": depth})
        return
    output.table(COLUMNS, _rows(spans))
    _sum_up(spans)


def _rows(spans: Sequence[Span]) -> list[tuple[str, ...]]:
    first, whole = min(span.started_at for span in spans), _whole(spans)
    return [
        (f"{'· ' * depth}{span.name}", _took(span), _bar(span, first=first, whole=whole), _tokens(span), _error(span))
        for span, depth in _placed(spans)
    ]


def _whole(spans: Sequence[Span]) -> int:
    """How many milliseconds the trace took so far, at least 1."""
    return max(_milliseconds(min(span.started_at for span in spans), max(span.ended_at or span.started_at for span in spans)), 1)


def _sum_up(spans: Sequence[Span]) -> None:
    usage = [_usage(span) for span in spans if span.span_type == "model_generation"]
    tokens = f"{sum(given for given, _ in usage)} tokens in, {sum(gave for _, gave in usage)} out"
    errors = sum(span.error is not None for span in spans)
    output.note(f"{len(spans)} spans, {_whole(spans)} ms, {tokens}, {errors} with errors")


def _placed(spans: Sequence[Span]) -> list[tuple[Span, int]]:
    """Each span after its parent, with its depth; one whose parent is not in the trace (yet) stands at the top."""
    known = {span.span_id for span in spans}
    below: dict[str | None, list[Span]] = {}
    for span in spans:
        below.setdefault(span.parent_span_id if span.parent_span_id in known else None, []).append(span)
    placed: list[tuple[Span, int]] = []
    waiting = [(span, 0) for span in reversed(below.pop(None, []))]
    while waiting:
        span, depth = waiting.pop()
        placed.append((span, depth))
        waiting += [(child, depth + 1) for child in reversed(below.pop(span.span_id, []))]
    # Spans that are each other's parents: damaged, and still shown.
    return placed + [(span, 0) for left in below.values() for span in left]


def _document(span: Span) -> dict[str, Any]:
    return {**output.document(span), "status": span.status}


def _took(span: Span) -> str:
    if span.ended_at is None:
        return "event" if span.is_event else "running"
    return f"{_milliseconds(span.started_at, span.ended_at)} ms"


def _bar(span: Span, *, first: Any, whole: int) -> str:
    begin = min(_milliseconds(first, span.started_at) * WIDTH // whole, WIDTH - 1)
    end = WIDTH if span.ended_at is None and not span.is_event else _milliseconds(first, span.ended_at or span.started_at) * WIDTH // whole
    length = max(end - begin, 1)
    return "·" * begin + "█" * length + "·" * (WIDTH - begin - length)


def _tokens(span: Span) -> str:
    given, gave = _usage(span)
    return f"{given} → {gave}" if given or gave else ""


def _usage(span: Span) -> tuple[int, int]:
    """Tokens in and out; 0 where nothing, or no number, says."""
    usage = (span.attributes or {}).get("usage")
    found = [usage.get(name) if isinstance(usage, Mapping) else None for name in ("inputTokens", "outputTokens")]
    given, gave = (count if isinstance(count, int) else 0 for count in found)
    return given, gave


def _error(span: Span) -> str:
    return "" if span.error is None else str(span.error.get("message") or "error")


def _milliseconds(begin: Any, end: Any) -> int:
    return int((end - begin) / clock.MILLISECOND)


async def _spans(url: str, trace_id: str) -> tuple[Span, ...]:
    async with open_store(_existing(url)) as store:
        found = await store.observability.get_trace(trace_id)
    return () if found is None else found.spans


async def _roots(url: str, *, filters: Mapping[str, str], limit: int) -> tuple[tuple[Span, ...], bool]:
    async with open_store(_existing(url)) as store:
        page = await store.observability.list_traces(filters=cast("TraceFilters", dict(filters)), per_page=limit)
    return page.items, page.has_more
