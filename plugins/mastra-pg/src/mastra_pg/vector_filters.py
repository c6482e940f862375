"""Which part of a filter PostgreSQL decides, exactly as `conditions.met` would: all but texts within texts and elements with conditions.

JSONB compares by type, and numbers by value, as the filter language does (docs/decisions/0012). Every expression here is true or false,
never null, so that a negation is one. Knows JSONB and conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import dump_json
from mastra_core.storage.vectors.conditions import (
    At,
    Compares,
    Condition,
    Equals,
    Every,
    HasSize,
    HoldsAll,
    IsObject,
    IsThere,
    Not,
    OneOf,
    Path,
    Some,
)

_SIGNS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}

LARGEST = 2**1023
"""Numbers past this are compared here, not by PostgreSQL, which would read every digit of them."""


@attrs.frozen
class Pushed:
    """A filter in two parts, both of which must hold.

    Attributes:
        sql: ` AND …`, to follow another condition; "" when nothing could be pushed.
        values: of its named parameters.
        rest: what Python must decide.
    """

    sql: str
    values: dict[str, Any]
    rest: Condition


def pushed(condition: Condition) -> Pushed:
    """*condition* with as much of it in SQL as PostgreSQL decides exactly."""
    texts: list[str] = []
    values: dict[str, Any] = {}
    rest: list[Condition] = []
    for one in condition.conditions if isinstance(condition, Every) else (condition,):
        attempt = _Writer(dict(values))
        try:
            text = attempt.condition(one, ())
        except _Undecided:
            rest.append(one)
        else:
            texts.append(f" AND {text}")
            values = attempt.values
    return Pushed("".join(texts), values, Every(tuple(rest)))


def extracted(path: Path) -> str:
    """The text of a field, as indexes and conditions say it alike (contract §8.3)."""
    return f"(metadata ->> '{path[0]}')" if len(path) == 1 else f"(metadata #>> '{{{','.join(path)}}}')"


def _value(path: Path) -> str:
    """The JSONB value of a field whose names have been restricted to letters, digits and underscores."""
    if not path:
        return "metadata"
    return f"(metadata -> '{path[0]}')" if len(path) == 1 else f"(metadata #> '{{{','.join(path)}}}')"


class _Undecided(Exception):
    """PostgreSQL does not decide this, or not as `met` does."""


class _Writer:
    """Conditions as SQL, with the parameters met on the way."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def condition(self, condition: Condition, path: Path) -> str:
        """The expression of *condition*, asked of what lies along *path*."""
        match condition:
            case At(further, inner):
                return self.condition(inner, (*path, *further))
            case Every(conditions):
                return self._joined(conditions, path, " AND ", "true")
            case Some(conditions):
                return self._joined(conditions, path, " OR ", "false")
            case Not(inner):
                return f"NOT {self.condition(inner, path)}"
            case Equals(None):
                return f"(coalesce({_value(path)}, 'null'::jsonb) = 'null'::jsonb)"
            case Equals(value):
                return self._equals(value, path)
            case OneOf(values):
                return f"({' OR '.join([self._one_of(values, path), *self._elements(values, path)])})"
            case IsThere():
                return f"({_value(path)} IS NOT NULL)"
        return f"coalesce({self._of_a_type(condition, _value(path))}, false)"

    def _of_a_type(self, condition: Condition, at: str) -> str:
        """The conditions that ask for a value of one type; SQL decides them in any order, so each is within a CASE."""
        match condition:
            case Compares(how, str() as operand):
                return f"CASE jsonb_typeof({at}) WHEN 'string' THEN ({at} #>> '{{}}') COLLATE \"C\" {_SIGNS[how]} {self._text(operand)} END"
            case Compares(how, operand):
                number = f"({self._json(operand)})::numeric"
                return f"CASE jsonb_typeof({at}) WHEN 'number' THEN ({at})::numeric {_SIGNS[how]} {number} END"
            case HoldsAll(values) if all(_is_scalar(value) for value in values):
                return f"CASE jsonb_typeof({at}) WHEN 'array' THEN {at} @> {self._json(list(values))} END"
            case IsObject():
                return f"jsonb_typeof({at}) = 'object'"
            case HasSize(size) if size < 2**31:
                return f"CASE jsonb_typeof({at}) WHEN 'array' THEN jsonb_array_length({at}) = {size} END"
        raise _Undecided

    def _joined(self, conditions: Sequence[Condition], path: Path, by: str, of_none: str) -> str:
        return f"({by.join(self.condition(one, path) for one in conditions)})" if conditions else of_none

    def _equals(self, value: Json, path: Path) -> str:
        # In coalesce the planner takes half of all rows to be equal, so that the index of the field alone says how rare they are.
        typed = f"coalesce({_value(path)} = {self._json(value)}, false)"
        # Metadata indexes are of texts.
        return f"({extracted(path)} = {self._text(value)} AND {typed})" if isinstance(value, str) and path else typed

    def _one_of(self, values: Sequence[Json], path: Path) -> str:
        given = ", ".join(self._json(value) for value in values)
        value = f"coalesce({_value(path)}, 'null'::jsonb)" if None in values else _value(path)
        return f"coalesce({value} = ANY (ARRAY[{given}]::jsonb[]), false)"

    def _elements(self, values: Sequence[Json], path: Path) -> list[str]:
        """An element of a list is one of *values*. Containment compares scalars as equality does, but not objects and lists."""
        if not all(_is_scalar(value) for value in values):
            raise _Undecided
        at = _value(path)
        held = " OR ".join(f"{at} @> {self._json([value])}" for value in values)
        return [f"coalesce(CASE jsonb_typeof({at}) WHEN 'array' THEN {held} END, false)"]

    def _json(self, value: Json) -> str:
        if isinstance(value, int | float) and abs(value) > LARGEST:
            raise _Undecided
        try:
            return f"{self._parameter(dump_json(value, at='filter'))}::jsonb"
        except InvalidInputError:  # U+0000 or a lone surrogate, which no statement can carry
            raise _Undecided from None

    def _text(self, value: str) -> str:
        self._json(value)
        return f"{self._parameter(value)}::text"

    def _parameter(self, value: str) -> str:
        name = f"filter{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"


def _is_scalar(value: Json) -> bool:
    return not isinstance(value, list | dict | tuple)
