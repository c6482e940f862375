"""The text of reads: one statement each, built once for each shape and kept.

A shape is everything but the values; values travel as parameters only. Knows the port and a dialect; must not know any driver.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, cast

import attrs

from mastra_core.storage.records.kind import Field, Kind, Path
from mastra_core.storage.records.query import Between, Condition, Contains, Count, Get, Is, Missing, Present, Query, Read, Where, Window
from mastra_core.storage.sql.dialect import Dialect
from mastra_core.storage.sql.rows import parameter

NO_LIMIT = 2**63 - 1
"""For an offset without a limit, which SQL cannot say on every database."""


@attrs.frozen
class Statement:
    """A text and its parameters, in the order of their places."""

    sql: str
    parameters: list[Any]


@attrs.frozen
class Shape:
    """What the text of a listing depends on."""

    kind: Kind[Any]
    path: str
    conditions: tuple[str, ...]
    descending: bool = False
    after: bool = False
    limited: bool = False
    skipping: bool = False
    omit: tuple[str, ...] = ()


def statement(dialect: Dialect, read: Read[Any]) -> Statement:
    """The statement that answers *read*."""
    match read:
        case Get():
            return Statement(_get_text(dialect, read.kind), list(read.key))
        case Window():
            return _window(dialect, read)
        case Count():
            conditions, values = where(dialect, read.kind, _listing_where(read))
            shape = Shape(read.kind, read.path, conditions)
            return Statement(_count_text(dialect, shape), [*_place(read), *values])
        case Query():
            shape, values = query_shape(dialect, read)
            return Statement(_query_text(dialect, shape), values)
    raise TypeError(read)


def query_shape(dialect: Dialect, query: Query[Any]) -> tuple[Shape, list[Any]]:
    """The shape of *query* and its parameters."""
    conditions, values = where(dialect, query.kind, _listing_where(query))
    values = [*_place(query), *values]
    if query.after is not None:
        order = query.after.order
        values += [dialect.nulls_last if order is None else dialect.time_parameter(order), *query.after.key]
    if query.limit is not None or query.offset:
        values.append(NO_LIMIT if query.limit is None else query.limit)
    if query.offset:
        values.append(query.offset)
    limited = query.limit is not None or bool(query.offset)
    shape = Shape(query.kind, query.path, conditions, query.descending, query.after is not None, limited, bool(query.offset), query.omit)
    return shape, values


def purge_statement(dialect: Dialect, query: Query[Any], *, limit: int) -> Statement:
    """The statement that deletes the first *limit* records of *query* and returns their keys."""
    shape, values = query_shape(dialect, attrs.evolve(query, limit=limit))
    return Statement(_purge_text(dialect, shape), values)


def scan_statement(dialect: Dialect, kind: Kind[Any], *, after: tuple[str, ...] | None, limit: int) -> Statement:
    """The statement that reads the next *limit* records in key order."""
    return Statement(_scan_text(dialect, kind, resumed=after is not None), [*(after or ()), limit])


def where(dialect: Dialect, kind: Kind[Any], conditions: Where) -> tuple[tuple[str, ...], list[Any]]:
    """Each condition as text with `{}` for parameters, and the parameters of all."""
    texts: list[str] = []
    values: list[Any] = []
    for condition in conditions:
        text, held = _condition(dialect, kind, condition)
        texts.append(text)
        values += held
    return tuple(texts), values


def selected(dialect: Dialect, kind: Kind[Any], *, omit: tuple[str, ...] = ()) -> str:
    """The select list of a record; omitted fields are read as null."""
    return ", ".join("NULL" if field.name in omit else dialect.read(field) for field in kind.fields)


def keyed(dialect: Dialect, kind: Kind[Any]) -> str:
    """The condition that names one record."""
    return " AND ".join(f"{dialect.column(kind.by_name[name])} = {dialect.parameter}" for name in kind.key)


def filled(dialect: Dialect, texts: Iterable[str]) -> str:
    """Conditions joined, with the dialect's parameters in their places."""
    return " AND ".join(texts).replace("{}", dialect.parameter)


def _condition(dialect: Dialect, kind: Kind[Any], condition: Condition) -> tuple[str, list[Any]]:
    field = kind.by_name[condition.field[0]]
    path, is_json = condition.field[1:], field.type in {"json", "json_text"}
    column = dialect.column(field)
    match condition:
        case Is(value=value) if is_json:
            return dialect.json_is(field, path, value)
        case Is(value=None):
            return f"{column} IS NULL", []
        case Is(value=bool(value)) if field.type == "bool":
            return f"{column} = {{}}", [value]
        case Is(value=int(value) | float(value)) if field.type == "float" and not isinstance(value, bool):
            return f"{column} = {{}}", [value]
        case Is(value=str(value)) if field.type in {"id", "text"}:
            return f"{column} = {{}}", [value]
        case Missing():
            return (dialect.json_missing(field, path) if is_json else f"{column} IS NULL"), []
        case Present():
            return (f"NOT ({dialect.json_missing(field, path)})" if is_json else f"{column} IS NOT NULL"), []
        case Contains(items=items) if is_json:
            return dialect.json_contains(field, path, items)
        case Between() if field.type == "time":
            return _between(dialect, kind, field, condition)
    return "1 = 0", []


def _between(dialect: Dialect, kind: Kind[Any], field: Field, span: Between) -> tuple[str, list[Any]]:
    ends = [(span.low, ">" if span.low_open else ">="), (span.high, "<" if span.high_open else "<=")]
    texts = [f"{dialect.ordered(field)} {sign} {{}}" for end, sign in ends if end is not None]
    values = [parameter(dialect, kind, field, end) for end, _ in ends if end is not None]
    return "(" + (" AND ".join(texts) or f"{dialect.ordered(field)} IS NOT NULL") + ")", values


