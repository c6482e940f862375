"""Removing what belongs together: a thread with its messages and vectors, a trace with its spans; shared by pruning and erasure.

A process that is killed in the middle leaves nothing that running again would not find. Knows records and the two ports; must
not know any engine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from mastra_core.errors import IndexNotFoundError
from mastra_core.storage.domains.clearing import BATCH
from mastra_core.storage.domains.owners import step_of
from mastra_core.storage.records.changes import Change, Check, Delete, Refused
from mastra_core.storage.records.kind import R
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Is, Present, Query, Where, behind
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.storage.vectors.port import Filter, VectorStore

T = TypeVar("T")

TOGETHER = 16
"""Threads or traces removed side by side, so that they share commits and wait for the network once."""

LISTED = 1000
"""Spans of one trace that are read at once."""

_KEYS_OF_SPANS = ("parent_span_id", "resource_id", "thread_id", "ended_at")
LIGHT = tuple(field.name for field in SPANS.fields if field.optional and field.name not in _KEYS_OF_SPANS)
"""What removing a span does not need to read."""


async def side_by_side(items: Iterable[T], work: Callable[[T], Any]) -> list[Any]:
    """What *work* answers for each item, TOGETHER at a time; of several failures the first, once all under way have ended."""
    waiting, answers = list(items), []
    for start in range(0, len(waiting), TOGETHER):
        some = await asyncio.gather(*(work(item) for item in waiting[start : start + TOGETHER]), return_exceptions=True)
        for answer in some:
            if isinstance(answer, BaseException):
                raise answer
        answers += some
    return answers


async def purge_all(records: Records, query: Query[R]) -> int:
    """Remove every record of *query* and say how many went."""
    gone = 0
    while some := await records.purge(query, limit=BATCH):
        gone += some
    return gone


async def forget(stores: Sequence[VectorStore], filter: Filter) -> int:  # the port's name
    """Remove the vectors that meet *filter* from every index of *stores*, and say how many went."""
    gone = 0
    for store in stores:
        for index in await store.list_indexes():
            with contextlib.suppress(IndexNotFoundError):  # removed by somebody else, vectors and all
                gone += await store.delete_vectors(index, filter=filter)
    return gone


async def remove_while(records: Records, deletes: Sequence[Change]) -> int:
    """Remove the records whose conditions still hold, and say how many those were; the others stay as somebody changed them."""
    left = list(deletes)
    while left:
        try:
            await records.apply(*left, atomic=False)
        except Refused as refused:
            left = [change for change in left if change is not refused.change]
        else:
            break
    return len(left)


async def remove_thread_while(records: Records, thread_id: str, *, when: Where, most: int) -> tuple[int, int]:
    """Remove the thread and its messages as long as *when* holds of the thread: how many threads and how many messages went.

    The messages go in steps of at most *most*, each of which makes sure of the thread, and the thread with the last of them. A save in
    between that *when* tells (every save raises updated_at) keeps the thread and what it still has.
    """
    step, gone = min(step_of(records), most), 0
    query = whole = Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, limit=step)
    while True:
        (found,) = await records.fetch(query)
        last = len(found) < step
        guard: Change = Delete(THREADS, (thread_id,), when=when, answer=False) if last else Check(THREADS, (thread_id,), when=when)
        try:
            await records.apply(guard, *(Delete(MESSAGES, (message.id,), answer=False) for message in found))
        except Refused:
            return 0, gone
        gone += len(found)
        if last:
            # What an engine keeps of the list besides its records goes too.
            return 1, gone + await purge_all(records, whole)
        # Behind, since an index that is late goes on to show what is gone.
        query = behind(query, found[-1])


async def remove_thread(records: Records, thread_id: str) -> tuple[int, int]:
    """Remove the thread and all its messages, whoever saves meanwhile: how many threads and how many messages went.

    A long thread is emptied first, so that a process that is killed leaves a thread to be found. Then the thread goes together with the
    messages read last, so that runs that had read it can no longer save, and last what was saved in between.
    """
    step = step_of(records)
    query = Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, limit=step)
    gone = 0
    (found,) = await records.fetch(query)
    while len(found) == step:
        some = await records.purge(query, limit=step)
        gone += some
        # An index that is late may go on to show what is gone.
        found = (await records.fetch(query))[0] if some else []
    deletes = [Delete(MESSAGES, (message.id,), answer=False) for message in found]
    answers = await records.apply(Delete(THREADS, (thread_id,)), *deletes)
    return 0 if answers[0] is None else 1, gone + len(found) + await purge_all(records, query)


async def remove_trace_while(records: Records, spans: Sequence[Span], *, when: Where) -> int:
    """Remove the trace whose first LISTED spans are *spans* if *when* holds of its roots, and say how many spans went: all, or none.

    Where a store cannot remove them in one step, the roots go last, so that what is left of a killed process is found by its root.
    """
    roots: list[Change] = [Delete(SPANS, SPANS.key_of(span), when=when, answer=False) for span in spans if span.parent_span_id is None]
    below: list[Change] = [Delete(SPANS, SPANS.key_of(span), answer=False) for span in spans if span.parent_span_id is not None]
    if records.engine.capabilities["atomic"].works and len(spans) <= step_of(records):
        try:
            await records.apply(*roots, *below)
        except Refused:
            return 0
        return len(spans)
    at = {"trace_id": spans[0].trace_id}
    gone = await purge_all(records, Query(SPANS, "by_trace", at=at, where=(Present(("parent_span_id",)),)))
    return gone + await remove_while(records, roots)


async def remove_traces_of(records: Records, field: str, value: str) -> int:
    """Remove every trace with a span whose *field* is *value*, whole, and say how many spans went.

    The spans that name it go last in each trace, so that what is left of a killed process is still found by them.
    """
    named = (Is((field,), value),)
    query = Query(SPANS, f"by_{field.removesuffix('_id')}", at={field: value}, limit=100, omit=LIGHT)
    gone = 0
    (found,) = await records.fetch(query)
    while found:
        ids = list(dict.fromkeys(span.trace_id for span in found))
        traces = await records.fetch(*(Query(SPANS, "by_trace", at={"trace_id": i}, limit=LISTED, omit=LIGHT) for i in ids))
        long = [trace_id for trace_id, spans in zip(ids, traces, strict=True) if len(spans) == LISTED]
        short = [span for spans in traces if len(spans) < LISTED for span in spans]
        for last in (False, True):
            keys = [SPANS.key_of(span) for span in short if (getattr(span, field) == value) is last]
            await records.apply(*(Delete(SPANS, key, answer=False) for key in keys), atomic=False)
        gone += len(short)
        for trace_id in long:
            gone += await _remove_others(records, trace_id, field, value)
            gone += await purge_all(records, Query(SPANS, "by_trace", at={"trace_id": trace_id}, where=named))
        # Behind, since an index that is late goes on to show what is gone.
        (found,) = await records.fetch(behind(query, found[-1]))
    return gone


async def _remove_others(records: Records, trace_id: str, field: str, value: str) -> int:
    """Remove the spans of a long trace whose *field* is something else."""
    at, gone = {"trace_id": trace_id}, 0
    (found,) = await records.fetch(query := Query(SPANS, "by_trace", at=at, limit=LISTED, omit=LIGHT))
    while found:
        others = [SPANS.key_of(span) for span in found if getattr(span, field) != value]
        await records.apply(*(Delete(SPANS, key, answer=False) for key in others), atomic=False)
        gone += len(others)
        if len(found) < LISTED:
            break
        (found,) = await records.fetch(behind(query, found[-1]))
    return gone
