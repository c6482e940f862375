"""Conditions as MongoDB's query language says them, with exactly the meaning that the core's evaluator gives them.

Equality inside JSON is an expression: the query language also looks into lists. Conditions on the inside of message content, which is text,
are left to the caller. Knows kinds and conditions; must not know any command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mastra_core import clock
from mastra_core.storage.records.kind import Field, Kind
from mastra_core.storage.records.query import LATEST, Between, Condition, Contains, Is, Missing, Present, Where
from mastra_mongodb.wire import Document

NEVER: Document = {"$expr": False}


def pushed(kind: Kind[Any], where: Where) -> tuple[list[Document], Where]:
    """The filters that MongoDB applies, and the conditions that are left."""
    left = tuple(condition for condition in where if kind.by_name[condition.field[0]].type == "json_text")
    return [_filter(kind, condition) for condition in where if condition not in left], left


def together(filters: Sequence[Mapping[str, Any]]) -> Document:
    """Every filter at once, flat as far as no two speak of the same field."""
    flat: Document = {}
    more: list[Mapping[str, Any]] = []
    for one in filters:
        if flat.keys().isdisjoint(one):
            flat |= one
        else:
            more.append(one)
    return {**flat, "$and": more} if more else flat


def is_plain(kind: Kind[Any], where: Where) -> bool:
    """Whether *where* is without expressions, which MongoDB does not allow where a write may insert."""
    return all(
        isinstance(condition, Is) and condition.value is not None and kind.by_name[condition.field[0]].type in {"id", "text"}
        for condition in where
    )


def _filter(kind: Kind[Any], condition: Condition) -> Document:
    field = kind.by_name[condition.field[0]]
    if isinstance(condition, Between):
        return _between(field.column, condition) if field.type == "time" and len(condition.field) == 1 else NEVER
    if len(condition.field) > 1 or field.type == "json":
        return {**_beside(field, condition), "$expr": _expression(field, condition)}
    match condition:
        case Is(value=None) | Missing():
            return {field.column: None}
        case Present():
            return {field.column: {"$ne": None}}
        case Is(value=value):
            known, operand = _operand(value)
            return {field.column: operand} if known else NEVER
    return NEVER


def next_instant(instant: datetime) -> datetime:
    """The millisecond after *instant*; the last one of all is its own."""
    return instant + clock.MILLISECOND if instant < LATEST - clock.MILLISECOND else LATEST


def _between(column: str, condition: Between) -> Document:
    # Whole milliseconds have a next one: half-open ranges are what every server finds along an index of more fields.
    ends = {
        **({} if condition.low is None else {"$gte": next_instant(condition.low) if condition.low_open else condition.low}),
        **({} if condition.high is None else {"$lt": condition.high if condition.high_open else next_instant(condition.high)}),
    }
    return {column: ends or {"$type": "date"}}


def _expression(field: Field, condition: Condition) -> Document:
    """What is asked of a value inside JSON, every step to which must be an object: a path of MongoDB also looks into lists."""
    names = (field.column, *condition.field[1:])
    steps = [".".join(names[: index + 1]) for index in range(len(names))]
    value = f"${steps[-1]}"
    reached: list[Any] = [{"$eq": [{"$type": f"${step}"}, "object"]} for step in steps[:-1]]
    present: Document = {"$ne": [{"$ifNull": [value, None]}, None]}
    match condition:
        case Missing():
            return {"$not": [{"$and": [*reached, present]}]}
        case Present():
            return {"$and": [*reached, present]}
        case Is(value=None) if len(names) == 1:
            # A field that is None is left out.
            return {"$not": [present]}
        case Is(value=wanted):
            known, operand = _operand(wanted)
            return {"$and": [*reached, {"$eq": [value, {"$literal": operand}]}, known]}
        case Contains(items=items):
            held = {"$cond": [{"$isArray": [value]}, value, []]}
            operands = [_operand(item) for item in items]
            within = [{"$in": [{"$literal": operand}, held]} for _, operand in operands]
            return {"$and": [*reached, {"$isArray": [value]}, *within, all(known for known, _ in operands)]}
    raise TypeError(condition)


def _beside(field: Field, condition: Condition) -> Document:
    """What finds no fewer than the expression does and is found along an index, where there is one."""
    match condition:
        case Is(value=str() | bool() as wanted):
            return {".".join((field.column, *condition.field[1:])): wanted}
    return {}


def _operand(value: Any) -> tuple[bool, Any]:
    """A value to compare with, and whether anything that MongoDB stores can be equal to it."""
    if isinstance(value, bool) or not isinstance(value, int) or -(2**63) <= value < 2**63:
        return True, value
    try:
        rounded = float(value)
    except OverflowError:
        return False, None
    return rounded == value, rounded
