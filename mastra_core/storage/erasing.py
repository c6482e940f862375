"""Erasing a resource or a thread from every place that may know of it, with counts as proof.

Knows the domains' records and the vector port; must not know any engine, nor agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from mastra_core.errors import ConfigurationError, MastraError, UnsupportedError
from mastra_core.storage.domains.removal import forget, purge_all, remove_thread, remove_traces_of, remove_while, side_by_side
from mastra_core.storage.domains.step_results import memories_of
from mastra_core.storage.records.changes import Change, Delete
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Is, Query, Where, behind
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.run_kinds import RUNS, WorkflowRun
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS
from mastra_core.storage.vectors.port import VectorStore

PAGE = 100
"""Threads, runs and messages that are looked at together."""

AGENT_RUNS = "agentic-loop"
"""The workflow of agents that wait for a decision: what they are about stands in the snapshot (contract §2.2)."""

What = Literal["threads", "messages", "resources", "vectors", "runs", "scores", "spans"]


@attrs.frozen(kw_only=True)
class Erased:
    """How many records of each kind went.

    Attributes:
        threads: conversations.
        messages: of those conversations, and the resource's own in conversations of others.
        resources: what was remembered of the resource: working memory and metadata.
        vectors: embeddings of messages, in every index.
        runs: snapshots of workflow runs, finished or waiting.
        scores: what scorers gave.
        spans: of every trace in which the resource or thread is named.
    """

    threads: int = 0
    messages: int = 0
    resources: int = 0
    vectors: int = 0
    runs: int = 0
    scores: int = 0
    spans: int = 0

    @property
    def total(self) -> int:
        """How many records went altogether."""
        return sum(attrs.astuple(self))


def one_target(*, resource_id: object, thread_id: object) -> tuple[str, str]:
    """The field and the id of what is to be erased.

    Raises:
        ConfigurationError: none of the two was given, or both.
        InvalidInputError: the id cannot name anything.
    """
    given = {"resource_id": resource_id, "thread_id": thread_id}
    named = [(field, value) for field, value in given.items() if value is not None]
    if len(named) != 1:
        msg = f"erase takes exactly one of {list(given)}, found {[field for field, _ in named] or 'none'}; for two things call it twice"
        raise ConfigurationError(msg)
    field, value = named[0]
    return field, check_id(value, at=field)


class Erasure:
    """One erasure, over all the places at once.

    Args:
        places: by domain, the records of every store that keeps it.
        vectors: vector stores whose metadata says `thread_id` and `resource_id`.
    """

    def __init__(self, places: Mapping[str, Sequence[Records]], *, vectors: Sequence[VectorStore] = ()) -> None:
        self._places = {domain: list({id(one): one for one in several}.values()) for domain, several in places.items()}
        self._vectors = vectors
        self._counts: dict[What, int] = {}

    async def run(self, field: str, value: str) -> Erased:
        """Erase; whatever fails, what was erased so far is told in a note of the error.

        Raises:
            MastraError: a store failed; calling again goes on.
        """
        try:
            for records in {id(one): one for several in self._places.values() for one in several}.values():
                await records.open()
            if field == "thread_id":
                await self._thread(value)
            else:
                await self._resource(value)
        except MastraError as error:
            error.add_note(f"erased so far: {self.erased}; call erase again with the same {field} to finish")
            raise
        return self.erased

    @property
    def erased(self) -> Erased:
        """What is erased so far."""
        return Erased(**self._counts)

    async def _thread(self, thread_id: str) -> None:
        for memory in self._of("memory"):
            await self._threads(memory, [thread_id])
        if not self._of("memory"):
            await self._about_threads([thread_id])
        for records in self._of("workflows"):
            await self._runs_that_name(records, "threadId", thread_id, path="all", at={})

    async def _resource(self, resource_id: str) -> None:
        at = {"resource_id": resource_id}
        for records in self._of("memory"):
            query = Query(THREADS, "by_resource", at=at, limit=PAGE, omit=("metadata",))
            (found,) = await records.fetch(query)
            while found:
                await self._threads(records, [thread.id for thread in found])
                (found,) = await records.fetch(behind(query, found[-1]))
            answers = await records.apply(Delete(RESOURCES, (resource_id,)))
            self._add("resources", 0 if answers[0] is None else 1)
        self._add("vectors", await forget(self._vectors, at))
        for records in self._of("workflows"):
            self._add("runs", await purge_all(records, Query(RUNS, "by_resource", at=at)))
            await self._runs_that_name(records, "resourceId", resource_id, path="by_name", at={"workflow_name": AGENT_RUNS})
        for records in self._of("scores"):
            self._add("scores", await purge_all(records, Query(SCORES, "by_resource", at=at)))
        for records in self._of("observability"):
            self._add("spans", await remove_traces_of(records, "resource_id", resource_id))
        for records in self._of("memory"):
            self._add("messages", await _own_messages(records, resource_id))

    async def _threads(self, records: Records, thread_ids: Sequence[str]) -> None:
        """Remove some threads and what is about them: before, so that a second call finds the threads; after, what came in between."""
        await self._about_threads(thread_ids)
        for threads, messages in await side_by_side(thread_ids, lambda i: remove_thread(records, i)):
            self._add("threads", threads)
            self._add("messages", messages)
        await self._about_threads(thread_ids)

    async def _about_threads(self, thread_ids: Sequence[str]) -> None:
        self._add("vectors", await forget(self._vectors, {"thread_id": {"$in": list(thread_ids)}}))
        for records in self._of("scores"):
            for thread_id in await _that_have(records, SCORES, thread_ids):
                self._add("scores", await purge_all(records, Query(SCORES, "by_thread", at={"thread_id": thread_id})))
        for records in self._of("observability"):
            for thread_id in await _that_have(records, SPANS, thread_ids):
                self._add("spans", await remove_traces_of(records, "thread_id", thread_id))

    async def _runs_that_name(self, records: Records, name: str, value: str, *, path: str, at: Mapping[str, str]) -> None:
        """Remove the runs of agents whose snapshot says that they are about this; every snapshot along *path* is read."""
        query = Query(RUNS, path, at=at, limit=PAGE)
        (found,) = await records.fetch(query)
        while found:
            deletes: list[Change] = [Delete(RUNS, RUNS.key_of(run), answer=False) for run in found if _names(run, name, value)]
            self._add("runs", await remove_while(records, deletes))
            (found,) = await records.fetch(behind(query, found[-1]))

    def _of(self, domain: str) -> Sequence[Records]:
        return self._places.get(domain, ())

    def _add(self, what: What, count: int) -> None:
        self._counts[what] = self._counts.get(what, 0) + count


def _names(run: WorkflowRun, name: str, value: str) -> bool:
    snapshot: Any = run.snapshot
    return isinstance(snapshot, Mapping) and any(memory.get(name) == value for memory in memories_of(snapshot))


async def _that_have(records: Records, kind: Kind[Any], thread_ids: Sequence[str]) -> list[str]:
    """Those threads about which there are records of *kind*; read in one go where the store would read everything for each."""
    can = records.engine.capabilities
    if can["open_paths"].level != "FULL" and can["scan"].works and len(thread_ids) > 1:
        wanted = set(thread_ids)
        named = {record.thread_id async for _, record in records.scan(kind) if record.thread_id in wanted}
        return [thread_id for thread_id in thread_ids if thread_id in named]
    omit = tuple(field.name for field in kind.fields if field.optional)
    firsts = await records.fetch(*(Query(kind, "by_thread", at={"thread_id": i}, limit=1, omit=omit) for i in thread_ids))
    return [thread_id for thread_id, first in zip(thread_ids, firsts, strict=True) if first]


async def _own_messages(records: Records, resource_id: str) -> int:
    """Remove the resource's own messages in threads of others, and say how many went."""
    query = Query(MESSAGES, "by_resource", at={"resource_id": resource_id})
    try:
        return await purge_all(records, query)
    except UnsupportedError:
        if not records.engine.capabilities["scan"].works:
            raise
    gone, mine = 0, (Is(("resource_id",), resource_id),)
    keys: list[Key] = []
    async for _, message in records.scan(MESSAGES):
        if message.resource_id == resource_id:
            keys.append(MESSAGES.key_of(message))
        if len(keys) == PAGE:
            gone, keys = gone + await _remove(records, keys, mine), []
    return gone + await _remove(records, keys, mine)


async def _remove(records: Records, keys: Sequence[Key], when: Where) -> int:
    return await remove_while(records, [Delete(MESSAGES, key, when=when, answer=False) for key in keys])
