"""SQLite's binary JSONB as JSON text, for SQLite libraries older than 3.45 (sqlite.org/jsonb.html, contract §3.2).

Knows the format alone. Numbers keep their digits, so that nothing is rounded.
"""

from __future__ import annotations

_WORDS = {0: "null", 1: "true", 2: "false"}
_NUMBERS = {3, 5}
_RAW_TEXT, _ESCAPED_TEXT, _RAW_TEXT_2 = 7, 8, 10
_ARRAY, _OBJECT = 11, 12
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def jsonb_to_text(blob: bytes) -> str | bytes:
    """The JSON text of *blob*, or *blob* itself if it is no JSONB."""
    try:
        text, end = _element(blob, 0)
    except (IndexError, ValueError, RecursionError):
        return blob
    return text if end == len(blob) else blob


def _element(blob: bytes, start: int) -> tuple[str, int]:
    kind, size, start = blob[start] & 15, blob[start] >> 4, start + 1
    if size > 11:
        width = 1 << (size - 12)
        size, start = int.from_bytes(blob[start : start + width], "big"), start + width
    end = start + size
    if end > len(blob):
        raise ValueError(end)
    if kind in _WORDS and not size:
        return _WORDS[kind], end
    if kind in _NUMBERS:
        return blob[start:end].decode("ascii"), end
    if kind in {_RAW_TEXT, _RAW_TEXT_2}:
        return '"' + "".join(_escaped(character) for character in blob[start:end].decode()) + '"', end
    if kind == _ESCAPED_TEXT:
        return '"' + blob[start:end].decode() + '"', end
    if kind in {_ARRAY, _OBJECT}:
        return _container(blob, start, end, is_object=kind == _OBJECT), end
    raise ValueError(kind)


def _escaped(character: str) -> str:
    return _ESCAPES.get(character) or (character if character >= " " else f"\\u{ord(character):04x}")


def _container(blob: bytes, start: int, end: int, *, is_object: bool) -> str:
    held = []
    while start < end:
        text, start = _element(blob, start)
        held.append(text)
    if start != end or (is_object and len(held) % 2):
        raise ValueError(start)
    if is_object:
        return "{" + ",".join(f"{name}:{value}" for name, value in zip(held[::2], held[1::2], strict=True)) + "}"
    return "[" + ",".join(held) + "]"