def _listing_where(read: Query[Any] | Count[Any]) -> Where:
    return (*_path(read.kind, read.path).only, *((read.span,) if read.span is not None else ()), *read.where)


def _place(read: Query[Any] | Count[Any]) -> list[str]:
    return [read.at[name] for name in _path(read.kind, read.path).by]


def _path(kind: Kind[Any], name: str) -> Path:
    return cast("Path", kind.path(name))


def _order(dialect: Dialect, kind: Kind[Any], path: Path) -> list[str]:
    """The expressions of a path's total order; a null time counts as the last of all."""
    order = kind.by_name[path.order]
    first = dialect.nulls_high(order) if order.optional else dialect.ordered(order)
    return [first, *(dialect.ordered(kind.by_name[name]) for name in kind.key)]


def _ordering(order: Iterable[str], *, descending: bool) -> str:
    return ", ".join(f"{name} {'DESC' if descending else 'ASC'}" for name in order)


def _listing(dialect: Dialect, shape: Shape, what: str) -> str:
    kind, path = shape.kind, _path(shape.kind, shape.path)
    order = _order(dialect, kind, path)
    texts = [f"{dialect.column(kind.by_name[name])} = {{}}" for name in path.by] + list(shape.conditions)
    if shape.after:
        texts.append(f"({', '.join(order)}) {'<' if shape.descending else '>'} ({', '.join('{}' for _ in order)})")
    sql = f"SELECT {what} FROM {dialect.table(kind)} AS r"
    return sql + (f" WHERE {filled(dialect, texts)}" if texts else "")


@lru_cache(maxsize=256)
def _get_text(dialect: Dialect, kind: Kind[Any]) -> str:
    return f"SELECT {selected(dialect, kind)} FROM {dialect.table(kind)} AS r WHERE {keyed(dialect, kind)}"


@lru_cache(maxsize=1024)
def _query_text(dialect: Dialect, shape: Shape) -> str:
    return _listing(dialect, shape, selected(dialect, shape.kind, omit=shape.omit)) + _tail(dialect, shape)


def _tail(dialect: Dialect, shape: Shape) -> str:
    order = _ordering(_order(dialect, shape.kind, _path(shape.kind, shape.path)), descending=shape.descending)
    limit = f" LIMIT {dialect.parameter}" if shape.limited else ""
    return f" ORDER BY {order}{limit}" + (f" OFFSET {dialect.parameter}" if shape.skipping else "")


@lru_cache(maxsize=1024)
def _count_text(dialect: Dialect, shape: Shape) -> str:
    return _listing(dialect, shape, "count(*)")


@lru_cache(maxsize=256)
def _purge_text(dialect: Dialect, shape: Shape) -> str:
    keys = ", ".join(dialect.column(shape.kind.by_name[name]) for name in shape.kind.key)
    chosen = _listing(dialect, shape, keys) + _tail(dialect, shape)
    return f"DELETE FROM {dialect.table(shape.kind)} AS r WHERE ({keys}) IN ({chosen}) RETURNING {keys}"


@lru_cache(maxsize=256)
def _scan_text(dialect: Dialect, kind: Kind[Any], *, resumed: bool) -> str:
    keys = [dialect.ordered(kind.by_name[name]) for name in kind.key]
    begin = f" WHERE ({', '.join(keys)}) > ({', '.join(dialect.parameter for _ in keys)})" if resumed else ""
    ordering = _ordering(keys, descending=False)
    return f"SELECT {selected(dialect, kind)} FROM {dialect.table(kind)} AS r{begin} ORDER BY {ordering} LIMIT {dialect.parameter}"


def _window(dialect: Dialect, window: Window[Any]) -> Statement:
    conditions, values = where(dialect, window.kind, window.where)
    shape = Shape(window.kind, window.path, conditions)
    around = [*window.around, *values]
    return Statement(_window_text(dialect, shape), [*around, *values, window.before + 1, *values, window.after])


@lru_cache(maxsize=256)
def _window_text(dialect: Dialect, shape: Shape) -> str:
    """The record, those before it and those after it: each side reads along the path's index from the record's place."""
    kind, path = shape.kind, _path(shape.kind, shape.path)
    place = [*path.by, path.order, *kind.key]
    columns = {name: dialect.column(kind.by_name[name]) for name in place}
    found = ", ".join(f"{columns[name]} AS w{index}" for index, name in enumerate(place))
    met = "".join(f" AND {text}" for text in shape.conditions).replace("{}", dialect.parameter)
    order = _order(dialect, kind, path)
    # Single values, and no join: PostgreSQL follows an index in its order only from a place that it knows before it begins.
    near = ", ".join(f"(SELECT w{index} FROM w)" for index in range(len(path.by), len(place)))
    same = " AND ".join(f"{columns[name]} = (SELECT w{index} FROM w)" for index, name in enumerate(path.by)) or "1 = 1"

    def side(sign: str, *, descending: bool) -> str:
        return (
            f"SELECT * FROM (SELECT {selected(dialect, kind)} FROM {dialect.table(kind)} AS r "
            f"WHERE {same} AND ({', '.join(order)}) {sign} ({near}){met} "
            f"ORDER BY {_ordering(order, descending=descending)} LIMIT {dialect.parameter}) AS side"
        )

    target = f"WITH w AS (SELECT {found} FROM {dialect.table(kind)} AS r WHERE {keyed(dialect, kind)}{met})"
    return f"{target} {side('<=', descending=True)} UNION ALL {side('>', descending=False)}"
