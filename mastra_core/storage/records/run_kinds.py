"""The record type of workflow runs, and how it is stored (contract §3.1). Must not know any database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from mastra_core.storage.records.kind import Field, Json, Kind, Path


@attrs.frozen(kw_only=True)
class WorkflowRun:
    """One run of a workflow.

    Attributes:
        workflow_name: the workflow; "agentic-loop" is an agent that waits for a decision.
        run_id: with the name, what identifies the run.
        resource_id: whose run it is, or None.
        snapshot: the state of the run, with the names TypeScript stores: `status`, `context`, `suspendedPaths`, … (contract §2.2).
        created_at: aware, UTC, milliseconds; when the run was first saved.
        updated_at: likewise; when it last changed.
    """

    workflow_name: str
    run_id: str
    resource_id: str | None = None
    snapshot: Mapping[str, Json]
    created_at: datetime
    updated_at: datetime


RUNS = Kind(
    "mastra_workflow_snapshot",
    WorkflowRun,
    key=("workflow_name", "run_id"),
    fields=(
        Field("workflow_name", "workflow_name", "id"),
        Field("run_id", "run_id", "id"),
        Field("resource_id", "resourceId", "id", optional=True),
        Field("snapshot", "snapshot", "json", shape="object"),
        Field("created_at", "createdAt", "time"),
        Field("updated_at", "updatedAt", "time"),
    ),
    paths=(
        Path("by_name", by=("workflow_name",), order="created_at"),
        Path("by_run", by=("run_id",), order="created_at"),
        Path("by_resource", by=("resource_id",), order="created_at"),
        Path("all", by=(), order="created_at"),
    ),
    keep=("created_at",),
)
