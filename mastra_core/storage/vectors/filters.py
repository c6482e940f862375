"""Reads the filter language of contract §8.2 into conditions, and refuses what has no meaning. `conditions` knows what they mean.

* `{"thread_id": "t"}`: a plain value is equal, by type; None is null or not there.
* `{"tag": ["a", "b"]}`: a list is `$in`.
* `{"owner": {"name": "Ada"}}`: an object without operators is a dotted field, `{"owner.name": "Ada"}`.
* `{"age": {"$gte": 18, "$lt": 65}}`: of several operators all must hold.
* `{"$or": [{"a": 1, "b": 2}, {"c": 3}]}`: `$and`, `$or` and `$nor` take filters, `$not` one. The keys of a filter are AND-ed, here too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.names import did_you_mean
from mastra_core.storage.records.checks import check_time
from mastra_core.storage.records.kind import Json
from mastra_core.storage.vectors.conditions import (
    ALWAYS,
    NEVER,
    At,
    Compares,
    Condition,
    Equals,
    Every,
    Fits,
    HasSize,
    HasText,
    HoldsAll,
    HoldsOne,
    IsObject,
    IsThere,
    Not,
    OneOf,
    Path,
    Some,
    met,
)

LOGICAL = ("$and", "$or", "$nor", "$not")
OPERATORS = (
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$all", "$elemMatch", "$exists", "$not", "$size", "$contains",
    "$regex", "$options",
)  # fmt: skip
"""What a field can be asked by."""

MAX_DEPTH = 50
"""How deep filters may be nested: deeper ones are mistakes, and would exhaust the stack."""

_SEGMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_FLAGS: Mapping[str, int] = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "u": re.UNICODE, "x": re.VERBOSE}


def matches(filter: Mapping[str, Any] | None, metadata: Mapping[str, Json]) -> bool:
    """Whether *metadata* meets *filter*; what every backend's answers must agree with.

    Raises:
        InvalidInputError: *filter* has no meaning.
    """
    return met(parse(filter), metadata)


def parse(filter: object) -> Condition:
    """The condition that *filter* says; ALWAYS for None, {}, and others that every vector meets.

    Raises:
        InvalidInputError: an unknown operator, a field name that no backend can ask for, or a value that cannot be compared.
    """
    if filter is None:
        return ALWAYS
    return _filter(filter, depth=0, at="filter")


def field_path(name: object) -> Path:
    """The names in a dotted field, such as ("owner", "name").

    Raises:
        InvalidInputError: one is empty, longer than 63, or has more than letters, digits and underscores.
    """
    if not isinstance(name, str):
        msg = f"filter: a field is named by a string, found {name!r} ({type(name).__name__})"
        raise InvalidInputError(msg)
    for segment in name.split("."):
        if _SEGMENT.fullmatch(segment) is None:
            msg = (
                f"Invalid field key segment: {segment} in {name}. Between dots a name starts with a letter or underscore and has "
                "at most 63 letters, digits and underscores"
            )
            raise InvalidInputError(msg)
    return tuple(name.split("."))


def _filter(given: object, *, depth: int, at: str) -> Condition:
    """The condition of a whole filter, asked of metadata or of an element that is an object."""
    if not isinstance(given, Mapping):
        msg = f"{at}: a filter is a mapping such as {{'thread_id': 't'}}, found {given!r}"
        raise InvalidInputError(msg)
    if depth > MAX_DEPTH:
        msg = f"{at}: filters are nested more than {MAX_DEPTH} deep (or contain themselves); flatten the filter"
        raise InvalidInputError(msg)
    return _every([_entry(name, value, depth=depth) for name, value in given.items()])


def _entry(name: object, value: object, *, depth: int) -> Condition:
    if isinstance(name, str) and name.startswith("$"):
        if name not in LOGICAL:
            msg = f"Invalid top-level operator: {name}. It belongs to a field: {{'field': {{{name!r}: …}}}}"
            raise InvalidInputError(msg) if name in OPERATORS else _unsupported(name, LOGICAL)
        return _logical(name, value, depth=depth)
    return _field(field_path(name), value, depth=depth, shown=str(name))


def _logical(name: str, value: object, *, depth: int) -> Condition:
    if name == "$not":
        return _not(_filter(_operand_of_not(value), depth=depth + 1, at="$not"))
    listed = [value] if isinstance(value, Mapping) else value
    if not isinstance(listed, list | tuple):
        msg = f"{name}: takes a list of filters, such as {{{name!r}: [{{'a': 1}}, {{'b': 2}}]}}, found {value!r}"
        raise InvalidInputError(msg)
    for one in listed:
        if isinstance(one, Mapping) and any(key in OPERATORS and key not in LOGICAL for key in one):
            msg = f"Logical operators must contain field conditions, not direct operators: {name}; found {dict(one)!r}"
            raise InvalidInputError(msg)
    conditions = [_filter(one, depth=depth + 1, at=name) for one in listed]
    if name == "$and":
        return _every(conditions)
    return _some(conditions) if name == "$or" else _not(_some(conditions))


def _field(path: Path, value: object, *, depth: int, shown: str) -> Condition:
    if not isinstance(value, Mapping):
        return _at(path, _among(value, "$in") if isinstance(value, list | tuple) else Equals(_json(value, shown)))
    if any(isinstance(name, str) and name.startswith("$") for name in value):
        return _at(path, _operators(value, depth=depth, shown=shown))
    if not value:
        msg = f"filter: {shown!r} is asked for {{}}, which says nothing; for an empty object write {{{shown!r}: {{'$eq': {{}}}}}}"
        raise InvalidInputError(msg)
    if depth > MAX_DEPTH:
        msg = f"filter: {shown!r} is nested more than {MAX_DEPTH} deep (or contains itself); flatten the filter"
        raise InvalidInputError(msg)
    return _every([_field((*path, *field_path(name)), inner, depth=depth + 1, shown=f"{shown}.{name}") for name, inner in value.items()])


def _operators(given: Mapping[Any, Any], *, depth: int, shown: str) -> Condition:
    """All the operators of *given*, asked of one value."""
    conditions = []
    for name, operand in given.items():
        if not isinstance(name, str) or not name.startswith("$"):
            msg = f"filter: {shown!r} mixes operators with the field {name!r}; write the field as '{shown}.{name}'"
            raise InvalidInputError(msg)
        if name in LOGICAL and name != "$not":
            msg = f"Logical operator {name} cannot be used at field level: {shown}.{name}. Write {{{name!r}: [{{{shown!r}: …}}, …]}}"
            raise InvalidInputError(msg)
        if name == "$not":
            conditions.append(_not(_operators(_operand_of_not(operand), depth=depth + 1, shown=shown)))
        elif name == "$elemMatch":
            conditions.append(HoldsOne(_element(operand, depth=depth + 1, shown=shown)))
        elif name == "$regex":
            conditions.append(_regex(operand, given.get("$options", ""), shown))
        elif name in _READERS:
            conditions.append(_READERS[name](operand, shown))
        elif name != "$options":
            raise _unsupported(name, OPERATORS)
        elif "$regex" not in given:
            msg = f"filter: {shown!r} has $options without $regex; write {{'$regex': 'pattern', '$options': 'i'}}"
            raise InvalidInputError(msg)
    return _every(conditions)


def _element(given: object, *, depth: int, shown: str) -> Condition:
    """What is asked of an element: operators of the element itself, fields of an element that is an object, or both."""
    if not isinstance(given, Mapping) or not given:
        msg = f"$elemMatch requires an object with conditions, found {given!r} for {shown!r}"
        raise InvalidInputError(msg)
    own = {name: operand for name, operand in given.items() if _asks_a_value(name, operand)}
    rest = {name: operand for name, operand in given.items() if name not in own}
    of_object = [IsObject(), _filter(rest, depth=depth, at=shown)] if rest else []
    return _every([_operators(own, depth=depth, shown=shown), *of_object])


def _asks_a_value(name: object, operand: object) -> bool:
    """Whether this part of an $elemMatch is about the element itself, and not about its fields."""
    if name == "$not":
        return isinstance(operand, Mapping) and all(_asks_a_value(inner, held) for inner, held in operand.items())
    return name in OPERATORS


def _operand_of_not(given: object) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        msg = f"$not operator requires an object, found {given!r}"
        raise InvalidInputError(msg)
    if not given:
        msg = "$not operator cannot be empty; leave it out"
        raise InvalidInputError(msg)
    return given


def _among(given: object, name: str) -> Condition:
    values = tuple(_json(one, name) for one in (given if isinstance(given, list | tuple) else [given]))
    return OneOf(values) if values else NEVER


def _all(given: object, name: str) -> Condition:
    values = tuple(_json(one, name) for one in (given if isinstance(given, list | tuple) else [given]))
    return HoldsAll(values) if values else NEVER


def _comparison(name: str) -> Callable[[object, str], Condition]:
    def read(operand: object, shown: str) -> Condition:
        value = _json(operand, shown)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            msg = f"filter: {name} compares {shown!r} with a number, a text or an aware datetime, found {operand!r}"
            raise InvalidInputError(msg)
        return Compares(name, value)  # type: ignore[arg-type]  # one of the four names below

    return read


def _exists(operand: object, shown: str) -> Condition:
    if not isinstance(operand, bool):
        msg = f"filter: $exists takes True or False, found {operand!r} for {shown!r}"
        raise InvalidInputError(msg)
    return IsThere() if operand else Not(IsThere())


def _size(operand: object, shown: str) -> Condition:
    if isinstance(operand, bool) or not isinstance(operand, int) or operand < 0:
        msg = f"filter: $size takes a whole number from 0, found {operand!r} for {shown!r}"
        raise InvalidInputError(msg)
    return HasSize(operand)


def _contains(operand: object, shown: str) -> Condition:
    if isinstance(operand, str):
        return HasText(operand.casefold())
    if isinstance(operand, list | tuple):
        return _all(operand, shown)
    if operand is None or isinstance(operand, Mapping):
        msg = f"filter: $contains takes a text, a number, a boolean or a list, found {operand!r} for {shown!r}"
        raise InvalidInputError(msg)
    return OneOf((_json(operand, shown),))


def _regex(pattern: object, options: object, shown: str) -> Condition:
    if not isinstance(pattern, str) or not isinstance(options, str):
        msg = f"filter: $regex and $options take texts, found {pattern!r} and {options!r} for {shown!r}"
        raise InvalidInputError(msg)
    if unknown := set(options) - set(_FLAGS):
        msg = f"filter: $options {options!r} of {shown!r} has the unknown flag {min(unknown)!r}; the flags are {''.join(_FLAGS)}"
        raise InvalidInputError(msg)
    try:
        return Fits(re.compile(pattern, sum(_FLAGS[flag] for flag in set(options))))
    except (re.error, OverflowError, RecursionError) as error:
        msg = f"filter: $regex {pattern!r} of {shown!r} is no regular expression of Python's re: {error}"
        raise InvalidInputError(msg) from error


_READERS: Mapping[str, Callable[[object, str], Condition]] = {
    "$eq": lambda operand, shown: Equals(_json(operand, shown)),
    "$ne": lambda operand, shown: Not(Equals(_json(operand, shown))),
    **{name: _comparison(name) for name in ("$gt", "$gte", "$lt", "$lte")},
    "$in": _among,
    "$nin": lambda operand, shown: _not(_among(operand, shown)),
    "$all": _all,
    "$exists": _exists,
    "$size": _size,
    "$contains": _contains,
}


def _json(value: Any, shown: str, depth: int = 0) -> Json:
    """*value* as it is stored: an instant as ISO text (contract §0.5), a tuple as a list."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, datetime):
        return clock.to_text(check_time(value, at=f"filter: {shown!r}"))
    if depth > MAX_DEPTH:
        msg = f"filter: the value of {shown!r} is nested more than {MAX_DEPTH} deep (or contains itself)"
        raise InvalidInputError(msg)
    if isinstance(value, list | tuple):
        return [_json(one, shown, depth + 1) for one in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _json(held, shown, depth + 1) for name, held in value.items()}
    msg = f"filter: {shown!r} can be compared with JSON and aware datetimes, found {value!r} ({type(value).__name__})"
    raise InvalidInputError(msg)


def _unsupported(name: str, known: tuple[str, ...]) -> InvalidInputError:
    return InvalidInputError(f"Unsupported operator: {name}. The operators are {', '.join(known)}{did_you_mean(name, known)}")


def _at(path: Path, condition: Condition) -> Condition:
    if condition in (ALWAYS, NEVER):
        return condition
    if isinstance(condition, Every):
        return Every(tuple(_at(path, one) for one in condition.conditions))
    return At(path, condition)


def _every(conditions: list[Condition]) -> Condition:
    """All of *conditions*, flattened, so that what backends can push down is on top."""
    flat: list[Condition] = []
    for condition in conditions:
        if condition == NEVER:
            return NEVER
        flat += condition.conditions if isinstance(condition, Every) else [condition]
    return flat[0] if len(flat) == 1 else Every(tuple(flat))


def _some(conditions: list[Condition]) -> Condition:
    kept = tuple(condition for condition in conditions if condition != NEVER)
    if ALWAYS in kept:
        return ALWAYS
    return kept[0] if len(kept) == 1 else Some(kept)


def _not(condition: Condition) -> Condition:
    if condition == ALWAYS:
        return NEVER
    return ALWAYS if condition == NEVER else Not(condition)
