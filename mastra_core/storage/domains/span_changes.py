"""Spans as changes of the port: what is created, and what is updated later (contract §2.4, §7.2).

Knows the fields of spans; must not know any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, TypedDict

import attrs

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.paging import check_options
from mastra_core.storage.records.changes import Change, Patch, Save
from mastra_core.storage.records.checks import check_id, check_time, cut
from mastra_core.storage.records.kind import Json, Key
from mastra_core.storage.records.span_kinds import SPANS, Object, Span


class SpanUpdate(TypedDict, total=False):
    """What changes of a span: every attribute but its ids and when the record was made; see Span. None changes nothing."""

    name: str | None
    span_type: str | None
    is_event: bool | None
    started_at: datetime | None
    parent_span_id: str | None
    entity_type: str | None
    entity_id: str | None
    entity_name: str | None
    parent_entity_type: str | None
    parent_entity_id: str | None
    parent_entity_name: str | None
    root_entity_type: str | None
    root_entity_id: str | None
    root_entity_name: str | None
    user_id: str | None
    organization_id: str | None
    resource_id: str | None
    run_id: str | None
    session_id: str | None
    thread_id: str | None
    request_id: str | None
    environment: str | None
    service_name: str | None
    scope: Object | None
    entity_version_id: str | None
    parent_entity_version_id: str | None
    root_entity_version_id: str | None
    experiment_id: str | None
    source: str | None
    metadata: Object | None
    tags: Sequence[str] | None
    attributes: Object | None
    links: Sequence[Json] | None
    input: Json
    output: Json
    error: Object | None
    ended_at: datetime | None
    request_context: Object | None


class SpanUpdateRecord(TypedDict):
    """Which span changes, and what."""

    trace_id: str
    span_id: str
    updates: SpanUpdate


_UPDATES = tuple(SpanUpdate.__annotations__)
_TIMES = ("started_at", "ended_at", "created_at", "updated_at")
_times = attrgetter(*_TIMES)


def creates(spans: Sequence[Span]) -> list[Change]:
    """The batch that saves *spans*; of two with the same ids the last one.

    Raises:
        InvalidInputError: one is no Span, or a time is none.
    """
    last: dict[Key, Span] = {}
    span: Any
    for index, span in enumerate(spans):
        if not isinstance(span, Span):
            msg = f"span {index} must be a Span, found {span!r} ({type(span).__name__}); make one with Span(trace_id=…, span_id=…, …)"
            raise InvalidInputError(msg)
        last[span.trace_id, span.span_id] = span
    return [Save(SPANS, _dated(span), answer=False) for span in last.values()]


def updates_of(records: Sequence[SpanUpdateRecord], *, now: datetime) -> list[Change]:
    """The batch that makes *records* true: those of one span together, in the order given; spans that do not exist are passed over.

    Raises:
        InvalidInputError: an unknown key, a bad id, or a time that is none.
    """
    put: dict[Key, dict[str, Any]] = {}
    for record in records:
        known = check_options(record, known=("trace_id", "span_id", "updates"), at="a span's update")
        key = (check_id(known.get("trace_id"), at="trace_id"), check_id(known.get("span_id"), at="span_id"))
        put.setdefault(key, {}).update(_given(known.get("updates")))
    raised = {"updated_at": now}
    return [Patch(SPANS, key, put=changed, raise_to=raised, missing="skip", answer=False) for key, changed in put.items()]


def _given(updates: object) -> Mapping[str, Any]:
    """What *updates* change, with times as they will come back; an update only ever adds, so None is passed over."""
    given = check_options(updates, known=_UPDATES, at="updates")
    return {
        name: cut(check_time(value, at=f"updates.{name}")) if name in _TIMES else value
        for name, value in given.items()
        if value is not None
    }


def _dated(span: Span) -> Span:
    """*span* with times as they will come back; itself where they are so already, since a batch has thousands."""
    changed: dict[str, Any] = {}
    for name, value in zip(_TIMES, _times(span), strict=True):
        if value is not None and (type(value) is not datetime or value.microsecond % 1000):
            changed[name] = cut(check_time(value, at=name))
    return attrs.evolve(span, **changed) if changed else span
