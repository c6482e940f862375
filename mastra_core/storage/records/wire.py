r"""Records to stored JSON and back: the one place where values become text.

* JSON is written compactly, as `JSON.stringify` would: no spaces, Unicode as it is, no NaN.
* U+0000 is always a `\u0000` escape inside JSON, and a lone surrogate a `\udXXX` escape, so that the text is valid UTF-8 everywhere.
* Times are `YYYY-MM-DDTHH:MM:SS.mmmZ`.
* A `json` field that holds a string of JSON is unwrapped: TypeScript encodes some columns twice (contract §3.3, §3.5).

Knows kinds and their fields; must not know any database.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from mastra_core import clock
from mastra_core.errors import InvalidInputError, StoredDataError
from mastra_core.storage.records.changes import Change, Patch, Save
from mastra_core.storage.records.kind import Field, Json, Key, Kind, R, Shape

_SURROGATES = re.compile("[\ud800-\udfff]")
_SCALARS = frozenset({str, int, float, bool, type(None)})
SHAPES: Mapping[Shape, Any] = {"object": Mapping, "list": list | tuple}
"""What Python has for each shape of JSON."""
_TODAYS_CONTENT = '{"format":2'


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        msg = f"the number {text} is too large"
        raise ValueError(msg)
    return value


_DECODE = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).decode
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def dump_json(value: Json, *, at: str, any_unicode: bool = False) -> str:
    """*value* as compact JSON text that comes back equal.

    Args:
        value: None, bool, int, float, str, and lists and string-keyed mappings of these.
        at: the field, for messages, such as `mastra_threads.metadata`.
        any_unicode: whether U+0000 and lone surrogates are kept (as escapes) or refused.

    Raises:
        InvalidInputError: something JSON cannot hold, with the path to it.
    """
    try:
        quick = _dumped_plain(value, any_unicode=any_unicode)
        if quick is not None:
            return quick
        text = _ENCODE(_checked(value, at, any_unicode=any_unicode))
    except RecursionError as error:
        msg = f"{at}: nested too deeply for JSON (or containing itself); flatten it before saving"
        raise InvalidInputError(msg) from error
    except ValueError as error:
        if isinstance(error, InvalidInputError):
            raise
        msg = f"{at}: cannot be written as JSON ({error}); store such a number as a string"
        raise InvalidInputError(msg) from error
    return _SURROGATES.sub(_escaped, text) if any_unicode else text


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _dumped_plain(value: Json, *, any_unicode: bool) -> str | None:
    """The text of *value*, if nothing about it calls for a closer look."""
    try:
        text = _ENCODE(value) if _is_plain(value) else None
    except ValueError:
        return None
    if text is None or text.isascii():
        return None if text is None or (not any_unicode and "\\u0000" in text) else text
    if any_unicode:
        return _SURROGATES.sub(_escaped, text)
    return None if "\\u0000" in text or _SURROGATES.search(text) else text


def _is_plain(value: Json) -> bool:
    """Whether *value* is made of JSON's own Python types, so that the encoder writes it as it is; most are, and need no closer look."""
    if type(value) is dict:
        for name, held in value.items():  # noqa: SIM110  # a generator takes twice the time
            if type(name) is not str or not (type(held) in _SCALARS or _is_plain(held)):
                return False
        return True
    if type(value) is list:
        for held in value:  # noqa: SIM110  # the same
            if not (type(held) in _SCALARS or _is_plain(held)):
                return False
        return True
    return type(value) in _SCALARS


def _checked(value: Json, at: str, *, any_unicode: bool) -> Json:
    """*value* with mappings as dicts and tuples as lists; refuses what would not come back equal."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if not any_unicode:
            check_text(value, at=at)
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            msg = f"{at}: {value!r} is no JSON number; store None or a string instead"
            raise InvalidInputError(msg)
        return value
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                msg = f"{at}: the key {name!r} is a {type(name).__name__}; JSON keys are strings, so write {str(name)!r}"
                raise InvalidInputError(msg)
            if not any_unicode:
                check_text(name, at=f"{at} (a key)")
        return {name: _checked(held, f"{at}.{name}", any_unicode=any_unicode) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(held, f"{at}[{index}]", any_unicode=any_unicode) for index, held in enumerate(value)]
    msg = f"{at}: a {type(value).__name__} cannot be stored as JSON; convert it first (a datetime: its isoformat(), a set: a list)"
    raise InvalidInputError(msg)


def check_text(text: str, *, at: str) -> None:
    """Refuse what not every backend can store in plain text.

    Raises:
        InvalidInputError: *text* has U+0000 or a lone surrogate.
    """
    if "\0" in text:
        msg = f"{at}: holds U+0000 at position {text.index(chr(0))}, which not every database can store; remove it"
        raise InvalidInputError(msg)
    if not text.isascii() and (found := _SURROGATES.search(text)):
        msg = f"{at}: holds the lone surrogate U+{ord(found[0]):04X} at position {found.start()}, which is no Unicode text; remove it"
        raise InvalidInputError(msg)


def load_json(text: str | bytes, *, kind: str, key: Key, field: str) -> Json:
    """The value of stored JSON text.

    Raises:
        StoredDataError: it is no JSON.
    """
    try:
        return _DECODE(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError) as error:
        raise undecodable(kind, key, field, text, f"is no JSON ({error})") from error


def decode_json(text: str) -> Json:
    """The value of JSON text.

    Raises:
        ValueError, RecursionError: it is no JSON.
    """
    return _DECODE(text)


def unwrapped(value: Json) -> Json:
    """*value*, or the object or list that it holds as a string of JSON."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return _DECODE(value)
        except (ValueError, RecursionError):
            return value
    return value


