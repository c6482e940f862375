"""The record type of scores, and how it is stored (contract §3.1). Must not know any database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from mastra_core.storage.records.kind import Field, Json, Kind, Path

Object = Mapping[str, Json]


@attrs.frozen(kw_only=True)
class Score:
    """What a scorer thought of one answer, and everything that led to it.

    Attributes:
        id: the caller's string or a UUIDv7.
        scorer_id: which scorer.
        run_id: the run it scored.
        score: the number.
        source: "LIVE" for a real run, "TEST" for a trial.
        scorer: what is known of the scorer: `id`, `name`, `description`, …
        entity_id: the agent, workflow or step that was scored.
        entity_type: "AGENT", "WORKFLOW", … (contract §2.3).
        entity: what is known of it: `id`, `name`, …
        input: what it was given; any JSON value.
        output: what it answered; any JSON value.
        reason: the scorer's, in words.
        trace_id: the trace of the run, and `span_id` the span in it.
        resource_id: whose run it was, and `thread_id` in which conversation.
        created_at: aware, UTC, milliseconds; when it was first saved.
        updated_at: likewise; when it was last saved.

    The other attributes are the scorer's steps with their prompts, the contexts, and ids of an organization, project, batch or dataset.
    """

    id: str
    scorer_id: str
    trace_id: str | None = None
    span_id: str | None = None
    run_id: str
    scorer: Object
    preprocess_step_result: Object | None = None
    extract_step_result: Object | None = None
    analyze_step_result: Object | None = None
    score: float
    reason: str | None = None
    metadata: Object | None = None
    preprocess_prompt: str | None = None
    extract_prompt: str | None = None
    generate_score_prompt: str | None = None
    generate_reason_prompt: str | None = None
    analyze_prompt: str | None = None
    reason_prompt: str | None = None
    input: Json = None
    output: Json = None
    additional_context: Object | None = None
    request_context: Object | None = None
    entity_type: str | None = None
    entity: Object | None = None
    entity_id: str | None = None
    source: str
    resource_id: str | None = None
    thread_id: str | None = None
    organization_id: str | None = None
    project_id: str | None = None
    batch_id: str | None = None
    dataset_id: str | None = None
    dataset_item_id: str | None = None
    created_at: datetime
    updated_at: datetime


SCORES = Kind(
    "mastra_scorers",
    Score,
    key=("id",),
    fields=(
        Field("id", "id", "id"),
        Field("scorer_id", "scorerId", "id"),
        Field("trace_id", "traceId", "id", optional=True),
        Field("span_id", "spanId", "id", optional=True),
        Field("run_id", "runId", "id"),
        Field("scorer", "scorer", "json", shape="object"),
        Field("preprocess_step_result", "preprocessStepResult", "json", optional=True, shape="object"),
        Field("extract_step_result", "extractStepResult", "json", optional=True, shape="object"),
        Field("analyze_step_result", "analyzeStepResult", "json", optional=True, shape="object"),
        Field("score", "score", "float"),
        Field("reason", "reason", optional=True),
        Field("metadata", "metadata", "json", optional=True, shape="object"),
        Field("preprocess_prompt", "preprocessPrompt", optional=True),
        Field("extract_prompt", "extractPrompt", optional=True),
        Field("generate_score_prompt", "generateScorePrompt", optional=True),
        Field("generate_reason_prompt", "generateReasonPrompt", optional=True),
        Field("analyze_prompt", "analyzePrompt", optional=True),
        Field("reason_prompt", "reasonPrompt", optional=True),
        Field("input", "input", "json", optional=True, unwrap=False),
        Field("output", "output", "json", optional=True, unwrap=False),
        Field("additional_context", "additionalContext", "json", optional=True, shape="object"),
        Field("request_context", "requestContext", "json", optional=True, shape="object"),
        Field("entity_type", "entityType", optional=True),
        Field("entity", "entity", "json", optional=True, shape="object"),
        Field("entity_id", "entityId", "id", optional=True),
        Field("source", "source"),
        Field("resource_id", "resourceId", "id", optional=True),
        Field("thread_id", "threadId", "id", optional=True),
        Field("organization_id", "organizationId", "id", optional=True),
        Field("project_id", "projectId", "id", optional=True),
        Field("batch_id", "batchId", "id", optional=True),
        Field("dataset_id", "datasetId", "id", optional=True),
        Field("dataset_item_id", "datasetItemId", "id", optional=True),
        Field("created_at", "createdAt", "time"),
        Field("updated_at", "updatedAt", "time"),
    ),
    paths=(
        Path("by_scorer", by=("scorer_id",), order="created_at"),
        Path("by_run", by=("run_id",), order="created_at"),
        Path("by_entity", by=("entity_id", "entity_type"), order="created_at"),
        Path("by_span", by=("trace_id", "span_id"), order="created_at"),
        Path("by_resource", by=("resource_id",), order="created_at"),
        Path("by_thread", by=("thread_id",), order="created_at"),
        Path("all", by=(), order="created_at"),
    ),
    keep=("created_at",),
)
