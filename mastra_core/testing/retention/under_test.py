"""A store under test with something in every domain: what it holds, and what is counted of it.

Knows stores and the kinds; must not know any engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import attrs
import pytest_asyncio

from mastra_core import clock
from mastra_core.storage.domains.span_changes import creates
from mastra_core.storage.records.changes import Delete, Save
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.query import Query
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.storage.store import Store
from mastra_core.testing.contract import Contract
from mastra_core.testing.scores.under_test import a_score

DAY = timedelta(days=1)

LISTED_BY: Mapping[Kind[Any], Sequence[str]] = {
    THREADS: ("resource_id",),
    RUNS: ("resource_id",),
    SCORES: ("resource_id", "thread_id"),
    SPANS: ("resource_id", "thread_id"),
}
"""By what records of each kind are listed when somebody is forgotten."""


class StoreUnderTest(Contract):
    """What a backend supplies, and the fixture made of it."""

    def open_store(self) -> AbstractAsyncContextManager[Store]:
        """An async context manager: a store with every domain, over an empty database of its own; nothing of it is left on exit."""
        msg = f"{type(self).__name__} must define open_store(self): an async context manager that gives a Store"
        raise NotImplementedError(msg)

    @pytest_asyncio.fixture
    async def store(self) -> AsyncIterator[Store]:
        """A fresh store, opened."""
        async with self.open_store() as store, store:
            self.capabilities = store.memory.records.engine.capabilities
            yield store

    async def thread_ids(self, store: Store) -> list[str]:
        """The ids of all threads, sorted."""
        return sorted(thread.id for thread in await store.memory.list_threads(per_page=None))

    async def message_ids(self, store: Store, thread_id: str) -> list[str]:
        """The ids of all messages that lie in a thread, whether the thread is there or not, sorted."""
        (found,) = await store.memory.records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": thread_id}))
        return sorted(message.id for message in found)

    async def holds(self, store: Store, **expected: Sequence[str]) -> None:
        """Assert which threads (`threads`) and which messages of each other name there are, once every list shows what was written."""

        async def look() -> dict[str, list[str]]:
            names = [name for name in expected if name != "threads"]
            found = await asyncio.gather(*(self.message_ids(store, name) for name in names))
            return {"threads": await self.thread_ids(store), **dict(zip(names, found, strict=True))}

        await self.shows(look, {name: sorted(ids) for name, ids in expected.items()})

    async def settled(self, store: Store, *thread_ids: str) -> None:
        """Wait until every list along which records are removed shows what was written; the threads are these and no others."""
        await self.shows(lambda: self.thread_ids(store), sorted(thread_ids))
        if self.capabilities["own_lists"].level == "FULL" or not self.capabilities["scan"].works:
            return
        for kind, fields in LISTED_BY.items():
            stored = [record async for _, record in store.memory.records.scan(kind)]
            for field in fields:
                for value in {getattr(record, field) for record in stored} - {None}:
                    query = Query(kind, f"by_{field.removesuffix('_id')}", at={field: value})
                    keys = sorted(kind.key_of(record) for record in stored if getattr(record, field) == value)
                    await self.shows(partial(self._keys, store, query), keys)

    async def scored(self, store: Store) -> list[str]:
        """The runs that have scores, sorted."""
        return sorted(one.run_id for one in await store.scores.list_scores_by_scorer_id("s"))

    async def traced(self, store: Store) -> list[str]:
        """The ids of all traces, sorted."""
        return sorted(root.trace_id for root in await store.observability.list_traces(per_page=None))

    async def _keys(self, store: Store, query: Query[Any]) -> list[Key]:
        (found,) = await store.memory.records.fetch(query)
        return sorted(query.kind.key_of(record) for record in found)


async def keep(
    store: Store,
    thread_id: str,
    *message_ids: str,
    owner: str = "ada",
    said_by: str | None = None,
    days: int = 0,
    thread_days: int | None = None,
) -> None:
    """Save messages of a thread that are *days* old, and the thread, last changed as long ago or *thread_days*."""
    at = ago(days)
    messages = [
        Message(id=i, thread_id=thread_id, resource_id=said_by or owner, created_at=at + n * clock.MILLISECOND)
        for n, i in enumerate(message_ids)
    ]
    changed = ago(days if thread_days is None else thread_days)
    await store.memory.save_thread(Thread(id=thread_id, resource_id=owner, created_at=at, updated_at=changed))
    await store.memory.records.apply(*(Save(MESSAGES, message) for message in messages), atomic=False)


async def run(store: Store, run_id: str, *, status: str = "success", days: int = 0, **given: Any) -> None:
    """Save a run that last changed *days* ago."""
    snapshot = {"status": status, "context": given.pop("context", {})}
    name = given.pop("workflow_name", "w")
    await store.workflows.persist_workflow_snapshot(
        name, run_id=run_id, snapshot=snapshot, created_at=ago(days), updated_at=ago(days), **given
    )


async def score(store: Store, run_id: str, *, days: int = 0, **given: Any) -> None:
    """Save a score that was made *days* ago."""
    made = await store.scores.save_score(a_score(run_id=run_id, **given))
    old = attrs.evolve(made, id=run_id, created_at=ago(days), updated_at=ago(days))
    await store.scores.records.apply(Delete(SCORES, (made.id,)))
    await store.scores.records.apply(Save(SCORES, old))


async def trace(store: Store, trace_id: str, *, days: int = 0, ended: bool = True, spans: int = 3, **of_root: Any) -> None:
    """Save a trace of a root that began *days* ago and spans below it; only the root says whose it is."""
    at = ago(days)
    root = Span(
        trace_id=trace_id, span_id="root", name="n", span_type="agent_run", started_at=at, ended_at=at if ended else None, **of_root
    )
    below = [
        Span(trace_id=trace_id, span_id=f"s{n}", name="n", span_type="tool_call", started_at=at, ended_at=at, parent_span_id="root")
        for n in range(1, spans)
    ]
    await store.observability.records.apply(*creates([root, *below]), atomic=False)


def ago(days: float) -> datetime:
    """The instant *days* days ago."""
    now = clock.now()
    return clock.from_milliseconds(clock.to_milliseconds(now - days * DAY))
