"""Reads and conditions as data, and the one evaluator that says what a condition means.

SQL and document databases push conditions down, key-value stores call `matches`; the kit compares them. Knows nothing of any database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import attrs

from mastra_core.storage.records.kind import Json, Key, Kind, Path, R

T_co = TypeVar("T_co", covariant=True)
FieldPath = tuple[str, ...]
"""A field, and the keys into its JSON value: `("content", "metadata", "tag")`. The keys have letters, digits and underscores only."""


@attrs.frozen
class Is:
    """Typed equality with a string, number, boolean or None: 1 is not "1", True is not 1, 1 is 1.0.

    None matches a stored null; inside JSON it does not match a missing key.
    """

    field: FieldPath
    value: str | float | bool | None


@attrs.frozen
class Missing:
    """The field is absent or null."""

    field: FieldPath


@attrs.frozen
class Present:
    """The field is there and not null."""

    field: FieldPath


@attrs.frozen
class Contains:
    """The field holds a JSON list with every one of *items*, each compared as `Is` does."""

    field: FieldPath
    items: tuple[str | float | bool | None, ...]


@attrs.frozen(kw_only=True)
class Between:
    """The time field lies between *low* and *high*; the ends belong to it unless open. None is no end."""

    field: FieldPath = attrs.field(kw_only=False)
    low: datetime | None = None
    high: datetime | None = None
    low_open: bool = False
    high_open: bool = False


Condition = Is | Missing | Present | Contains | Between
Where = tuple[Condition, ...]
"""A conjunction. There is no OR and no NOT, on any backend."""

_ABSENT = object()

LATEST = datetime.max.replace(tzinfo=UTC)
"""Stands for a null time in orders."""


def matches(record: object, where: Where) -> bool:
    """Whether *record* meets every condition: the single meaning of a filter on every backend."""
    return all(_meets(value_at(record, condition.field), condition) for condition in where)


def value_at(record: object, field: FieldPath) -> Any:
    """What *record* holds at *field*; a private marker where a JSON key is missing."""
    value: Any = getattr(record, field[0])
    for name in field[1:]:
        if not isinstance(value, Mapping) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _meets(value: Any, condition: Condition) -> bool:
    match condition:
        case Is(value=wanted):
            return same_scalar(value, wanted)
        case Missing():
            return value is None or value is _ABSENT
        case Present():
            return not (value is None or value is _ABSENT)
        case Contains(items=items):
            return isinstance(value, list | tuple) and all(any(same_scalar(held, item) for held in value) for item in items)
        case Between():
            return isinstance(value, datetime) and _lies_between(value, condition)


def same_scalar(value: Json, wanted: Json) -> bool:
    """Equality of JSON scalars as JSON types them: booleans are no numbers, 1 equals 1.0."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return value == wanted
    return type(value) is type(wanted) and bool(value == wanted)


def _lies_between(value: datetime, span: Between) -> bool:
    if span.low is not None and (value <= span.low if span.low_open else value < span.low):
        return False
    return not (span.high is not None and (value >= span.high if span.high_open else value > span.high))


class Read(Generic[T_co]):
    """A read, whose answer in a fetch is a T_co."""


@attrs.frozen
class Get(Read["R | None"], Generic[R]):
    """The record of this key, or None."""

    kind: Kind[R]
    key: Key


@attrs.frozen
class Cursor:
    """A place in the total order of a path: after the record with this order value (None: null) and key."""

    order: datetime | None
    key: Key


@attrs.frozen(kw_only=True)
class Query(Read["list[R]"], Generic[R]):
    """Records along one path, in its total order.

    Attributes:
        at: a value for every field of the path's `by`, and for nothing else.
        span: a range of the path's order field; part of the index, not a filter.
        where: a residual filter; costs what it skips.
        after: only records beyond this place, in the direction asked.
        offset: how many records to skip; costs what it skips.
        limit: how many records at most; None is all.
        descending: both parts of the order turned round.
        omit: optional fields that the caller does not need; they come back as None.
    """

    kind: Kind[R] = attrs.field(kw_only=False)
    path: str = attrs.field(kw_only=False)
    at: Mapping[str, str]
    span: Between | None = None
    where: Where = ()
    after: Cursor | None = None
    offset: int = 0
    limit: int | None = None
    descending: bool = False
    omit: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Window(Read["list[R]"], Generic[R]):
    """A record and its neighbours along a path: exactly *before* earlier and *after* later ones, ascending.

    The neighbours are those of the record's own place in the path (its own thread), among records that meet *where*. Empty when the
    record is missing or does not meet *where*. *hint* may name the place, which saves a hop where keys are spread over servers; an
    engine must not trust it.
    """

    kind: Kind[R] = attrs.field(kw_only=False)
    path: str = attrs.field(kw_only=False)
    around: Key
    before: int = 0
    after: int = 0
    where: Where = ()
    hint: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Count(Read[int], Generic[R]):
    """How many records a Query without limit, offset and cursor would give."""

    kind: Kind[R] = attrs.field(kw_only=False)
    path: str = attrs.field(kw_only=False)
    at: Mapping[str, str]
    span: Between | None = None
    where: Where = ()


def place(kind: Kind[R], path: Path, record: R) -> tuple[datetime, Key]:
    """Where *record* stands in the total order of *path*; a null time is later than every other."""
    return getattr(record, path.order) or LATEST, kind.key_of(record)


def behind(query: Query[R], record: R) -> Query[R]:
    """The part of *query* that comes after *record*."""
    path = query.kind.path(query.path)
    assert path is not None
    return attrs.evolve(query, after=Cursor(getattr(record, path.order), query.kind.key_of(record)))
