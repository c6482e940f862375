"""What a filter means: conditions as data, and the one function that says whether metadata meets them (docs/decisions/0012).

A condition is built by `filters.parse`. Backends may push some of it down to their database; what they cannot, `met` decides. Knows JSON
values; must not know the filter language's spelling or any database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from mastra_core.storage.records.kind import Json

Path = tuple[str, ...]
"""Names from the metadata down to a field."""


class _Missing:
    """What a field that is not there holds."""

    def __repr__(self) -> str:
        """For messages of failing tests."""
        return "MISSING"


MISSING = _Missing()


@attrs.frozen
class Equals:
    """The value is *value*, by JSON type: 1 is 1.0, not "1" and not true. None also means that there is none."""

    value: Json


@attrs.frozen
class OneOf:
    """The value is one of *values*, or it is a list and an element of it is."""

    values: tuple[Json, ...]


@attrs.frozen
class Compares:
    """The value is of the operand's type, number or text, and greater or less; text by code point."""

    how: Literal["$gt", "$gte", "$lt", "$lte"]
    operand: float | str


@attrs.frozen
class HoldsAll:
    """The value is a list, and each of *values*, at least one, is an element."""

    values: tuple[Json, ...]


@attrs.frozen
class HoldsOne:
    """The value is a list, and one element meets *condition*, which is asked of the element itself."""

    condition: Condition


@attrs.frozen
class IsThere:
    """The field is there, be it null."""


@attrs.frozen
class IsObject:
    """The value is an object."""


@attrs.frozen
class HasSize:
    """The value is a list of so many elements."""

    size: int


@attrs.frozen
class HasText:
    """The value is a text, or a list with a text, in which *folded* occurs, whatever the case."""

    folded: str


@attrs.frozen
class Fits:
    """The value is a text in which *pattern* is found."""

    pattern: re.Pattern[str]


@attrs.frozen
class At:
    """What is found along *path* meets *condition*; along no path (), the value itself."""

    path: Path
    condition: Condition


@attrs.frozen
class Every:
    """All of *conditions*; of none that is always so."""

    conditions: tuple[Condition, ...] = ()


@attrs.frozen
class Some:
    """One of *conditions*; of none that is never so."""

    conditions: tuple[Condition, ...] = ()


@attrs.frozen
class Not:
    """Not *condition*: true also of what lacks the field, as in logic and in MongoDB."""

    condition: Condition


Condition = Equals | OneOf | Compares | HoldsAll | HoldsOne | IsThere | IsObject | HasSize | HasText | Fits | At | Every | Some | Not

ALWAYS = Every()
NEVER = Some()

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, operand: value > operand,
    "$gte": lambda value, operand: value >= operand,
    "$lt": lambda value, operand: value < operand,
    "$lte": lambda value, operand: value <= operand,
}


def met(condition: Condition, value: Any) -> bool:
    """Whether *value*, the metadata or MISSING or something in it, meets *condition*."""
    match condition:
        case At(path, inner):
            return met(inner, found(value, path))
        case Every(conditions):
            return all(met(inner, value) for inner in conditions)
        case Some(conditions):
            return any(met(inner, value) for inner in conditions)
        case Not(inner):
            return not met(inner, value)
        case IsThere():
            return value is not MISSING
        case Equals(operand):
            return (value is None or value is MISSING) if operand is None else same(value, operand)
        case OneOf(values):
            return any(met(Equals(one), value) for one in values) or any(same(held, one) for held in _elements(value) for one in values)
    return value is not MISSING and _value_meets(condition, value)


def _value_meets(condition: Condition, value: Any) -> bool:
    """`met`, of the conditions that no missing field meets."""
    match condition:
        case Compares(how, operand):
            return _kind(value) == _kind(operand) and _COMPARED[how](value, operand)
        case HoldsAll(values):
            return bool(values) and all(any(same(held, one) for held in _elements(value)) for one in values)
        case HoldsOne(inner):
            return any(met(inner, held) for held in _elements(value))
        case IsObject():
            return isinstance(value, Mapping)
        case HasSize(size):
            return isinstance(value, list | tuple) and len(value) == size
        case HasText(folded):
            return any(isinstance(text, str) and folded in text.casefold() for text in (value, *_elements(value)))
        case Fits(pattern):
            return isinstance(value, str) and pattern.search(value) is not None
    raise TypeError(condition)


def found(value: Any, path: Path) -> Any:
    """What lies along *path*, through objects only; MISSING where a name is not there."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value


def same(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal, types included; 1 equals 1.0, the order of an object's keys does not matter."""
    kind = _kind(other)
    if _kind(value) != kind:
        return False
    if kind == "array":
        return len(value) == len(other) and all(same(one, two) for one, two in zip(value, other, strict=True))
    if kind == "object":
        return value.keys() == other.keys() and all(same(held, other[name]) for name, held in value.items())
    return bool(value == other)


def _elements(value: Any) -> tuple[Any, ...] | list[Any]:
    return value if isinstance(value, list | tuple) else ()


def _kind(value: Any) -> str:
    """The JSON type of *value*."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "object"
    return "array" if isinstance(value, list | tuple) else "null" if value is None else "missing"
