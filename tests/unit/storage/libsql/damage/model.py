"""What a row honestly says, worked out from its raw columns alone: the record, or the field that cannot be read.

Written from the contract (§0.5, §3.1, §3.2, §4.5) and semantics §2, with no decoder of the package. Knows storage classes and the kinds'
declarations. Must not know how the store reads.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mastra_core.storage.libsql.driver import Connection
from mastra_core.storage.records.kind import Field, Json, Kind
from mastra_core.storage.records.kinds import MESSAGES
from mastra_core.testing.equality import difference

from .mutations import Raw

OBJECTS = frozenset(
    {
        ("mastra_threads", "metadata"), ("mastra_resources", "metadata"), ("mastra_workflow_snapshot", "snapshot"), ("mastra_scorers", "scorer"),
        ("mastra_scorers", "preprocess_step_result"), ("mastra_scorers", "extract_step_result"), ("mastra_scorers", "analyze_step_result"),
        ("mastra_scorers", "metadata"), ("mastra_scorers", "additional_context"), ("mastra_scorers", "request_context"), ("mastra_scorers", "entity"),
        ("mastra_ai_spans", "scope"), ("mastra_ai_spans", "metadata"), ("mastra_ai_spans", "attributes"), ("mastra_ai_spans", "error"),
        ("mastra_ai_spans", "request_context"),
    }
)  # fmt: skip
LISTS = frozenset({("mastra_ai_spans", "tags"), ("mastra_ai_spans", "links")})
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")

Row = Mapping[str, Any]
"""The raw columns of a row, by the names of the fields: None, int, float, Raw (text) or bytes (a blob)."""


class Unreadable(Exception):
    """A field of a row cannot be read."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Anything:
    """Stands for a value that is not worked out here."""


ANYTHING = Anything()
"""JSON5 inside JSONB, which SQLite writes from no JSON: it may be read, or be named as damaged."""
PARTS = Anything()
"""The parts that core parts of an old message become."""


def rows_of(connection: Connection, kind: Kind[Any]) -> list[Row]:
    """Every row of a table as it lies there; the connection gives text as bytes."""
    columns = ", ".join(f'"{field.column}", typeof("{field.column}")' for field in kind.fields)
    found = connection.execute(f'SELECT {columns} FROM "{kind.name}"').fetchall()
    names = [field.name for field in kind.fields]
    return [
        {name: Raw(held) if form == b"text" else held for name, held, form in zip(names, row[::2], row[1::2], strict=True)} for row in found
    ]


def record_of(kind: Kind[Any], row: Row, omit: Sequence[str] = ()) -> Mapping[str, Any]:
    """The attributes of the record that a row says.

    Raises:
        Unreadable: a field cannot be read.
    """
    values = {field.name: value_of(kind, field, None if field.name in omit else row[field.name]) for field in kind.fields}
    return _shown_message(values) if kind is MESSAGES else values


def value_of(kind: Kind[Any], field: Field, held: Any) -> Any:
    """What one column says.

    Raises:
        Unreadable: nothing that the field may hold.
    """
    try:
        if held is None:
            value = field.absent
            missing = value is None and not field.optional
        else:
            value = _JSON[field.type](kind, field, held) if field.type in _JSON else _PLAIN[field.type](held)
            missing = value is None and not field.optional
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise Unreadable(field.name) from error
    if missing:
        raise Unreadable(field.name)
    return value


def differs(kind: Kind[Any], found: Any, expected: Mapping[str, Any]) -> str | None:
    """Where a record differs from what its row says."""
    for field in kind.fields:
        if not isinstance(expected[field.name], Anything):
            text = difference(getattr(found, field.name), expected[field.name], at=f"{kind.name}.{field.name}")
            if text is not None:
                return text
    return None


def _text(held: Any) -> str:
    if not isinstance(held, Raw):
        raise TypeError(held)
    return held.held.decode()


def _time(held: Any) -> datetime:
    found = _TIME.fullmatch(_text(held))
    if found is None:
        raise ValueError(held)
    *parts, milliseconds = map(int, found.groups())
    return datetime(*parts, milliseconds * 1000, UTC)  # type: ignore[misc,arg-type]  # six numbers


