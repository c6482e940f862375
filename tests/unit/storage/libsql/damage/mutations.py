"""Damage to one stored value: another type, lost or flipped bytes, JSON of another shape, numbers too large, text that is no UTF-8.

Knows bytes and JSON. Must not know what a value ought to be.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from mastra_core.storage.libsql.jsonb import jsonb_to_text
from mastra_core.storage.records.kind import Json

NUMBERS: tuple[Any, ...] = (
    0,
    1,
    -1,
    2,
    7,
    2**31,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    0.0,
    1.5,
    -0.5,
    1e308,
    5e-324,
    float("inf"),
    float("-inf"),
)
TEXTS: tuple[str, ...] = (
    "", " ", "0", "1", "true", "null", "NaN", "Infinity", "[NaN]", "1e999", "[1e999]", "-1e999", "[]", "{}", '""', '"x"', "[1]", '["x","y"]', "7", "-0",
    '{"a":1}', '{"a":', '{"tag":"b"}', '{"tag":1e999}', '{"format":2}', '{"format":2,"parts":7}', '{"format":2,"parts":[', '{"parts":[]}',
    '{"format":2,"parts":[],"metadata":{"tag":"b"}}', '"{\\"a\\":[1]}"', '"[1"', '{"a":1,"a":2}', '"\\ud800"', '{"k":"\\u0000"}', "{a:1}", "[1,]", "0x10",
    "[" * 1500 + "]" * 1500, '{"a":' * 1500 + "1" + "}" * 1500, "[" * 100_000, "9" * 5000, "[" + "9" * 5000 + "]", "9" * 400, "u1", "u2", "t1", "t2", "v2", "text",
    "x" * 300, "a\0b", "é😀", "\ufeff{}", '[{"type":"text"}]', '[{"type":"text","text":7}]', '[{"x":1}]', '[null,7,"x"]', '[{"type":"tool-call","toolCallId":"c"}]',
    '[{"type":"reasoning","text":"hm"},{"type":"tool-result","result":null}]', '{"status":"suspended","context":[]}', '{"status":["suspended"],"context":{"s":7}}',
)  # fmt: skip
TIMES: tuple[str, ...] = (
    "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.011Z", "1999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z",
    "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.500000Z", "2024-01-01 00:00:00.002Z", "2024-01-01T02:00:00.003+02:00",
    "2024-01-01T00:00:00.000", "2024-01-01", "2024-W01-1T00:00:00.123Z", "20240101T000000Z", "2024-02-30T00:00:00.000Z", "2024-01-01T24:00:00.000Z",
    "2024-01-01T00:00:60.000Z", "0000-01-01T00:00:00.000Z", "10000-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000+14:00", "now", "1704067200000",
    "2024-01-01T00:00:00,000Z", "２０２４-01-01T00:00:00.000Z", "2024-01-01t00:00:00.000z",
)  # fmt: skip
NOT_UTF8: tuple[bytes, ...] = (
    b"\xff",
    b"ab\xc3",
    b'{"a":"\xff"}',
    b'"\xed\xa0\x80"',
    b'{"tag":"b","x":"\xe9"}',
    b"\xc0\x80",
    b"2024-01-01T00:00:00.000Z\x80",
)
BLOBS: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\x0c",
    b"\x0b",
    b"\x17x",
    b"\x1c\x17",
    b"\xbb\x00",
    b"\x8f" + b"\xff" * 8,
    b"\x13a",
    b"\x559e999",
    b"\x4c\x17k\x131",
)


class Raw:
    """Text whose bytes may be no UTF-8, to be stored as text all the same."""

    def __init__(self, held: bytes) -> None:
        self.held = held

    def __repr__(self) -> str:
        """The bytes, told from those of a blob."""
        return f"Raw({self.held!r})"


class JsonB:
    """JSON to be stored as binary JSONB."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        """The JSON text."""
        return f"JsonB({self.text!r})"


Damage = Callable[[random.Random, Any], Any]
"""The damaged value, given the stored one (None, int, float, Raw for text, bytes)."""


def another_type(chance: random.Random, _: Any) -> Any:
    """A value of any storage class."""
    pick = chance.choice((None, *NUMBERS, *TEXTS, *TIMES, *NOT_UTF8, *BLOBS))
    if isinstance(pick, bytes):
        return pick if chance.random() < 0.5 else Raw(pick)
    return pick


def a_text(chance: random.Random, _: Any) -> Any:
    """Text that means something else."""
    return chance.choice(TEXTS)


def a_time(chance: random.Random, _: Any) -> Any:
    """Text that looks like a time."""
    return chance.choice(TIMES)


def cut(chance: random.Random, held: Any) -> Any:
    """The value without its end, or without a piece."""
    data = _bytes(held)
    start = chance.randrange(len(data) + 1)
    end = len(data) if chance.random() < 0.6 else min(len(data), start + chance.randint(1, 8))
    return _like(held, data[:start] + data[end:])


def flipped(chance: random.Random, held: Any) -> Any:
    """The value with one to three bits flipped."""
    data = bytearray(_bytes(held))
    for _ in range(chance.randint(1, 3) if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return _like(held, bytes(data))


def doubled(chance: random.Random, held: Any) -> Any:
    """The value with a piece of it twice, or with bytes put in."""
    data = _bytes(held)
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randint(1, 12)] if chance.random() < 0.5 else chance.randbytes(chance.randint(1, 4))
    return _like(held, data[:start] + piece + data[start:])


def reshaped(chance: random.Random, held: Any) -> Any:
    """JSON with another value somewhere inside, as text or as JSONB; of what is no JSON another text."""
    text = held.held if isinstance(held, Raw) else jsonb_to_text(held) if isinstance(held, bytes) else b""
    try:
        value = json.loads(text)
    except ValueError:
        return a_text(chance, held)
    changed = json.dumps(_with_another(chance, value))
    return JsonB(changed) if isinstance(held, bytes) and chance.random() < 0.8 else Raw(changed.encode())


DAMAGES: Sequence[Damage] = (another_type, another_type, a_text, a_time, cut, cut, flipped, flipped, flipped, doubled, reshaped, reshaped)


def _with_another(chance: random.Random, value: Json) -> Json:
    """*value* with a random node of it replaced."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        return {**value, name: _with_another(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], _with_another(chance, value[place]), *value[place + 1 :]]
    return chance.choice(
        (None, True, False, 0, 1, -1.5, 10**30, 1e308, "", "b", "[1]", '{"a":1}', "\0", [], {}, [[]], {"tag": "b"}, ["x"], "suspended")
    )


def _bytes(held: Any) -> bytes:
    if isinstance(held, Raw):
        return held.held
    return held if isinstance(held, bytes) else b"" if held is None else str(held).encode()


def _like(held: Any, data: bytes) -> Any:
    return data if isinstance(held, bytes) else Raw(data)