def shaped(field: Field, value: Json) -> Json:
    """*value*, if it has the shape that *field* is declared with, or is a null that it may be.

    Raises:
        ValueError: it has another.
    """
    if field.shape is None or (value is None and field.optional) or isinstance(value, SHAPES[field.shape]):
        return value
    msg = f"it is no JSON {field.shape}"
    raise ValueError(msg)


def lenient_json(text: str) -> Json:
    """The value of JSON text, or *text* itself: message content of old rows is plain text (contract §4.5).

    Raises:
        ValueError, RecursionError: it begins as today's content does and is no JSON, so it was damaged.
    """
    if text[:1] not in {"{", "[", '"'}:
        return text
    try:
        return _DECODE(text)
    except (ValueError, RecursionError):
        if text.startswith(_TODAYS_CONTENT):
            raise
        return text


def undecodable(kind: str, key: Key, field: str, found: object, why: str) -> StoredDataError:
    """The error for a stored value that cannot be decoded; shows at most 60 characters of it."""
    shown = repr(found)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return StoredDataError(f"{kind} {'/'.join(key)}: field {field} {why}; found {shown}. Mend or delete this record in the database.")


def to_document(kind: Kind[R], record: R) -> dict[str, Json]:
    """*record* as a JSON object with stored names; fields that are None are left out, as `JSON.stringify` leaves out undefined ones.

    Raises:
        InvalidInputError: a JSON field holds what JSON cannot.
    """
    document = {}
    for field in kind.fields:
        value = getattr(record, field.name)
        if value is None:
            continue
        at = f"{kind.name}.{field.name}"
        if field.type == "time":
            value = clock.to_text(value)
        elif field.type in {"json", "json_text"}:
            value = _checked(value, at, any_unicode=field.type == "json_text")
        document[field.stored] = value
    return document


def check_values(change: Change) -> None:
    """Refuse a change whose values cannot be stored, before anything of a batch that need not be atomic is sent.

    Raises:
        InvalidInputError: a JSON field holds what JSON cannot.
    """
    if isinstance(change, Save):
        to_document(change.kind, change.record)
    elif isinstance(change, Patch):
        for name, value in (*change.put.items(), *change.merge.items()):
            field = change.kind.by_name[name]
            if field.type in {"json", "json_text"}:
                dump_json(value, at=f"{change.kind.name}.{name}", any_unicode=field.type == "json_text")


def from_document(kind: Kind[R], key: Key, document: object) -> R:
    """The record of a stored JSON object; names it does not know are passed over.

    Raises:
        StoredDataError: the record cannot be built, with kind, key and field.
    """
    if not isinstance(document, Mapping):
        raise undecodable(kind.name, key, "(the whole record)", document, "is no JSON object")
    values = {field.name: from_stored(kind, key, field, document.get(field.stored)) for field in kind.fields}
    return kind.record(**values)


def from_stored(kind: Kind[R], key: Key, field: Field, value: Any) -> Any:
    """The value of one field as a JSON document holds it."""
    if value is None:
        if field.absent is not None or field.optional:
            return field.absent
        raise undecodable(kind.name, key, field.name, value, "is missing")
    try:
        if field.type == "json":
            return shaped(field, unwrapped(value) if field.unwrap else value)
        if field.type == "json_text":
            return lenient_json(value) if isinstance(value, str) else value
        if field.type == "float" and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError, RecursionError) as error:
        raise undecodable(kind.name, key, field.name, value, f"cannot be decoded ({error})") from error
    if field.type == "bool" and isinstance(value, bool):
        return value
    if not isinstance(value, str) or field.type in {"bool", "float"}:
        raise undecodable(kind.name, key, field.name, value, f"is no {field.type}")
    return from_time_text(kind, key, field, value) if field.type == "time" else value


def from_time_text(kind: Kind[R], key: Key, field: Field, text: str) -> Any:
    """The instant of a stored time.

    Raises:
        StoredDataError: it is no ISO 8601 date and time.
    """
    try:
        return clock.from_text(text)
    except (ValueError, OverflowError) as error:
        raise undecodable(kind.name, key, field.name, text, "is no ISO 8601 date and time") from error
