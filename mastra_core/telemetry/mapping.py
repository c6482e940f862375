"""Spans of OpenTelemetry as spans of the observability domain: ours with what the run noted, others by their attributes (contract §7.3).

Knows both forms. Must not know who makes or stores spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.span_kinds import Span
from mastra_core.telemetry.cleaning import Cleaner
from mastra_core.telemetry.conventions import IDS, Read, read_attributes
from mastra_core.telemetry.tracing import Entity, Told

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan

LINEAGE = "mastra."
"""What the names of attributes begin with that say in whose run a foreign span is."""

TOLD = frozenset({"error.type", "db.system.name", "db.operation.name", "mastra.store.id"})
"""What our own spans tell other exporters by names that no convention of runs has; the store knows it otherwise."""


@attrs.define(kw_only=True, eq=False)
class Noted:
    """What a run notes of a step of its own, besides what OpenTelemetry keeps.

    Attributes:
        span_type: contract §7.4.
        entity: who does the step; likewise the one around it, and the one that began the trace.
        metadata: ids and facts of the run, by TypeScript's names.
        attributes: facts of the step, by TypeScript's names.
        input: what it was given; output: what it gave. Functions are called when the span is written.
        error: what it failed with.
        span: OpenTelemetry's of the step, once it has begun; a ReadableSpan if it is kept.
        shown: whether it was stored as one that goes on.
    """

    span_type: str
    entity: Entity | None = None
    parent_entity: Entity | None = None
    root_entity: Entity | None = None
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    attributes: dict[str, Any] = attrs.field(factory=dict)
    input: Told = None
    output: Told = None
    error: BaseException | str | None = None
    span: Any = attrs.field(init=False)
    shown: bool = attrs.field(init=False, default=False)

    def lineage(self) -> dict[str, str]:
        """What spans within the step, which others make, are to know of it: attributes of OpenTelemetry."""
        told = {f"{LINEAGE}{name}": value for name, value in self.metadata.items() if name in IDS}
        for place, entity in (("parent_entity", self.entity), ("root_entity", self.root_entity)):
            if entity is not None:
                told |= {f"{LINEAGE}{place}_{name}": getattr(entity, name) for name in ("type", "id", "name")}
        return told


@attrs.define(kw_only=True, eq=False, on_setattr=attrs.setters.NO_OP)
class _Unfrozen(Span):
    """A Span while it is made, so that its fields are set as fast as they can be: a frozen one calls a function for each of forty.

    That was an eighth of what tracing took. Whoever makes one makes it a Span.
    """

    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__


class Recorder:
    """Makes the records of spans that are exported together; what the steps of a run have in common is made once.

    Args:
        cleaner: says what of spans may be kept.
    """

    def __init__(self, cleaner: Cleaner) -> None:
        self._cleaner = cleaner
        self._now = clock.now()
        # By identity, since the steps of a run have one mapping; it is kept here too, lest another one get its identity.
        self._known: dict[int, tuple[Mapping[str, object], dict[str, Any]]] = {}

    def record(self, span: ReadableSpan, *, noted: Noted | None) -> Span:
        """*span* as it is stored.

        Args:
            span: one that has ended.
            noted: what the run noted of it; None for a span of somebody else.
        """
        return self._record(span, read=read_attributes(span.attributes or {}), noted=noted)

    def running(self, noted: Noted) -> Span:
        """A step that goes on as it is stored: without an end, and without what it gives.

        Raises:
            RuntimeError: it was changed meanwhile.
        """
        so_far = Noted(
            span_type=noted.span_type,
            entity=noted.entity,
            parent_entity=noted.parent_entity,
            root_entity=noted.root_entity,
            metadata=noted.metadata,
            attributes=dict(noted.attributes),
            input=noted.input,
        )
        return attrs.evolve(self._record(noted.span, read=Read(), noted=so_far), ended_at=None)

    def _record(self, span: ReadableSpan, *, read: Read, noted: Noted | None) -> Span:
        context, parent, now = span.get_span_context(), span.parent, self._now
        assert context is not None
        trace_id, span_id, _, _, _, _ = context
        metadata: Mapping[str, object] = read.ids if noted is None else noted.metadata
        if noted is not None and read.rest:
            # What a user set on the current span is about the run.
            metadata = {**metadata, **{name: value for name, value in read.rest.items() if name not in TOLD}}
        if parent is not None and parent.is_remote:
            # It is in no store of ours, and a trace without a root would never be listed.
            metadata, parent = {**metadata, "remoteParentSpanId": f"{parent.span_id:016x}"}, None
        fields = _of_others(span, read, self._cleaner) if noted is None else _of_ours(noted, self._cleaner)
        fields.update(self._about(metadata, read.ids))
        made: Span = _Unfrozen(
            trace_id=f"{trace_id:032x}",
            span_id=f"{span_id:016x}",
            parent_span_id=None if parent is None else f"{parent.span_id:016x}",
            name=self._cleaner.name(span.name),
            started_at=_instant(span.start_time) or now,
            ended_at=_instant(span.end_time) or now,
            links=_links(span) if span.links else None,
            created_at=now,
            updated_at=now,
            **fields,
        )
        made.__class__ = Span
        return made

    def _about(self, metadata: Mapping[str, object], ids: Mapping[str, str]) -> dict[str, Any]:
        """The field of metadata, and those of ids in it, or else in *ids*."""
        if ids:
            return _about(metadata, {**ids, **metadata}, self._cleaner)
        known = self._known.get(id(metadata))
        if known is None:
            known = self._known[id(metadata)] = metadata, _about(metadata, metadata, self._cleaner)
        return known[1]


def _about(metadata: Mapping[str, object], named: Mapping[str, object], cleaner: Cleaner) -> dict[str, Any]:
    ids = {IDS[name]: cleaner.name(value) for name, value in named.items() if name in IDS and isinstance(value, str) and value}
    return {**ids, "metadata": cleaner.facts(metadata)}


def _of_ours(noted: Noted, cleaner: Cleaner) -> dict[str, Any]:
    own, around, root = noted.entity, noted.parent_entity, noted.root_entity
    return {
        "span_type": noted.span_type,
        "attributes": cleaner.facts(_facts(noted.attributes, cleaner)),
        "input": cleaner.input(_told(noted.input)),
        "output": cleaner.output(_told(noted.output)),
        "error": None if noted.error is None else _error(noted.error, cleaner),
        "entity_type": own and own.type,
        "entity_id": own and own.id,
        "entity_name": own and own.name,
        "parent_entity_type": around and around.type,
        "parent_entity_id": around and around.id,
        "parent_entity_name": around and around.name,
        "root_entity_type": root and root.type,
        "root_entity_id": root and root.id,
        "root_entity_name": root and root.name,
    }


def _of_others(span: ReadableSpan, read: Read, cleaner: Cleaner) -> dict[str, Any]:
    scope, resource = span.instrumentation_scope, span.resource.attributes
    events = [_event(event, cleaner) for event in span.events if event.name != "exception"]
    # Nobody knows where a stranger puts what was said: all that the conventions do not know is taken for it.
    rest = {name: cleaner.output(value) for name, value in read.rest.items()} if cleaner.redacts else read.rest
    attributes: dict[str, object] = {**_facts(read.facts, cleaner), **rest}
    if events:
        attributes["events"] = events
    environment = resource.get("deployment.environment.name") or resource.get("deployment.environment")
    given: dict[str, Any] = {name: cleaner.name(value) for name, value in read.entities.items()}
    return {
        "span_type": read.span_type,
        "attributes": cleaner.facts(attributes),
        "input": cleaner.input(read.input),
        "output": cleaner.output(read.output),
        "error": _failure(span, cleaner),
        "scope": None if scope is None else cleaner.facts({"name": scope.name, "version": scope.version}),
        "service_name": cleaner.name(str(resource["service.name"])) if resource.get("service.name") else None,
        "environment": cleaner.name(str(environment)) if environment else None,
        **given,
    }


def _facts(facts: Mapping[str, Any], cleaner: Cleaner) -> Mapping[str, object]:
    """Facts, of which the instructions are something that was said."""
    return {**facts, "instructions": cleaner.input(facts["instructions"])} if "instructions" in facts else facts


def _links(span: ReadableSpan) -> list[Json]:
    return [{"traceId": f"{link.context.trace_id:032x}", "spanId": f"{link.context.span_id:016x}"} for link in span.links]


def _told(told: Told) -> Any:
    return told() if callable(told) else told


def _error(error: BaseException | str, cleaner: Cleaner) -> Mapping[str, Json]:
    if isinstance(error, str):
        return cleaner.error(message=error)
    return cleaner.error(message=str(error) or type(error).__name__, name=type(error).__name__)


def _failure(span: ReadableSpan, cleaner: Cleaner) -> Mapping[str, Json] | None:
    """The error of a foreign span, if it failed: of its last exception, else of its status."""
    if span.status.status_code.name != "ERROR":
        return None
    raised = next((event.attributes or {} for event in reversed(span.events) if event.name == "exception"), {})
    message, name, stack = (raised.get(f"exception.{part}") for part in ("message", "type", "stacktrace"))
    name = name or (span.attributes or {}).get("error.type")
    said = message or span.status.description or name or "error"
    return cleaner.error(message=str(said), name=str(name) if name else None, stack=str(stack) if stack else None)


def _event(event: Event, cleaner: Cleaner) -> dict[str, object]:
    told = dict(event.attributes or {})
    kept = cleaner.output(told) if cleaner.redacts else told
    return {"name": event.name, "at": clock.to_text(_instant(event.timestamp) or clock.now()), "attributes": kept}


def _instant(nanoseconds: int | None) -> datetime | None:
    """An instant; None for one that no calendar has, since some libraries count in other units."""
    try:
        return None if nanoseconds is None else clock.from_milliseconds(nanoseconds // 1_000_000)
    except OverflowError:
        return None
