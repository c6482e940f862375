"""The workflows domain: where runs of workflows are kept while they run, wait and when they are done (contract §2.2, semantics §2.14).

Written once for every backend. Knows records and the port; must not know any engine, nor what runs workflows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError, StorageError
from mastra_core.storage.domains.clearing import clear
from mastra_core.storage.domains.operation import operation
from mastra_core.storage.domains.paging import Cut, Page
from mastra_core.storage.domains.step_results import new_snapshot, threads_of, with_result
from mastra_core.storage.records.changes import Change, Delete, Patch, Refused, Save
from mastra_core.storage.records.checks import check_id, check_time, cut
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.query import Between, Condition, Count, Cursor, Get, Is, Present, Query, Read, matches
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.run_kinds import RUNS, WorkflowRun

RunStatus = Literal[
    "running", "success", "failed", "tripwire", "suspended", "waiting", "pending", "canceled", "bailed", "paused", "skipped"
]  # fmt: skip
"""What `snapshot["status"]` may be (contract §2.2)."""

Snapshot = Mapping[str, Json]

WALK = 100
"""Runs read at a time when a list has a condition that no backend can be asked; a snapshot may be large."""


class WorkflowsDomain:
    """Runs of workflows of one store. Snapshots are JSON objects with the names that TypeScript stores."""

    domain = "workflows"

    def __init__(self, records: Records, *, product: str) -> None:
        self.records = records
        self.product = product

    def supports_concurrent_updates(self) -> bool:
        """Whether step results and states can be written by several processes at once."""
        return self.records.engine.capabilities["decide"].works

    @operation
    async def persist_workflow_snapshot(
        self,
        workflow_name: str,
        *,
        run_id: str,
        snapshot: Snapshot,
        resource_id: str | None = None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
    ) -> None:
        """Create the run, or replace its snapshot; a stored run keeps its created_at, and its resource id unless one is given.

        Args:
            workflow_name: the workflow.
            run_id: which run of it.
            snapshot: the whole state of the run.
            resource_id: whose run it is.
            created_at: when the run began, if it is new; default now.
            updated_at: default now.

        Raises:
            InvalidInputError: the snapshot is no JSON object, or a date is naive.
        """
        now = clock.now()
        run = WorkflowRun(
            workflow_name=workflow_name,
            run_id=run_id,
            resource_id=resource_id,
            snapshot=_checked_object(snapshot, at="snapshot"),
            created_at=now if created_at is None else cut(check_time(created_at, at="created_at")),
            updated_at=now if updated_at is None else cut(check_time(updated_at, at="updated_at")),
        )
        only = ("snapshot", "updated_at") if resource_id is None else None
        await self.records.apply(Save(RUNS, run, only=only, answer=False))

    @operation
    async def load_workflow_snapshot(self, workflow_name: str, *, run_id: str) -> Snapshot | None:
        """The snapshot of the run, whosever it is, or None."""
        (run,) = await self.records.fetch(Get(RUNS, (workflow_name, run_id)))
        return None if run is None else run.snapshot

    @operation
    async def update_workflow_results(
        self,
        workflow_name: str,
        *,
        run_id: str,
        step_id: str,
        result: Mapping[str, Json],
        request_context: Mapping[str, Json] | None = None,
    ) -> Mapping[str, Json]:
        """Write the result of one step and return the context, the results of all steps; concurrent results all survive.

        Lists of outputs are merged by element, for a foreach step: None leaves the stored element, `{"__mastra_pending__": True}`
        empties it. A run that is not stored begins with an empty snapshot of status "pending".

        Args:
            workflow_name: the workflow.
            run_id: which run of it.
            step_id: which step.
            result: `{"status": …, "output": …}`, see the contract §2.2.
            request_context: laid over the stored one, one level deep.

        Raises:
            InvalidInputError: *result* or *request_context* is no JSON object.
            StoredDataError: the stored snapshot is none.
            ConflictError: other writers won at every try.
        """
        given, laid = _checked_object(result, at="result"), _checked_object(request_context or {}, at="request_context")
        step = _text(step_id, at="step_id")
        now = clock.now()
        empty = WorkflowRun(workflow_name=workflow_name, run_id=run_id, snapshot=new_snapshot(run_id, now), created_at=now, updated_at=now)

        def batch(found: list[Any]) -> Sequence[Change]:
            held: WorkflowRun = found[0] or empty
            snapshot = with_result(held.snapshot, step, given, laid)
            return [Save(RUNS, attrs.evolve(held, snapshot=snapshot, updated_at=max(held.updated_at, now)))]

        answers = await self.records.decide([Get(RUNS, (workflow_name, run_id))], batch)
        run: WorkflowRun = answers[0]
        context: Mapping[str, Json] = run.snapshot["context"]
        return context

    @operation
    async def update_workflow_state(
        self, workflow_name: str, *, run_id: str, opts: Mapping[str, Json], expected_status: RunStatus | None = None
    ) -> Snapshot | None:
        """Lay *opts* over the snapshot, one level deep, and return it; None when there is no such run, or another has moved it on.

        With *expected_status* it is a compare-and-set: of any number of concurrent calls, in any number of processes, exactly one
        finds that status and wins; the others get None and change nothing.

        Args:
            workflow_name: the workflow.
            run_id: which run of it.
            opts: new values by the names in the snapshot: `status`, `result`, `error`, `suspendedPaths`, …
            expected_status: the status that the run must have.

        Raises:
            StorageError: the stored snapshot has no context, so it is no run to go on with.
            InvalidInputError: *opts* is no JSON object.
        """
        given = _checked_object(opts, at="opts")
        if guard := {"expected_status", "expectedStatus"}.intersection(given):
            msg = f"opts: {guard.pop()!r} would be stored in the snapshot; pass expected_status=… as an argument of its own"
            raise InvalidInputError(msg)
        when: tuple[Condition, ...] = (Present(("snapshot", "context")),)
        if expected_status is not None:
            when = (*when, Is(("snapshot", "status"), _text(expected_status, at="expected_status")))
        patch = Patch(RUNS, (workflow_name, run_id), merge={"snapshot": given}, raise_to={"updated_at": clock.now()}, when=when)
        try:
            answers = await self.records.apply(patch)
        except Refused as refused:
            if refused.found is not None and not matches(refused.found, when[:1]):
                msg = f"Snapshot not found for runId {run_id}"
                raise StorageError(msg) from refused
            return None
        run: WorkflowRun = answers[0]
        return run.snapshot

    @operation
    async def list_workflow_runs(
        self,
        *,
        workflow_name: str | None = None,
        from_date: datetime | None = None,
        to_date: datetime | None = None,
        resource_id: str | None = None,
        status: RunStatus | None = None,
        thread_id: str | None = None,
        page: int = 0,
        per_page: int | None = 100,
        include_total: bool = True,
    ) -> Page[WorkflowRun]:
        """Runs, newest first, that meet every condition given. Runs of agents that wait ("agentic-loop") are among them.

        Args:
            workflow_name: runs of this workflow only.
            from_date: begun then or later.
            to_date: begun then or earlier.
            resource_id: of this resource only.
            status: with this status in the snapshot.
            thread_id: runs of agents that are about this thread; every snapshot that meets the rest is read to find them.
            page: from 0.
            per_page: None is everything.
            include_total: whether to count; else `total` is None.
        """
        part = Cut.checked(page=page, per_page=per_page)
        path, at = ("all", {}) if workflow_name is None else ("by_name", {"workflow_name": workflow_name})
        where: tuple[Condition, ...] = ()
        if resource_id is not None:
            where = (*where, Is(("resource_id",), check_id(resource_id, at="resource_id")))
        if status is not None:
            where = (*where, Is(("snapshot", "status"), _text(status, at="status")))
        query = Query(RUNS, path, at=at, span=_span(from_date, to_date), where=where, descending=True)
        if thread_id is not None:
            return await self._of_thread(query, part, check_id(thread_id, at="thread_id"), include_total=include_total)
        reads: list[Read[Any]] = [attrs.evolve(query, offset=part.offset, limit=part.probe)]
        if include_total:
            reads.append(Count(RUNS, path, at=at, span=query.span, where=where))
        found, *counted = await self.records.fetch(*reads)
        return part.page_of(found, total=counted[0] if counted else None)

    @operation
    async def get_workflow_run_by_id(self, run_id: str, *, workflow_name: str | None = None) -> WorkflowRun | None:
        """The run, whosever it is, or None; without *workflow_name* the newest of this id."""
        if workflow_name is not None:
            named: tuple[WorkflowRun | None] = await self.records.fetch(Get(RUNS, (workflow_name, run_id)))
            return named[0]
        (found,) = await self.records.fetch(Query(RUNS, "by_run", at={"run_id": run_id}, descending=True, limit=1))
        return found[0] if found else None

    @operation
    async def delete_workflow_run_by_id(self, run_id: str, *, workflow_name: str) -> None:
        """Remove the run; no error when it is gone already."""
        await self.records.apply(Delete(RUNS, (workflow_name, run_id), answer=False))

    @operation
    async def dangerously_clear_all(self) -> None:
        """Remove every run of the store; there is no way back."""
        await clear(self.records, RUNS)

    async def _of_thread(self, query: Query[WorkflowRun], part: Cut, thread_id: str, *, include_total: bool) -> Page[WorkflowRun]:
        """The page of those runs of *query* that are about a thread; read a few at a time, so that only the page is held."""
        kept: list[WorkflowRun] = []
        met = 0
        walk = attrs.evolve(query, limit=WALK)
        while True:
            (found,) = await self.records.fetch(walk)
            for run in found:
                if thread_id in threads_of(run.snapshot):
                    met += 1
                    if met > part.offset and (part.probe is None or len(kept) < part.probe):
                        kept.append(run)
            full = part.probe is not None and len(kept) >= part.probe and not include_total
            if len(found) < WALK or full:
                return part.page_of(kept, total=met if include_total else None)
            walk = attrs.evolve(walk, after=Cursor(found[-1].created_at, RUNS.key_of(found[-1])))


def _span(low: datetime | None, high: datetime | None) -> Between | None:
    if low is None and high is None:
        return None
    first = None if low is None else cut(check_time(low, at="from_date"))
    last = None if high is None else cut(check_time(high, at="to_date"))
    return Between(("created_at",), low=first, high=last)


def _checked_object(value: object, *, at: str) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        msg = f"{at}: must be a mapping, which is stored as a JSON object; found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)
    return value


def _text(value: object, *, at: str) -> str:
    if not isinstance(value, str):
        msg = f"{at}: must be a string, found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)
    return value
