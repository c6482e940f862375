"""The workflows domain under test: how its store is opened, and what the contracts save."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest_asyncio

from mastra_core.storage.domains.workflows import WorkflowsDomain
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.run_kinds import WorkflowRun
from mastra_core.testing.contract import Contract
from mastra_core.testing.samples import at

SUSPENDED: Mapping[str, Json] = {
    "runId": "r",
    "status": "suspended",
    "value": {},
    "context": {
        "input": {"a": 1},
        "s1": {"payload": {"a": 1}, "status": "suspended", "suspendPayload": {"why": "need ok"}, "suspendedAt": 1795225893666},
    },
    "activePaths": [0],
    "activeStepsPath": {},
    "serializedStepGraph": [{"type": "step", "step": {"id": "s1", "canSuspend": True}}],
    "suspendedPaths": {"s1": [0]},
    "waitingPaths": {},
    "resumeLabels": {},
    "requestContext": {},
    "timestamp": 1795225893667,
}
"""A run that waits, as TypeScript stores it."""


class HasWorkflows(Protocol):
    """A store with a workflows domain."""

    @property
    def workflows(self) -> WorkflowsDomain:
        """The domain."""
        ...


class WorkflowsUnderTest(Contract):
    """What a backend supplies, and the fixture made of it."""

    def open_store(self) -> AbstractAsyncContextManager[HasWorkflows]:
        """An async context manager: an object with `.workflows` over an empty database of its own; nothing of it is left on exit."""
        msg = f"{type(self).__name__} must define open_store(self): an async context manager that gives an object with .workflows"
        raise NotImplementedError(msg)

    @pytest_asyncio.fixture
    async def workflows(self) -> AsyncIterator[WorkflowsDomain]:
        """The workflows domain of a fresh store."""
        async with self.open_store() as store:
            await store.workflows.records.open()
            self.capabilities = store.workflows.records.engine.capabilities
            try:
                yield store.workflows
            finally:
                await store.workflows.records.close()


def a_run(
    run_id: str = "r",
    *,
    workflow_name: str = "w",
    resource_id: str | None = None,
    snapshot: Mapping[str, Json] | None = None,
    created: int = 0,
    updated: int | None = None,
) -> WorkflowRun:
    """A run; *created* and *updated* in milliseconds after T0, *updated* the same as *created* unless given."""
    return WorkflowRun(
        workflow_name=workflow_name,
        run_id=run_id,
        resource_id=resource_id,
        snapshot=SUSPENDED if snapshot is None else snapshot,
        created_at=at(created),
        updated_at=at(created if updated is None else updated),
    )


async def persist(workflows: WorkflowsDomain, *runs: WorkflowRun) -> None:
    """Save *runs* as they are."""
    for run in runs:
        options: dict[str, Any] = {"created_at": run.created_at, "updated_at": run.updated_at, "resource_id": run.resource_id}
        await workflows.persist_workflow_snapshot(run.workflow_name, run_id=run.run_id, snapshot=run.snapshot, **options)
