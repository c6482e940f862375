"""What is refused before anything is sent, the same for every backend (semantics §2.2, §2.3, §2.16).

Knows kinds, reads and changes; must not know any database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Save
from mastra_core.storage.records.kind import Field, Kind
from mastra_core.storage.records.query import Between, Condition, Contains, Count, Get, Is, Query, Read, Where, Window
from mastra_core.storage.records.wire import SHAPES, check_text

MAX_ID_CHARACTERS = 255
MAX_ID_BYTES = 900
_JSON_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_id(value: object, *, at: str) -> str:
    """*value*, if it can name a record on every backend.

    Raises:
        InvalidInputError: it is no string, is empty or too long, or holds U+0000 or a lone surrogate.
    """
    if not isinstance(value, str):
        msg = f"{at}: must be a string, found {value!r} ({type(value).__name__}); convert it with str()"
        raise InvalidInputError(msg)
    if not value:
        msg = f"{at}: is empty; an id has 1 to {MAX_ID_CHARACTERS} characters"
        raise InvalidInputError(msg)
    shown = value if len(value) <= 40 else value[:37] + "..."
    check_text(value, at=f"{at} {shown!r}")
    if len(value) > MAX_ID_CHARACTERS or len(value.encode()) > MAX_ID_BYTES:
        msg = (
            f"{at} {shown!r}: has {len(value)} characters and {len(value.encode())} bytes of UTF-8; an id has at most "
            f"{MAX_ID_CHARACTERS} characters and {MAX_ID_BYTES} bytes. Shorten it, or use a hash of it."
        )
        raise InvalidInputError(msg)
    return value


def check_time(value: object, *, at: str) -> datetime:
    """*value*, if it is an instant.

    Raises:
        InvalidInputError: it is no datetime, or a naive one.
    """
    if not isinstance(value, datetime):
        msg = f"{at}: must be an aware datetime, found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)
    if value.utcoffset() is None:
        msg = f"{at}: the datetime {value.isoformat()} is naive, so its instant is unknown; add a time zone, such as tzinfo=datetime.UTC"
        raise InvalidInputError(msg)
    return value


def check_stored_time(value: object, *, at: str) -> datetime:
    """*value*, if it is an instant of whole milliseconds, as every backend can store and compare it.

    Raises:
        InvalidInputError: it is no datetime, a naive one, or finer than a millisecond.
    """
    instant = check_time(value, at=at)
    if instant.microsecond % 1000:
        msg = f"{at}: {value!r} has microseconds; a stored time has whole milliseconds. Use mastra_core.clock.now() or round it."
        raise InvalidInputError(msg)
    return instant


def check_field(kind: Kind[Any], field: Field, value: object) -> None:
    """Refuse a value that *field* cannot hold. What is inside JSON is checked where it is encoded."""
    at = f"{kind.name}.{field.name}"
    if value is None:
        if not field.optional:
            msg = f"{at}: must have a value, found None"
            raise InvalidInputError(msg)
    elif field.type == "id":
        check_id(value, at=at)
    elif field.type == "time":
        check_stored_time(value, at=at)
    elif field.type == "text":
        if not isinstance(value, str):
            msg = f"{at}: must be a string, found {value!r} ({type(value).__name__})"
            raise InvalidInputError(msg)
        check_text(value, at=at)
    elif field.shape is not None and not isinstance(value, SHAPES[field.shape]):
        msg = f"{at}: must be a {_SHAPE_NAMES[field.shape]}, found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)
    elif field.type == "bool" and not isinstance(value, bool):
        msg = f"{at}: must be True or False, found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)
    elif field.type == "float" and (isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0):
        msg = f"{at}: must be a finite number, found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)


_SHAPE_NAMES = {"object": "mapping, which is stored as a JSON object", "list": "list, which is stored as a JSON list"}


def _plain(value: object) -> bool:
    return type(value) is str and value.isascii() and "\0" not in value


_FINE: Mapping[str, Callable[[Any], bool]] = {
    "id": lambda value: _plain(value) and 0 < len(value) <= MAX_ID_CHARACTERS,
    "text": _plain,
    "time": lambda value: type(value) is datetime and value.tzinfo is UTC and value.microsecond % 1000 == 0,
    "json": lambda _: True,
    "object": lambda value: type(value) is dict,
    "list": lambda value: type(value) is list,
    "json_text": lambda _: True,
    "bool": lambda value: type(value) is bool,
    "float": lambda value: type(value) is float and value - value == 0,
}
"""What most values are; they need no look for what could be wrong with them, which costs a turn a tenth of its time."""


def check_change(change: Change) -> None:
    """Refuse a change that not every backend could write."""
    kind = change.kind
    match change:
        case Save():
            if change.absent == change.present == "refuse":
                msg = f"{kind.name}: a Save that may neither create nor update changes nothing; use Check to see whether a record is there"
                raise InvalidInputError(msg)
            for field, value in zip(kind.fields, kind.values_of(change.record), strict=True):
                if not (field.optional if value is None else _FINE[field.shape or field.type](value)):
                    check_field(kind, field, value)
            _check_names(kind, change.only or (), kept=kind.key)
            _check_values(kind, change.raise_to)
        case Patch():
            _check_key(kind, change.key)
            _check_values(kind, change.put)
            _check_values(kind, change.raise_to)
            _check_names(kind, change.merge, kept=kind.key)
            for name, value in change.merge.items():
                if kind.by_name[name].type != "json" or not isinstance(value, Mapping):
                    msg = f"{kind.name}.{name}: a merge takes a JSON object, found {value!r}"
                    raise InvalidInputError(msg)
        case Delete() | Check():
            _check_key(kind, change.key)
    _check_where(kind, change.when)


def check_read(read: Read[Any]) -> None:
    """Refuse a read that not every backend could answer."""
    match read:
        case Get():
            _check_key(read.kind, read.key)
        case Window():
            _check_path(read.kind, read.path)
            _check_key(read.kind, read.around)
            _check_whole(read.before, at="before")
            _check_whole(read.after, at="after")
            _check_where(read.kind, read.where)
        case Query() | Count():
            _check_listing(read)
            if isinstance(read, Query):
                _check_whole(read.offset, at="offset")
                if read.after is not None and read.after.order is not None:
                    check_stored_time(read.after.order, at=f"{read.kind.name}: after")
                if read.limit is not None:
                    _check_whole(read.limit, at="limit", least=1)
                if must := [name for name in read.omit if not read.kind.by_name[name].optional]:
                    msg = f"{read.kind.name}: cannot omit {must}, which every record has"
                    raise InvalidInputError(msg)


def _check_listing(read: Query[Any] | Count[Any]) -> None:
    kind = read.kind
    path = _check_path(kind, read.path)
    if set(read.at) != set(path.by):
        msg = f"{kind.name}: the path {path.name!r} asks for {list(path.by)}, found {sorted(read.at)}"
        raise InvalidInputError(msg)
    for name, value in read.at.items():
        check_id(value, at=f"{kind.name}.{name}")
    if read.span is not None:
        _check_where(kind, (read.span,))
        if read.span.field != (path.order,):
            msg = f"{kind.name}: the path {path.name!r} is ordered by {path.order!r}, the span by {'.'.join(read.span.field)!r}; use where"
            raise InvalidInputError(msg)
    _check_where(kind, read.where)


def _check_path(kind: Kind[Any], name: str) -> Any:
    path = kind.path(name)
    if path is None:
        msg = f"{kind.name} has no path {name!r}; its paths are {[path.name for path in kind.paths]}"
        raise InvalidInputError(msg)
    return path


def _check_key(kind: Kind[Any], key: tuple[str, ...]) -> None:
    if len(key) != len(kind.key):
        msg = f"{kind.name}: the key {key!r} must have the parts {list(kind.key)}"
        raise InvalidInputError(msg)
    for name, value in zip(kind.key, key, strict=True):
        check_id(value, at=f"{kind.name}.{name}")


def _check_names(kind: Kind[Any], names: Iterable[str], *, kept: tuple[str, ...]) -> None:
    for name in names:
        if name not in kind.by_name or name in kept:
            msg = f"{kind.name}: cannot change {name!r}; what can be changed is {[field for field in kind.by_name if field not in kept]}"
            raise InvalidInputError(msg)


def _check_values(kind: Kind[Any], values: Mapping[str, Any]) -> None:
    _check_names(kind, values, kept=kind.key)
    for name, value in values.items():
        check_field(kind, kind.by_name[name], value)


def _check_where(kind: Kind[Any], where: Where) -> None:
    for condition in where:
        if condition.field[0] not in kind.by_name:
            msg = f"{kind.name} has no field {condition.field[0]!r}; its fields are {list(kind.by_name)}"
            raise InvalidInputError(msg)
        for name in condition.field[1:]:
            if _JSON_NAME.fullmatch(name) is None:
                msg = (
                    f"{kind.name}.{condition.field[0]}: cannot filter by the JSON key {name!r}; it may have letters, digits and underscores"
                )
                raise InvalidInputError(msg)
        _check_operand(f"{kind.name}.{'.'.join(condition.field)}", condition)


def _check_operand(at: str, condition: Condition) -> None:
    match condition:
        case Is(value=value):
            _check_scalar(at, value)
        case Contains(items=items):
            for item in items:
                _check_scalar(at, item)
        case Between(low=low, high=high):
            for end in (low, high):
                if end is not None:
                    check_stored_time(end, at=at)


def _check_scalar(at: str, value: object) -> None:
    if isinstance(value, str):
        check_text(value, at=at)
    elif not (value is None or isinstance(value, bool | int) or (isinstance(value, float) and value - value == 0)):
        msg = f"{at}: can be compared with a string, a finite number, a boolean or None, found {value!r}"
        raise InvalidInputError(msg)


def _check_whole(value: object, *, at: str, least: int = 0) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        msg = f"{at}: must be a whole number of at least {least}, found {value!r}"
        raise InvalidInputError(msg)


def cut(instant: datetime) -> datetime:
    """*instant* in UTC and whole milliseconds, as it will come back."""
    return clock.from_milliseconds(clock.to_milliseconds(instant))
