"""Records as TypeScript shows them in a readback.json and in the answers of its packages.

Knows the fields that TypeScript shows and hides. Must not know a backend, or what a test expects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mastra_core import clock
from mastra_core.storage.domains.paging import Page
from mastra_core.storage.records.kinds import Message, Resource, Thread
from mastra_core.storage.records.run_kinds import WorkflowRun
from mastra_core.storage.records.score_kinds import SCORES, Score
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.storage.records.wire import to_document

_ENTITIES = {field.stored for field in SPANS.fields if field.stored.startswith(("parentEntity", "rootEntity"))}
_NOT_SELECTED = {"postgresql": _ENTITIES | {"entityVersionId", "experimentId", "requestContext"}}


def hidden_at(url: str) -> Collection[str]:
    """Stored names of a span's fields that TypeScript does not select on the backend of this URL (contract §3.3), though it writes them."""
    return _NOT_SELECTED.get(url.partition(":")[0], ())


def thread(record: Thread) -> dict[str, Any]:
    """A thread as TypeScript shows it."""
    return {
        "id": record.id, "resourceId": record.resource_id, "title": record.title, "metadata": record.metadata,
        "createdAt": clock.to_text(record.created_at), "updatedAt": clock.to_text(record.updated_at),
    }  # fmt: skip


def message(record: Message) -> dict[str, Any]:
    """A message as TypeScript shows it: it hides the type "v2"."""
    assert record.created_at is not None
    shown = {
        "id": record.id, "threadId": record.thread_id, "resourceId": record.resource_id, "role": record.role,
        "content": record.content, "createdAt": clock.to_text(record.created_at),
    }  # fmt: skip
    return shown if record.type == "v2" else {**shown, "type": record.type}


def threads(page: Page[Thread]) -> dict[str, Any]:
    """A page of threads as TypeScript shows it."""
    per_page = False if page.per_page is None else page.per_page
    return {"threads": [thread(t) for t in page], "total": page.total, "page": page.page, "perPage": per_page, "hasMore": page.has_more}


def messages(page: Page[Message]) -> dict[str, Any]:
    """A page of messages as TypeScript shows it."""
    per_page = False if page.per_page is None else page.per_page
    return {"messages": [message(m) for m in page], "total": page.total, "page": page.page, "perPage": per_page, "hasMore": page.has_more}


def resource(record: Resource | None) -> dict[str, Any] | None:
    """A resource as TypeScript shows it."""
    return record and {
        "id": record.id, "workingMemory": record.working_memory, "metadata": record.metadata,
        "createdAt": clock.to_text(record.created_at), "updatedAt": clock.to_text(record.updated_at),
    }  # fmt: skip


def run(record: WorkflowRun | None) -> dict[str, Any]:
    """A run as TypeScript shows it."""
    assert record is not None
    return {
        "workflowName": record.workflow_name, "runId": record.run_id, "snapshot": record.snapshot, "resourceId": record.resource_id,
        "createdAt": clock.to_text(record.created_at), "updatedAt": clock.to_text(record.updated_at),
    }  # fmt: skip


def runs(page: Page[WorkflowRun]) -> dict[str, Any]:
    """A page of runs as TypeScript shows it."""
    return {"runs": [run(record) for record in page], "total": page.total}


def score(record: Score | None) -> dict[str, Any]:
    """A score as TypeScript shows it: what is undefined is left out."""
    assert record is not None
    assert clock.to_text(record.created_at) == to_document(SCORES, record)["createdAt"]
    return to_document(SCORES, record)


def listed(page: Page[Score]) -> dict[str, Any]:
    """A page of scores as TypeScript shows it."""
    pagination = {"total": page.total, "page": page.page, "perPage": page.per_page, "hasMore": page.has_more}
    return {"scores": [score(record) for record in page], "pagination": pagination}


def shown(span: Span, *, hidden: Collection[str] = ()) -> dict[str, Any]:
    """A span as TypeScript shows it in a trace: every column but *hidden* ones, null where there is nothing."""
    values = {field.stored: getattr(span, field.name) for field in SPANS.fields if field.stored not in hidden}
    times = {field.stored for field in SPANS.fields if field.type == "time"}
    return {name: clock.to_text(value) if name in times and value is not None else value for name, value in values.items()}


def shown_at(url: str, span: Span) -> dict[str, Any]:
    """A span of ours as TypeScript shows it on the backend of this URL: in MongoDB we leave a field out that is None."""
    told = shown(span, hidden=hidden_at(url))
    return {name: value for name, value in told.items() if value is not None} if url.startswith("mongodb") else told


def by_place(shown_spans: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Spans in our order: TypeScript leaves open which of two that started in one millisecond comes first."""
    return sorted(shown_spans, key=lambda span: (span["startedAt"], span["spanId"]))