def _bool(held: Any) -> bool:
    if held not in (0, 1) or not isinstance(held, int | float):  # a Raw has no hash by value
        raise ValueError(held)
    return held == 1


def _float(held: Any) -> float:
    if not isinstance(held, int | float) or held - held != 0:
        raise TypeError(held)
    return float(held)


_PLAIN = {"id": _text, "text": _text, "time": _time, "bool": _bool, "float": _float}


def _json(kind: Kind[Any], field: Field, held: Any) -> Json:
    value = jsonb(held) if isinstance(held, bytes) else parsed(_text(held))
    if field.unwrap and isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            value = parsed(value)
    shape = dict if (kind.name, field.name) in OBJECTS else list if (kind.name, field.name) in LISTS else object
    if value is not None and value is not ANYTHING and not isinstance(value, shape):
        raise TypeError(value)
    return value


def _content(_: Kind[Any], __: Field, held: Any) -> Json:
    text = _text(held)
    if text[:1] in ("{", "[", '"'):
        try:
            return parsed(text)
        except (ValueError, RecursionError):
            if text.startswith('{"format":2'):
                raise
    return text


_JSON = {"json": _json, "json_text": _content}


def _shown_message(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message with the content that users see: that of old rows becomes parts."""
    content = values["content"]
    if isinstance(content, dict) and "parts" in content:
        if not isinstance(content["parts"], list):
            raise Unreadable("content")
        return values
    old = {**values, "type": "v2", "role": "assistant" if values["role"] == "tool" else values["role"]}
    if isinstance(content, str):
        return {**old, "content": {"format": 2, "parts": [{"type": "text", "text": content}], "content": content}}
    for part in content if isinstance(content, list) else [content]:
        fine = not isinstance(part, dict) or isinstance(part.get("type"), str)
        if not fine or (isinstance(part, dict) and part["type"] == "text" and not isinstance(part.get("text"), str)):
            raise Unreadable("content")
    return {**old, "content": PARTS}


def parsed(text: str) -> Json:
    """JSON, without constants that JSON does not have, and without numbers that no double holds."""

    def finite(number: str) -> float:
        return _float(float(number))

    def never(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, parse_float=finite, parse_constant=never)


def jsonb(blob: bytes) -> Json:
    """The value of binary JSONB (sqlite.org/jsonb.html); ANYTHING where it holds a JSON5 element."""
    value, end = _element(blob, 0)
    if end != len(blob):
        raise ValueError(end)
    return value


def _element(blob: bytes, start: int) -> tuple[Json, int]:
    """The element that begins at *start*, and where it ends."""
    form, size, start = blob[start] & 15, blob[start] >> 4, start + 1
    if size > 11:
        width = 1 << (size - 12)
        size, start = int.from_bytes(blob[start : start + width], "big"), start + width
    end = start + size
    if end > len(blob):
        raise ValueError(end)
    return (_container(blob, start, end, form) if form in (11, 12) else _scalar(form, blob[start:end])), end


def _scalar(form: int, data: bytes) -> Json:
    if form < 3 and not data:
        return (None, True, False)[form]
    if form in (4, 6, 9):
        return ANYTHING
    if form in (3, 5):
        return parsed(data.decode("ascii"))
    text = data.decode()
    if form == 7 and any(character < " " or character in '"\\' for character in text):
        raise ValueError(text)
    if form in (7, 10):
        return text
    if form == 8:
        return parsed(f'"{text}"')
    raise ValueError(form)


def _container(blob: bytes, start: int, end: int, form: int) -> Json:
    held: list[Json] = []
    while start < end:
        value, start = _element(blob, start)
        held.append(value)
    names = [] if form == 11 else held[::2]
    if start != end or (form == 12 and len(held) % 2) or not all(isinstance(name, str) or name is ANYTHING for name in names):
        raise ValueError(start)
    if any(value is ANYTHING for value in held):
        return ANYTHING
    return held if form == 11 else dict(zip(names, held[1::2], strict=True))
