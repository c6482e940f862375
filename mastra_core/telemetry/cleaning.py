"""What may be kept of a value: JSON of bounded size, without secrets, and without what a user's function takes out (contract §7.3).

Knows values. Must not know spans or OpenTelemetry.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Json
from mastra_core.telemetry.options import MAX_ATTRIBUTE_BYTES, Redact

log = logging.getLogger("mastra_core.telemetry")

MAX_DEPTH = 8
MAX_ITEMS = 50
TRUNCATED = "…[truncated]"
REDACTED = "[REDACTED]"
FAILED = "[REDACTION FAILED]"

SECRETS = frozenset(
    {
        "password", "passwd", "token", "accesstoken", "refreshtoken", "idtoken", "secret", "clientsecret", "apikey", "xapikey",
        "privatekey", "auth", "authorization", "bearer", "bearertoken", "jwt", "credential", "credentials", "cookie", "setcookie", "ssn",
    }
)  # fmt: skip
"""Names of what is never kept, without case, "_", "-" and "."."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SEPARATORS = re.compile(r"[_\-.\s]")


@attrs.frozen(kw_only=True)
class Cleaner:
    """Makes of any value one that a store takes.

    Attributes:
        redact_input: see Observability; likewise the others.
    """

    redact_input: Redact | None = None
    redact_output: Redact | None = None
    max_attribute_bytes: int = MAX_ATTRIBUTE_BYTES

    @property
    def redacts(self) -> bool:
        """Whether a user's function takes something out."""
        return self.redact_input is not None or self.redact_output is not None

    def input(self, value: object) -> Json:
        """What is kept of what a step got."""
        return self._kept(value, self.redact_input)

    def output(self, value: object) -> Json:
        """What is kept of what a step gave."""
        return self._kept(value, self.redact_output)

    def facts(self, value: Mapping[str, object]) -> Mapping[str, Json] | None:
        """What is kept of facts about a step; None if there are none."""
        return _object(value, [self.max_attribute_bytes], 0) or None

    def name(self, text: str) -> str:
        """What is kept of a name or an id: at most 255 characters."""
        return text if len(text) <= 255 and text.isascii() and "\x00" not in text else _text(text[:255], [1 << 62])

    def error(self, *, message: str, name: str | None = None, stack: str | None = None) -> Mapping[str, Json]:
        """What is kept of an error: its message and stack may quote what was said, so they are outputs."""
        kept: dict[str, object] = {"message": self.output(message)}
        if not isinstance(kept["message"], str):
            kept["message"] = REDACTED
        if name:
            kept["name"] = name
        if stack and self.redact_output is None:
            kept["stack"] = stack
        cleaned = self.facts(kept)
        assert cleaned is not None
        return cleaned

    def _kept(self, value: object, redact: Redact | None) -> Json:
        if value is None:
            return None
        if redact is not None:
            # Plain JSON first, whole, so that the function meets no object of ours and no text that is cut in the middle of a secret.
            value = _redacted(_clean(value, [1 << 62], 0), redact)
        return _clean(value, [self.max_attribute_bytes], 0)


def _redacted(value: Json, redact: Redact) -> Json:
    try:
        return redact(value)
    except Exception as error:  # noqa: BLE001  # whatever a user's function raises: the value it was to clean is not kept
        log.warning("a redaction function raised %s, so a marker is kept in place of the value; mend the function", type(error).__name__)
        return FAILED


def _clean(value: object, left: list[int], depth: int) -> Json:
    """*value* as JSON of at most *left* bytes of texts, which are counted down."""
    # What a span holds is mostly of these types, and telling what is a Mapping takes as long as cleaning a text.
    kind = type(value)
    if kind is str:
        return _text(value, left)  # type: ignore[arg-type]  # type() says nothing to mypy
    if kind is dict and depth < MAX_DEPTH:
        return _object(value, left, depth)  # type: ignore[arg-type]
    if kind is list and depth < MAX_DEPTH:
        return _list(value, left, depth)  # type: ignore[arg-type]
    if kind is bool or value is None:
        return value
    if kind is int:
        return _whole(value)  # type: ignore[arg-type]
    return _of_any_type(value, left, depth)


def _whole(value: int) -> int | str:
    """*value*, if it is in the range that every backend holds."""
    return value if -(2**63) <= value < 2**63 else str(value)


def _of_any_type(value: object, left: list[int], depth: int) -> Json:
    if isinstance(value, str):
        return _text(value, left)
    if isinstance(value, int):
        return _whole(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return clock.to_text(value) if value.tzinfo is not None else value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping | Sequence | AbstractSet):
        if depth >= MAX_DEPTH:
            return "[MaxDepth]"
        return _object(value, left, depth) if isinstance(value, Mapping) else _list(value, left, depth)
    return "[Function]" if callable(value) else f"[{type(value).__name__}]"


def _object(value: Mapping[Any, object], left: list[int], depth: int) -> dict[str, Json]:
    made: dict[str, Json] = {}
    room = left[0]
    for key, held in value.items() if len(value) <= MAX_ITEMS else itertools.islice(value.items(), MAX_ITEMS):
        text = key if type(key) is str else str(key)
        size = _harmless(text)
        if size is not None and type(held) is str and size + len(held) <= room and held.isascii() and "\x00" not in held:
            # Nearly every member of what was said is such a one, and a call for each took as long again.
            room -= size + len(held)
            made[text] = held
            continue
        left[0] = room
        if size is not None and size <= room:
            left[0] -= size
            made[text] = _clean(held, left, depth + 1)
        else:
            name = _text(text, left)
            made[name] = REDACTED if held is not None and _is_secret(text) else _clean(held, left, depth + 1)
        room = left[0]
    left[0] = room
    if len(value) > MAX_ITEMS:
        made["__truncated"] = f"{len(value) - MAX_ITEMS} more keys omitted"
    return made


@functools.lru_cache(maxsize=2048)
def _harmless(name: str) -> int | None:
    """The bytes of a name that can be kept as it is, value and all; None for others. Most names come again and again."""
    return len(name) if name.isascii() and "\x00" not in name and not _is_secret(name) else None


def _is_secret(name: str) -> bool:
    return _SEPARATORS.sub("", name).lower() in SECRETS


def _list(value: Sequence[object] | AbstractSet[object], left: list[int], depth: int) -> list[Json]:
    if len(value) <= MAX_ITEMS:
        return [_clean(held, left, depth + 1) for held in value]
    kept = [_clean(held, left, depth + 1) for held in itertools.islice(value, MAX_ITEMS)]
    return [*kept, f"[…{len(value) - MAX_ITEMS} more items]"]


def _text(text: str, left: list[int]) -> str:
    size = len(text)
    if size <= left[0] and text.isascii() and "\x00" not in text:
        left[0] -= size
        return text
    if left[0] <= 0 and text:
        return TRUNCATED
    # A character has a byte or more: what is surely too long is not encoded whole.
    cut = _UNSTORABLE.sub("\ufffd", text[: left[0] + 1])
    encoded = cut.encode()
    fits = len(encoded) <= left[0]
    kept = cut if fits else encoded[: left[0]].decode(errors="ignore") + TRUNCATED
    left[0] -= len(encoded) if fits else left[0]
    return kept
