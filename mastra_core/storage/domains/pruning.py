"""Removing what is old, kind by kind, in batches: what is old, what goes with it, and what is never touched.

Nothing is remembered between runs: a run that was killed is finished by the next one. Knows records and the port; must not know any
engine, nor how users write down what is old.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.domains.removal import (
    LIGHT,
    LISTED,
    forget,
    remove_thread_while,
    remove_trace_while,
    remove_while,
    side_by_side,
)
from mastra_core.storage.records.changes import Change, Delete
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS, Resource
from mastra_core.storage.records.query import Between, Condition, Count, Is, Present, Query, Where, behind, matches
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.run_kinds import RUNS, WorkflowRun
from mastra_core.storage.records.score_kinds import SCORES, Score
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.storage.vectors.port import VectorStore

FINISHED = frozenset({"success", "failed", "tripwire", "canceled", "bailed", "skipped"})
"""The statuses of runs that nobody will resume."""

AT_ONCE = 100
"""Threads, runs and traces that are looked at together."""


@attrs.define(kw_only=True)
class Tally:
    """How far one table is.

    Attributes:
        table: its name in a policy.
        examined: how many records were looked at.
        deleted: how many went, or would go.
        tick: called after every batch.
    """

    table: str
    examined: int = 0
    deleted: int = 0
    tick: Callable[[Tally], None] = attrs.field(default=lambda _: None)

    def add(self, *, examined: int = 0, deleted: int = 0) -> None:
        """Count a batch."""
        self.examined += examined
        self.deleted += deleted
        self.tick(self)


@attrs.frozen(kw_only=True)
class Rule:
    """What of one table is old.

    Attributes:
        before: what was last used before this instant.
        newest: all but so many of the newest.
        dry_run: count what would go, and remove nothing.
        batch: how many records one step reads or removes.
    """

    before: datetime | None = None
    newest: int | None = None
    dry_run: bool = False
    batch: int = 1000


async def prune_threads(
    records: Records, rule: Rule, tally: Tally, *, messages: Tally, vectors: Sequence[VectorStore] = ()
) -> datetime | None:
    """Remove threads by updated_at, each with its messages; the instant before which a thread is old.

    A thread that is saved to after it was judged stays, with the messages that it still has.
    """
    end = await _end(records, THREADS, "all_updated", "updated_at", rule)
    if end is None:
        return None
    old = (Between(("updated_at",), high=end, high_open=True),)
    async for page in _pages(records, THREADS, "all_updated", end=end, limit=min(rule.batch, AT_ONCE)):
        threads = [thread for thread in page if matches(thread, old)]
        ids = [thread.id for thread in threads]
        if rule.dry_run:
            held = await records.fetch(*(Count(MESSAGES, "by_thread", at={"thread_id": i}) for i in ids))
            removed = [(1, count) for count in held]
        else:
            if ids:
                await forget(vectors, {"thread_id": {"$in": ids}})
            removed = await side_by_side(ids, lambda i: remove_thread_while(records, i, when=old, most=rule.batch))
        gone = sum(count for _, count in removed)
        messages.add(examined=gone, deleted=gone)
        tally.add(examined=len(page), deleted=sum(count for count, _ in removed))
    return end


async def prune_messages(
    records: Records, rule: Rule, tally: Tally, *, but_of: datetime | None = None, vectors: Sequence[VectorStore] = ()
) -> None:
    """Remove messages by created_at, thread by thread; the thread stays, and its updated_at too.

    Args:
        records: the store's.
        rule: what is old.
        tally: where it is counted.
        but_of: threads last changed before this are passed over: a trial run has counted their messages with them.
        vectors: where their embeddings go too, by `message_id`.
    """
    end = await _end(records, MESSAGES, None, "created_at", rule)
    if end is None:
        return
    span = Between(("created_at",), high=end, high_open=True)
    async for page in _pages(records, THREADS, "all", end=None, limit=AT_ONCE):
        threads = [thread for thread in page if but_of is None or thread.updated_at >= but_of]
        every = [Query(MESSAGES, "by_thread", at={"thread_id": thread.id}, span=span) for thread in threads]
        if rule.dry_run:
            held = await records.fetch(*(Count(MESSAGES, "by_thread", at=query.at, span=span) for query in every))
            tally.add(examined=sum(held), deleted=sum(held))
            continue
        firsts = await records.fetch(*(attrs.evolve(query, limit=1) for query in every))
        some = [query for query, first in zip(every, firsts, strict=True) if first]
        await side_by_side(some, lambda query: _prune_list(records, query, rule, tally, vectors))


async def _prune_list(records: Records, query: Query[Any], rule: Rule, tally: Tally, vectors: Sequence[VectorStore]) -> None:
    """Remove the messages of one list; none of them can become younger."""
    if vectors:
        part = attrs.evolve(query, limit=rule.batch)
        (found,) = await records.fetch(part)
        while found:
            await forget(vectors, {"message_id": {"$in": [message.id for message in found]}})
            if len(found) < rule.batch:
                break
            (found,) = await records.fetch(behind(part, found[-1]))
    while gone := await records.purge(query, limit=rule.batch):
        tally.add(examined=gone, deleted=gone)


async def prune_resources(records: Records, rule: Rule, tally: Tally) -> None:
    """Remove what is remembered of resources, by updated_at; their threads stay."""

    def still(resource: Resource, old: Condition) -> Where | None:
        return (old,) if matches(resource, (old,)) else None

    await _prune_each(records, RESOURCES, None, anchor="updated_at", rule=rule, tally=tally, still=still)


async def prune_runs(records: Records, rule: Rule, tally: Tally) -> None:
    """Remove runs that are finished, by updated_at; one that runs, waits or is suspended stays, and is not counted among the newest."""

    def still(run: WorkflowRun, old: Condition) -> Where | None:
        status = run.snapshot.get("status")
        same = (old, Is(("snapshot", "status"), status))
        return same if status in FINISHED and matches(run, (old,)) else None

    await _prune_each(records, RUNS, "all", anchor="updated_at", rule=rule, tally=tally, still=still, limit=AT_ONCE)


async def prune_scores(records: Records, rule: Rule, tally: Tally) -> None:
    """Remove scores by created_at, which never changes."""
    end = await _end(records, SCORES, "all", "created_at", rule)
    if end is None:
        return
    if _lists(records, "all"):
        query = Query(SCORES, "all", at={}, span=Between(("created_at",), high=end, high_open=True))
        if rule.dry_run:
            (held,) = await records.fetch(Count(SCORES, "all", at={}, span=query.span))
            tally.add(examined=held, deleted=held)
            return
        while gone := await records.purge(query, limit=rule.batch):
            tally.add(examined=gone, deleted=gone)
        return

    def still(score: Score, old: Condition) -> Where | None:
        return (old,) if matches(score, (old,)) else None

    known = attrs.evolve(rule, before=end, newest=None)
    await _prune_each(records, SCORES, None, anchor="created_at", rule=known, tally=tally, still=still)


async def prune_spans(records: Records, rule: Rule, tally: Tally) -> None:
    """Remove traces by the started_at of their root, whole; one that still runs stays.

    A trace runs while a root of it has no end. One without a root is not found; so it stays.
    """
    end = await _end(records, SPANS, "roots", "started_at", rule)
    if end is None:
        return
    old = Between(("started_at",), high=end, high_open=True)
    async for page in _pages(records, SPANS, "roots", end=end, limit=min(rule.batch, AT_ONCE), omit=LIGHT):
        ids = list(dict.fromkeys(root.trace_id for root in page if matches(root, _over(root, old))))
        traces = await records.fetch(*(Query(SPANS, "by_trace", at={"trace_id": i}, limit=LISTED, omit=LIGHT) for i in ids))
        done = [spans for spans in traces if spans and all(matches(s, _over(s, old)) for s in spans if s.parent_span_id is None)]
        if rule.dry_run:
            counts = list(await records.fetch(*(Count(SPANS, "by_trace", at={"trace_id": spans[0].trace_id}) for spans in done)))
        else:
            counts = await side_by_side(done, lambda spans: remove_trace_while(records, spans, when=(old,)))
        tally.add(examined=len(page), deleted=sum(counts))


def _over(root: Span, old: Condition) -> Where:
    """What holds of a root that is old and has ended; an event has no end."""
    return (old,) if root.is_event else (old, Present(("ended_at",)))


async def _prune_each(
    records: Records,
    kind: Kind[R],
    path: str | None,
    *,
    anchor: str,
    rule: Rule,
    tally: Tally,
    still: Callable[[R, Condition], Where | None],
    limit: int | None = None,
) -> None:
    """Remove the records of *kind* that are old: for which *still* names what must hold of them when they go."""
    ever = Between((anchor,))
    end = await _end(records, kind, path, anchor, rule, counts=lambda record: still(record, ever) is not None)
    if end is None:
        return
    old = Between((anchor,), high=end, high_open=True)
    async for page in _pages(records, kind, path, end=end, limit=limit or rule.batch):
        deletes: list[Change] = [
            Delete(kind, kind.key_of(record), when=when, answer=False) for record in page if (when := still(record, old)) is not None
        ]
        gone = len(deletes) if rule.dry_run else await remove_while(records, deletes)
        tally.add(examined=len(page), deleted=gone)


def _lists(records: Records, path: str | None) -> bool:
    """Whether the store lists records along *path*, which has no partition, better than by reading all of them."""
    can = records.engine.capabilities
    return path is not None and (can["open_paths"].level == "FULL" or not can["scan"].works)


async def _pages(
    records: Records, kind: Kind[R], path: str | None, *, end: datetime | None, limit: int, omit: tuple[str, ...] = ()
) -> AsyncIterator[list[R]]:
    """The records of *kind*, *limit* at a time: of a path oldest first and only those before *end*, else all as the store has them."""
    known = None if path is None else kind.path(path)
    if path is None or known is None or not _lists(records, path):
        page: list[R] = []
        async for _, record in records.scan(kind):
            if known is None or matches(record, known.only):
                page.append(record)
            if len(page) == limit:
                yield page
                page = []
        if page:
            yield page
        return
    span = None if end is None else Between((known.order,), high=end, high_open=True)
    query = Query(kind, path, at={}, span=span, limit=limit, omit=omit)
    while True:
        (found,) = await records.fetch(query)
        if found:
            yield found
        if len(found) < limit:
            return
        query = behind(query, found[-1])


async def _end(
    records: Records, kind: Kind[R], path: str | None, anchor: str, rule: Rule, *, counts: Callable[[R], bool] | None = None
) -> datetime | None:
    """The instant before which a record is old by *rule*; None when none is. What is as old as the last of the newest stays."""
    if rule.newest is None:
        return rule.before
    known = None if path is None else kind.path(path)
    if path is not None and known is not None and known.order == anchor and counts is None and _lists(records, path):
        unneeded = tuple(field.name for field in kind.fields if field.optional and field.name != anchor)
        query = Query(kind, path, at={}, descending=True, offset=rule.newest - 1, limit=1, omit=unneeded)
        (found,) = await records.fetch(query)
        last = getattr(found[0], anchor) if found else None
    else:
        last = await _last_of_newest(records, kind, path, anchor=anchor, newest=rule.newest, counts=counts)
    ends = [end for end in (rule.before, last) if end is not None]
    return max(ends, default=None)


async def _last_of_newest(
    records: Records, kind: Kind[R], path: str | None, *, anchor: str, newest: int, counts: Callable[[R], bool] | None
) -> datetime | None:
    """When the *newest*-th record was last used, found by reading all; of each, eight bytes are held, twice *newest* of them at most."""
    held = array("q")
    async for page in _pages(records, kind, path, end=None, limit=AT_ONCE):
        held.extend(clock.to_milliseconds(getattr(record, anchor)) for record in page if counts is None or counts(record))
        if len(held) >= 2 * newest + 4096:
            held = array("q", sorted(held, reverse=True)[:newest])
    ranked = sorted(held, reverse=True)
    return clock.from_milliseconds(ranked[newest - 1]) if len(ranked) >= newest else None
