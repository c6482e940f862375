"""Records to parameters and rows to records: the one converter of the SQL backends.

Knows kinds and a dialect; must not know any driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mastra_core.storage.records.kind import Field, Key, Kind, R
from mastra_core.storage.records.wire import dump_json, lenient_json, load_json, undecodable, unwrapped
from mastra_core.storage.sql.dialect import Dialect


def parameter(dialect: Dialect, kind: Kind[Any], field: Field, value: Any) -> Any:
    """What the driver takes for *value* of *field*.

    Raises:
        InvalidInputError: JSON cannot hold it.
    """
    if value is None:
        return None
    if field.type == "time":
        return dialect.time_parameter(value)
    if field.type in {"json", "json_text"}:
        return dump_json(value, at=f"{kind.name}.{field.name}", any_unicode=field.type == "json_text")
    return value


def record_of(dialect: Dialect, kind: Kind[R], row: Sequence[Any]) -> R:
    """The record of a row that holds every field of *kind*, in order.

    Raises:
        StoredDataError: a column cannot be decoded, with kind, key and field.
    """
    key = key_of(kind, row)
    values = {field.name: value(dialect, kind, key, field, held) for field, held in zip(kind.fields, row, strict=True)}
    return kind.record(**values)


def key_of(kind: Kind[Any], row: Sequence[Any]) -> Key:
    """The key in a row that holds every field."""
    places = [index for index, field in enumerate(kind.fields) if field.name in kind.key]
    return tuple(str(row[place]) for place in places)


def value(dialect: Dialect, kind: Kind[Any], key: Key, field: Field, held: Any) -> Any:
    """The value of one column.

    Raises:
        StoredDataError: it cannot be decoded.
    """
    if held is None:
        if field.optional or field.absent is not None:
            return field.absent
        raise undecodable(kind.name, key, field.name, held, "is missing")
    if field.type == "time":
        return dialect.time_value(kind, key, field, held)
    if not isinstance(held, str):
        raise undecodable(kind.name, key, field.name, held, "is no text")
    if field.type == "json":
        return unwrapped(load_json(held, kind=kind.name, key=key, field=field.name))
    return lenient_json(held) if field.type == "json_text" else held
