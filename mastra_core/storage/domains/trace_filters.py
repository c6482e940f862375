"""Which traces a list is asked for, as conditions on their root spans (contract §2.4).

Knows the fields of spans; must not know any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import attrs

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.filters import DateRange, date_span, scalars
from mastra_core.storage.domains.paging import check_options
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.query import Between, Condition, Contains, Is, Missing, Present, Where
from mastra_core.storage.records.span_kinds import ROOT, SpanStatus


class TraceFilters(TypedDict, total=False):
    """Which traces a list is about, by their root spans; all that is given must hold.

    The texts are compared as they are. `scope` and `metadata` hold top-level keys with a string, number, boolean or None each, compared
    by type; `tags` must all be there. `has_child_error` is about the other spans of the trace.
    """

    trace_id: str
    started_at: DateRange
    ended_at: DateRange
    span_type: str
    entity_type: str
    entity_id: str
    entity_name: str
    parent_entity_type: str
    parent_entity_id: str
    parent_entity_name: str
    root_entity_type: str
    root_entity_id: str
    root_entity_name: str
    user_id: str
    organization_id: str
    resource_id: str
    run_id: str
    session_id: str
    thread_id: str
    request_id: str
    experiment_id: str
    environment: str
    service_name: str
    source: str
    scope: Mapping[str, Json]
    metadata: Mapping[str, Json]
    tags: Sequence[str]
    status: SpanStatus
    has_child_error: bool


_NAMES = tuple(TraceFilters.__annotations__)
_NO_TEXTS = frozenset({"trace_id", "started_at", "ended_at", "scope", "metadata", "tags", "status", "has_child_error"})
_TEXTS = tuple(name for name in _NAMES if name not in _NO_TEXTS)
_STATUS: Mapping[object, Where] = {
    "error": (Present(("error",)),),
    "running": (Missing(("error",)), Missing(("ended_at",))),
    "success": (Missing(("error",)), Present(("ended_at",))),
}

CHILD_ERROR: Where = (Present(("parent_span_id",)), Present(("error",)))
"""What makes a span a child that failed."""


@attrs.frozen(kw_only=True)
class Wanted:
    """What a list of traces is asked for.

    Attributes:
        trace_id: only this trace.
        started_at: a range of the start, and `ended_at` one of the end.
        where: the other conditions on root spans.
        child_error: whether there must be, or must not be, a span below the root that failed; None is either.
    """

    trace_id: str | None
    started_at: Between | None
    ended_at: Between | None
    where: Where
    child_error: bool | None

    def within(self, order: str) -> tuple[Between | None, Where]:
        """The range on the field *order*, which a path follows, and all other conditions."""
        ranges = {"started_at": self.started_at, "ended_at": self.ended_at}
        span = ranges.pop(order)
        return span, (*(other for other in ranges.values() if other is not None), *self.where)


def wanted(given: object) -> Wanted:
    """What *given*, a TraceFilters, asks for; None asks for every trace.

    Raises:
        InvalidInputError: an unknown key, a naive time, a status there is not, or a value that cannot be compared.
    """
    known = {name: value for name, value in check_options(given or {}, known=_NAMES, at="filters").items() if value is not None}
    where: list[Condition] = [Is((name,), _text(known[name], at=name)) for name in _TEXTS if name in known]
    for name in ("scope", "metadata"):
        where += [Is((name, key), value) for key, value in scalars(known.get(name, {}), at=f"filters.{name}").items()]
    if tags := _tags(known.get("tags", ())):
        where.append(Contains(("tags",), tags))
    return Wanted(
        trace_id=check_id(known["trace_id"], at="filters.trace_id") if "trace_id" in known else None,
        started_at=_range(known, "started_at"),
        ended_at=_range(known, "ended_at"),
        where=(*where, *_status(known.get("status"))),
        child_error=_flag(known.get("has_child_error")),
    )


def of_root(where: Where) -> Where:
    """*where*, of root spans alone; for a path that holds the others too."""
    return (*ROOT, *where)


def _range(known: Mapping[str, Any], name: str) -> Between | None:
    return date_span(known[name], field=name, at=f"filters.{name}") if name in known else None


def _text(value: object, *, at: str) -> str:
    if not isinstance(value, str):
        msg = f"filters.{at}: must be a string, found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)
    return value


def _tags(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        msg = f"filters.tags: must be a list of strings, found {given!r}"
        raise InvalidInputError(msg)
    return tuple(_text(tag, at="tags") for tag in given)


def _status(given: object) -> Where:
    if given is None:
        return ()
    if not isinstance(given, str) or given not in _STATUS:
        msg = f"filters.status: must be one of {list(_STATUS)}, found {given!r}"
        raise InvalidInputError(msg)
    return _STATUS[given]


def _flag(given: object) -> bool | None:
    if given is not None and not isinstance(given, bool):
        msg = f"filters.has_child_error: must be True or False, found {given!r} ({type(given).__name__})"
        raise InvalidInputError(msg)
    return given
