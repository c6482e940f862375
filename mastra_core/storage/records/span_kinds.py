"""The record type of spans, the steps of traces, and how it is stored (contract §3.1, §7.3). Must not know any database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Field, Json, Kind, Path
from mastra_core.storage.records.query import Missing

Object = Mapping[str, Json]
SpanStatus = Literal["error", "running", "success"]


@attrs.frozen(kw_only=True)
class Span:
    """One step of a trace: what was done, when, with what and how it ended.

    Attributes:
        trace_id: the trace it is in; TypeScript uses 32 hexadecimal digits.
        span_id: with the trace, what identifies it; TypeScript uses 16 hexadecimal digits.
        name: what people read, such as "agent run: 'weather'".
        span_type: "agent_run", "tool_call", … (contract §7.4); any text.
        is_event: whether it is a moment without an end.
        started_at: aware; UTC and milliseconds once stored.
        parent_span_id: the span it is a part of; None for the root of the trace.
        ended_at: like started_at; None while it runs.
        input: what it was given; any JSON value.
        output: what it gave; any JSON value.
        error: `{"message": …, "name": …, "stack": …}` if it failed.
        attributes: facts that go with the span type.
        metadata: facts of the caller's.
        tags: of a root: words to find the trace by.
        links: other spans it has to do with.
        scope: versions and packages of what ran.
        request_context: the values of the request, as far as they are to be seen.
        created_at: aware, UTC, milliseconds; when the record was made, which a later save of the same span leaves alone.
        updated_at: likewise; when it last changed.

    The other attributes say of whom and in what the span is: entities with their parents and roots, user, organization, resource, thread,
    run, session, request, environment, service, experiment and source.
    """

    trace_id: str
    span_id: str
    name: str
    span_type: str
    is_event: bool = False
    started_at: datetime
    parent_span_id: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    entity_name: str | None = None
    parent_entity_type: str | None = None
    parent_entity_id: str | None = None
    parent_entity_name: str | None = None
    root_entity_type: str | None = None
    root_entity_id: str | None = None
    root_entity_name: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    resource_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    thread_id: str | None = None
    request_id: str | None = None
    environment: str | None = None
    service_name: str | None = None
    scope: Object | None = None
    entity_version_id: str | None = None
    parent_entity_version_id: str | None = None
    root_entity_version_id: str | None = None
    experiment_id: str | None = None
    source: str | None = None
    metadata: Object | None = None
    tags: Sequence[str] | None = None
    attributes: Object | None = None
    links: Sequence[Json] | None = None
    input: Json = None
    output: Json = None
    error: Object | None = None
    ended_at: datetime | None = None
    request_context: Object | None = None
    created_at: datetime = attrs.field(factory=clock.now)
    updated_at: datetime | None = attrs.field(default=attrs.Factory(lambda self: self.created_at, takes_self=True))

    @property
    def status(self) -> SpanStatus:
        """How it stands: "error" if it failed, "running" while it has no end, else "success"."""
        if self.error is not None:
            return "error"
        return "running" if self.ended_at is None else "success"


_TEXTS = {
    "entity_type": "entityType",
    "entity_id": "entityId",
    "entity_name": "entityName",
    "parent_entity_type": "parentEntityType",
    "parent_entity_id": "parentEntityId",
    "parent_entity_name": "parentEntityName",
    "root_entity_type": "rootEntityType",
    "root_entity_id": "rootEntityId",
    "root_entity_name": "rootEntityName",
    "user_id": "userId",
    "organization_id": "organizationId",
    "resource_id": "resourceId",
    "run_id": "runId",
    "session_id": "sessionId",
    "thread_id": "threadId",
    "request_id": "requestId",
    "environment": "environment",
    "service_name": "serviceName",
}
_MORE_TEXTS = {
    "entity_version_id": "entityVersionId",
    "parent_entity_version_id": "parentEntityVersionId",
    "root_entity_version_id": "rootEntityVersionId",
    "experiment_id": "experimentId",
    "source": "source",
}

ROOT = (Missing(("parent_span_id",)),)
"""What makes a span the root of its trace."""

SPANS = Kind(
    "mastra_ai_spans",
    Span,
    key=("trace_id", "span_id"),
    fields=(
        Field("trace_id", "traceId", "id"),
        Field("span_id", "spanId", "id"),
        Field("name", "name"),
        Field("span_type", "spanType"),
        Field("is_event", "isEvent", "bool"),
        Field("started_at", "startedAt", "time"),
        Field("parent_span_id", "parentSpanId", "id", optional=True),
        *(Field(name, stored, optional=True) for name, stored in _TEXTS.items()),
        Field("scope", "scope", "json", optional=True, shape="object"),
        *(Field(name, stored, optional=True) for name, stored in _MORE_TEXTS.items()),
        Field("metadata", "metadata", "json", optional=True, shape="object"),
        Field("tags", "tags", "json", optional=True, shape="list"),
        Field("attributes", "attributes", "json", optional=True, shape="object"),
        Field("links", "links", "json", optional=True, shape="list"),
        Field("input", "input", "json", optional=True, unwrap=False),
        Field("output", "output", "json", optional=True, unwrap=False),
        Field("error", "error", "json", optional=True, shape="object"),
        Field("ended_at", "endedAt", "time", optional=True),
        Field("request_context", "requestContext", "json", optional=True, shape="object"),
        Field("created_at", "createdAt", "time"),
        Field("updated_at", "updatedAt", "time", optional=True),
    ),
    paths=(
        Path("by_trace", by=("trace_id",), order="started_at"),
        Path("by_resource", by=("resource_id",), order="started_at"),
        Path("by_thread", by=("thread_id",), order="started_at"),
        Path("roots", by=(), order="started_at", only=ROOT),
        Path("roots_ended", by=(), order="ended_at", only=ROOT),
    ),
    keep=("created_at",),
)
