"""Records to parameters and rows to records: the one converter of the SQL backends, prepared once for each kind.

Knows kinds and a dialect; must not know any driver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Generic, NoReturn, cast

import attrs

from mastra_core.storage.records.kind import Field, Key, Kind, R
from mastra_core.storage.records.query import Count, Get, Query, Read, Window, place
from mastra_core.storage.records.wire import decode_json, dump_json, lenient_json, shaped, undecodable, unwrapped
from mastra_core.storage.sql.dialect import Dialect

Convert = Callable[[Any], Any]


@attrs.frozen
class _Writer:
    """How one attribute becomes parameters: its place among the fields, the conversion and how many columns take it."""

    place: int
    convert: Convert | None
    copies: int


@attrs.frozen
class _Reader:
    """How one column becomes an attribute: the conversion (None: it is text), and what stands for null."""

    field: Field
    convert: Convert | None
    absent: str | None
    nullable: bool


@attrs.frozen(eq=False)
class Codec(Generic[R]):
    """Converts the records of one kind for one dialect."""

    kind: Kind[R]
    writers: tuple[_Writer, ...]  # of the fields that are not written as they are, the last one first: places before it stay
    readers: tuple[_Reader, ...]
    key_places: tuple[int, ...]

    def parameters(self, record: R) -> list[Any]:
        """What the driver takes for every column of *record*, in order.

        Raises:
            InvalidInputError: JSON cannot hold a value.
        """
        held = list(self.kind.values_of(record))
        for writer in self.writers:
            value = held[writer.place]
            if value is not None and writer.convert is not None:
                value = held[writer.place] = writer.convert(value)
            if writer.copies > 1:
                held[writer.place : writer.place + 1] = [value] * writer.copies
        return held

    def record(self, row: Sequence[Any]) -> R:
        """The record of a row that holds every field, in order.

        Raises:
            StoredDataError: a column cannot be decoded, with kind, key and field.
        """
        values: dict[str, Any] = {}
        for reader, held in zip(self.readers, row, strict=True):
            if held is None:
                if not reader.nullable:
                    self._fail(row, reader, held, "is missing")
                values[reader.field.name] = reader.absent
            elif reader.convert is None:
                if type(held) is not str:
                    self._fail(row, reader, held, "is no text")
                values[reader.field.name] = held
            else:
                try:
                    values[reader.field.name] = reader.convert(held)
                except (ValueError, TypeError, OverflowError, RecursionError) as error:
                    self._fail(row, reader, held, f"cannot be decoded ({error})")
        return self.kind.record(**values)

    def key(self, row: Sequence[Any]) -> Key:
        """The key in a row that holds every field."""
        return tuple(str(row[place]) for place in self.key_places)

    def _fail(self, row: Sequence[Any], reader: _Reader, held: object, why: str) -> NoReturn:
        raise undecodable(self.kind.name, self.key(row), reader.field.name, held, why)


@lru_cache(maxsize=256)
def _codec(dialect: Dialect, kind: Kind[Any]) -> Codec[Any]:
    every = (_Writer(place, conversion(dialect, kind, field), len(dialect.columns(field))) for place, field in enumerate(kind.fields))
    writers = tuple(writer for writer in every if writer.convert is not None or writer.copies > 1)[::-1]
    readers = tuple(
        _Reader(field, _reading(dialect, kind, field), field.absent, field.optional or field.absent is not None) for field in kind.fields
    )
    places = tuple(index for index, field in enumerate(kind.fields) if field.name in kind.key)
    return Codec(kind, writers, readers, places)


def codec(dialect: Dialect, kind: Kind[R]) -> Codec[R]:
    """The converter of *kind*, made once."""
    return cast("Codec[R]", _codec(dialect, kind))


@lru_cache(maxsize=1024)
def conversion(dialect: Dialect, kind: Kind[Any], field: Field) -> Convert | None:
    """How a value of *field* becomes what the driver takes; None where it is taken as it is."""
    if field.type == "time":
        return dialect.time_parameter
    if field.type == "json" and dialect.encoded_twice(kind, field):
        return partial(_dump_twice, at=f"{kind.name}.{field.name}")
    if field.type in {"json", "json_text"}:
        return partial(dump_json, at=f"{kind.name}.{field.name}", any_unicode=field.type == "json_text")
    return None


def parameter(dialect: Dialect, kind: Kind[Any], field: Field, value: Any) -> Any:
    """What the driver takes for *value* of *field*.

    Raises:
        InvalidInputError: JSON cannot hold it.
    """
    convert = conversion(dialect, kind, field)
    return value if value is None or convert is None else convert(value)


def _reading(dialect: Dialect, kind: Kind[Any], field: Field) -> Convert | None:
    if field.type == "json" and not field.unwrap:
        return _json_of_json if dialect.encoded_twice(kind, field) else _plain_json
    if field.shape is not None:
        return partial(_shaped_json, field=field)
    return {"time": dialect.time_value, "json": _json, "json_text": _json_text, "bool": _bool, "float": _float}.get(field.type)


def _shaped_json(held: Any, *, field: Field) -> Any:
    return shaped(field, _json(held))


def _json(held: Any) -> Any:
    return unwrapped(decode_json(_text(held)))


def _plain_json(held: Any) -> Any:
    return decode_json(_text(held))


def _json_of_json(held: Any) -> Any:
    value = decode_json(_text(held))
    try:
        return decode_json(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _dump_twice(value: Any, *, at: str) -> str:
    """Strings twice, so that they are not taken for other JSON; the rest once, which TypeScript reads too (contract §3.3)."""
    text = dump_json(value, at=at)
    return dump_json(text, at=at) if isinstance(value, str) else text


def _json_text(held: Any) -> Any:
    return lenient_json(_text(held))


def _bool(held: Any) -> bool:
    if held not in {0, 1}:
        msg = f"it is {held!r}, not true or false"
        raise ValueError(msg)
    return bool(held)


def _float(held: Any) -> float:
    if not isinstance(held, int | float):
        msg = f"it is {type(held).__name__}, not a number"
        raise TypeError(msg)
    if held - held != 0:
        msg = f"it is {held}, no finite number"
        raise ValueError(msg)
    return float(held)


def _text(held: Any) -> str:
    if type(held) is not str:
        msg = f"it is {type(held).__name__}, not text"
        raise TypeError(msg)
    return held


def answer(dialect: Dialect, read: Read[Any], rows: Sequence[Sequence[Any]]) -> Any:
    """The answer of *read*, from the rows of its statement.

    Raises:
        StoredDataError: a column cannot be decoded.
    """
    if isinstance(read, Count):
        return rows[0][0]
    assert isinstance(read, Get | Query | Window)
    convert = codec(dialect, read.kind).record
    records = [convert(row) for row in rows]
    if isinstance(read, Get):
        return records[0] if records else None
    if isinstance(read, Window):
        path = read.kind.path(read.path)
        assert path is not None
        records.sort(key=lambda record: place(read.kind, path, record))
    return records
