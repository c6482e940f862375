"""What part of a filter MongoDB decides: queries that leave out nothing which `conditions.met` would keep.

MongoDB goes through lists along a dotted path and takes a list for equal when an element is; the filter language does not
(docs/decisions/0012). So a query finds what may meet the filter, by conditions on single fields that an index can answer, and whoever
reads the answer asks `met`; only what is negated is asked for exactly. Values stand behind operators, where MongoDB takes a text that
begins with `$` for what it is. Knows MQL and conditions; must not know a driver.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from mastra_core.storage.records.kind import Json
from mastra_core.storage.vectors.conditions import (
    MISSING,
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

Mql: TypeAlias = dict[str, Any]

METADATA = "metadata"
"""The field of a document that holds what filters ask about (contract §8.5)."""

_NO_LIST: Mql = {"$not": {"$type": "array"}}

LARGEST, SMALLEST = 2**63 - 1, -(2**63)


def pushed(condition: Condition) -> Mql:
    """A query that finds every document whose metadata meets *condition*, and as few others as MongoDB can tell; {} for all.

    What `filters.parse` gives is NEVER as a whole or not at all, so that no `$or`, which MongoDB refuses when it is empty, is.
    """
    return _query(condition, (), exactly=False) or {}


def searched(condition: Condition, fields: Collection[str]) -> Mql:
    """What `$vectorSearch` can be told of *condition* beforehand, about *fields*; {} for nothing. It finds no fewer than meet it.

    Args:
        condition: what will be asked of what it finds.
        fields: the names, dotted, that the search index can filter by, such as "metadata.thread_id".
    """
    parts = condition.conditions if isinstance(condition, Every) else (condition,)
    found = [query for one in parts if (query := _searched(one, fields)) is not None]
    return all_of(*found)


def _searched(condition: Condition, fields: Collection[str]) -> Mql | None:
    match condition:
        case At(path, (Equals(value) | Compares(_, value)) as inner) if _name(path) in fields and _is_plain(value) and value is not None:
            return {_name(path): {"$eq" if isinstance(inner, Equals) else inner.how: value}}
        case At(path, OneOf(values)) if _name(path) in fields and all(map(_is_plain, values)) and None not in values:
            return {_name(path): {"$in": list(values)}}
        case Some(conditions):
            found = [_searched(one, fields) for one in conditions]
            return None if None in found else {"$or": found}
    return None


def _query(condition: Condition, path: Path, *, exactly: bool) -> Mql | None:
    """The query for *condition*, asked of what lies along *path*: at least what meets it, or *exactly* that, which can be negated.

    None where MongoDB cannot tell.
    """
    match condition:
        case At(further, inner):
            return _query(inner, (*path, *further), exactly=exactly)
        case Every(conditions):
            parts = [_query(one, path, exactly=exactly) for one in conditions]
            return None if exactly and None in parts else all_of(*(part for part in parts if part))
        case Some(conditions):
            parts = [_query(one, path, exactly=exactly) for one in conditions]
            return None if None in parts else {"$or": parts}
        case Not(inner):
            part = _query(inner, path, exactly=True)
            return None if part is None else {"$nor": [part]}
    asked, also = _asked(condition)
    if asked is None or (exactly and also is None):
        return None
    return _through_objects(condition, path, {_name(path): {**asked, **(also or {} if exactly else {})}}, exactly=exactly)


def _asked(condition: Condition) -> tuple[Mql | None, Mql | None]:
    """What MongoDB is asked of a value that may meet *condition*, and what else so that exactly those answer; None where it cannot tell."""
    match condition:
        case Equals(value) if _is_plain(value):
            return {"$eq": value}, _NO_LIST
        case OneOf(values) if all(map(_is_plain, values)):
            return {"$in": list(values)}, {}
        case Compares(how, operand) if _is_plain(operand):
            return {how: operand}, {"$type": "string" if isinstance(operand, str) else "number", **_NO_LIST}
        case HoldsAll(values) if all(map(_is_plain, values)):
            return {"$all": list(values)}, {"$type": "array"}
        case HasSize(size) if size <= LARGEST:
            return {"$size": size}, {}
        case IsThere():
            return {"$exists": True}, {}
        case IsObject():
            return {"$type": "object"}, _NO_LIST
        case Equals(dict()):
            # MongoDB compares objects by the order of their fields too.
            return {"$type": "object"}, None
        case Equals(list() | tuple()) | HoldsOne():
            return {"$type": "array"}, None
        case HasText():
            return {"$type": ["string", "array"]}, None
        case Fits():
            return {"$type": "string"}, None
    return None, None


def _through_objects(condition: Condition, path: Path, asked: Mql, *, exactly: bool) -> Mql:
    """*asked*, where nothing along *path* before its end is a list: within lists the filter language finds nothing."""
    above = [_name(path[:length]) for length in range(1, len(path))]
    if above and met(condition, MISSING):
        return {"$or": [asked, *({name: {"$type": "array"}} for name in above)]}
    return all_of(asked, *({name: dict(_NO_LIST)} for name in above)) if exactly else asked


def all_of(*queries: Mql) -> Mql:
    """What meets all of *queries*; in one document where they are about different fields, which any planner understands."""
    told = [query for query in queries if query]
    names = [name for query in told for name in query]
    if len(set(names)) == len(names):
        return {name: asked for query in told for name, asked in query.items()}
    return {"$and": told}


def _name(path: Path) -> str:
    return ".".join((METADATA, *path))


def _is_plain(value: Json | Mapping[str, Json]) -> bool:
    """Whether a value is a scalar that BSON holds."""
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, int):
        return SMALLEST <= value <= LARGEST
    return value is None or isinstance(value, float)
