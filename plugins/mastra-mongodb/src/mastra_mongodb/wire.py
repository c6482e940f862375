"""Records to BSON documents and back, under the names and types that `@mastra/mongodb` writes (contract §3.4).

Times are BSON dates, JSON is a native document, message content is JSON text, and a field that is None is left out. Knows kinds and BSON;
must not know any command.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidDocument

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Field, Json, Key, Kind, R
from mastra_core.storage.records.wire import check_text, dump_json, from_stored, undecodable

Document = dict[str, Any]

CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
"""How BSON is read: dates as aware datetimes in UTC; one beyond Python's years stays a number, which is no time of ours."""

MAX_BYTES = 16 * 1024 * 1024 - 4096
"""Of one document: MongoDB's 16 MiB, and room for what a list says beside it."""
MAX_DEPTH = 96
"""Of JSON in a document, of which MongoDB nests at most 100 levels."""
_INT64 = range(-(2**63), 2**63)


def encoded(kind: Kind[Any], name: str, value: Any) -> Any:
    """One field's value as BSON has it; None stays None.

    Raises:
        InvalidInputError: JSON or BSON cannot hold it; the message names the field and the path to the value.
    """
    field = kind.by_name[name]
    if value is None:
        return None
    at = f"{kind.name}.{name}"
    if field.type == "json":
        return as_bson(value, at)
    if field.type == "json_text":
        return dump_json(value, at=at, any_unicode=True)
    return float(value) if field.type == "float" else value


def document_of(kind: Kind[R], record: R) -> Document:
    """*record* as it is stored, without `_id`.

    Raises:
        InvalidInputError: a value cannot be stored, or the whole is over 16 MiB.
    """
    values = ((field.column, encoded(kind, field.name, getattr(record, field.name))) for field in kind.fields)
    document = {column: value for column, value in values if value is not None}
    check_size(kind, kind.key_of(record), document)
    return document


def key_filter(kind: Kind[Any], key: Key) -> Document:
    """What finds the record of *key* in its collection."""
    return {kind.by_name[name].column: value for name, value in zip(kind.key, key, strict=True)}


def key_at(kind: Kind[Any], document: Mapping[str, Any]) -> Key:
    """The key of a stored document; "?" for a part that is no text."""
    values = (document.get(kind.by_name[name].column) for name in kind.key)
    return tuple(value if isinstance(value, str) else "?" for value in values)


def decoded(kind: Kind[R], document: Mapping[str, Any]) -> R:
    """The record of a stored document; names that the kind does not have are passed over.

    Raises:
        StoredDataError: it cannot be built, with kind, key and field.
    """
    key = key_at(kind, document)
    return kind.record(**{field.name: _read(kind, key, field, document.get(field.column)) for field in kind.fields})


def _read(kind: Kind[Any], key: Key, field: Field, value: Any) -> Any:
    if isinstance(value, datetime) and field.type == "time":
        return value
    if field.type not in {"json", "json_text"} or value is None or isinstance(value, str):
        return from_stored(kind, key, field, value)
    try:
        plain = as_json(value)
    except TypeError as error:
        raise undecodable(kind.name, key, field.name, value, f"holds {error}") from error
    return from_stored(kind, key, field, plain)


def check_size(kind: Kind[Any], key: Key, document: Mapping[str, Any]) -> None:
    """Refuse a document that MongoDB cannot hold.

    Raises:
        InvalidInputError: it is over 16 MiB; the message names the largest field.
    """
    names = {field.column: field.name for field in kind.fields}
    encoded_small(document, at=f"{kind.name} {'/'.join(key)}", shown=lambda column: names.get(column, column))


def encoded_small(document: Mapping[str, Any], *, at: str, shown: Callable[[str], str], beside: int = 0) -> bytes:
    """*document* as BSON, where it is small enough for MongoDB.

    Args:
        document: made by `as_bson`.
        at: what it is of, for messages.
        shown: the name of one of its fields for messages.
        beside: bytes that will be stored with it.

    Raises:
        InvalidInputError: it is over 16 MiB; the message names the largest field.
    """
    raw = _encoded(document)
    size = len(raw) + beside
    if size > MAX_BYTES:
        sizes = {name: len(_encoded({name: value})) for name, value in document.items()}
        largest = max(sizes, key=sizes.__getitem__)
        raise InvalidInputError(
            f"{at}: has {size:,} bytes, and MongoDB holds at most {MAX_BYTES:,} of them in one document; the largest field is "
            f"{shown(largest)} with {sizes[largest]:,}. Store large values elsewhere and save a reference."
        )
    return raw


def _encoded(document: Mapping[str, Any]) -> bytes:
    try:
        return bson.encode(document, codec_options=CODEC)
    except InvalidDocument as error:
        raise InvalidInputError(f"cannot be written as BSON: {error}") from error


def as_bson(value: Json, at: str, depth: int = MAX_DEPTH) -> Json:
    """*value* of plain dicts and lists that nobody else holds; refuses what would not come back equal.

    Args:
        value: what JSON holds.
        at: where it stands, for messages.
        depth: of lists and objects, at most.

    Raises:
        InvalidInputError: JSON or BSON cannot hold it; the message names the path to it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        check_text(value, at=at)
        return value
    if isinstance(value, int):
        if value not in _INT64:
            raise InvalidInputError(
                f"{at}: the number {_shown(value)} has more than 64 bits, which MongoDB cannot hold; store it as a string"
            )
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInputError(f"{at}: {value!r} is no JSON number; store None or a string instead")
        return value
    if depth == 0:
        raise InvalidInputError(f"{at}: nested too deeply for MongoDB (or containing itself); flatten it before saving")
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise InvalidInputError(f"{at}: the key {name!r} is a {type(name).__name__}; JSON keys are strings, so write {str(name)!r}")
            check_text(name, at=f"{at} (a key)")
        return {name: as_bson(held, f"{at}.{name}", depth - 1) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [as_bson(held, f"{at}[{index}]", depth - 1) for index, held in enumerate(value)]
    msg = f"{at}: a {type(value).__name__} cannot be stored as JSON; convert it first (a datetime: its isoformat(), a set: a list)"
    raise InvalidInputError(msg)


def _shown(number: int) -> str:
    # Python refuses to print numbers of more than 4300 digits.
    return str(number) if abs(number) < 10**40 else f"of {number.bit_length()} bits"


def as_json(value: Any) -> Json:
    """A stored value as JSON has it: a date as `JSON.stringify` writes it, a number that is none as null.

    Raises:
        TypeError: a type of BSON that has no like in JSON.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        # bson.Int64 is an int that its caller need not know.
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: as_json(held) for name, held in value.items()}
    if isinstance(value, list):
        return [as_json(held) for held in value]
    if isinstance(value, datetime):
        return clock.to_text(value)
    if isinstance(value, bson.ObjectId):
        return str(value)
    if isinstance(value, bson.DBRef):
        # What the driver makes of an object with `$ref` and `$id`.
        return as_json(value.as_doc())
    raise TypeError(f"a value of BSON's type {type(value).__name__}, which JSON has not")


def columns_of(kind: Kind[Any], names: Iterable[str]) -> list[str]:
    """The stored names of fields."""
    return [kind.by_name[name].column for name in names]
