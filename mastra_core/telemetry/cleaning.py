"""What may be kept of a value: JSON of bounded size, without secrets, and without what a user's function takes out (contract §7.3).

Knows values. Must not know spans or OpenTelemetry.
"""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Json
from mastra_core.telemetry.options import MAX_ATTRIBUTE_BYTES, Redact
from mastra_core.telemetry.tracing import Said

log = logging.getLogger("mastra_core.telemetry")

MAX_DEPTH = 8
MAX_ITEMS = 50
MAX_NAMES = 2048
TRUNCATED = "…[truncated]"
TOO_DEEP = "[MaxDepth]"
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
        return _clean(value, [self.max_attribute_bytes], 0) or None

    def name(self, text: str) -> str:
        """What is kept of a name or an id: at most 255 characters."""
        return text if len(text) <= 255 and text.isascii() and "\x00" not in text else _text(text[:255], [1 << 62], 0)

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
    return _CLEANING.get(type(value), _of_any_type)(value, left, depth)


def _same(value: bool | None, left: list[int], depth: int) -> Json:  # noqa: ARG001, FBT001  # as all in _CLEANING
    return value


def _whole(value: int, left: list[int], depth: int) -> int | str:  # noqa: ARG001  # as all in _CLEANING
    """*value*, if it is in the range that every backend holds."""
    return value if -(2**63) <= value < 2**63 else str(value)


def _of_any_type(value: object, left: list[int], depth: int) -> Json:
    if isinstance(value, str):
        return _text(value, left, depth)
    if isinstance(value, int):
        return _whole(int(value), left, depth)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        return clock.to_text(value) if value.tzinfo is not None else value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping):
        return _object(value, left, depth)
    if isinstance(value, Sequence | AbstractSet):
        return _list(value, left, depth)
    return "[Function]" if callable(value) else f"[{type(value).__name__}]"


def _object(value: Mapping[Any, Any], left: list[int], depth: int) -> dict[str, Json] | str:
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    made: dict[str, Json] = {}
    room = left[0]
    for key, held in value.items() if len(value) <= MAX_ITEMS else itertools.islice(value.items(), MAX_ITEMS):
        text = key if type(key) is str else str(key)
        size, kind = _SIZES[text], type(held)
        if kind is str and size is not None and size + len(held) <= room and held.isascii() and "\x00" not in held:
            # Nearly every member of what was said is such a one, and a call for each took as long again.
            room -= size + len(held)
            made[text] = held
            continue
        if kind is int and size is not None and size <= room and -(2**63) <= held < 2**63:
            room -= size
            made[text] = held
            continue
        left[0] = room
        if size is not None and size <= room:
            left[0] -= size
            made[text] = _CLEANING.get(kind, _of_any_type)(held, left, depth + 1)
        else:
            name = _text(text, left, depth)
            made[name] = REDACTED if held is not None and _is_secret(text) else _clean(held, left, depth + 1)
        room = left[0]
    left[0] = room
    if len(value) > MAX_ITEMS:
        made["__truncated"] = f"{len(value) - MAX_ITEMS} more keys omitted"
    return made


class _Sizes(dict[str, int | None]):
    """The bytes of names that can be kept as they are, value and all; None for others. Most names come again and again."""

    def __missing__(self, name: str) -> int | None:
        if len(self) >= MAX_NAMES:
            self.clear()
        found = self[name] = len(name) if name.isascii() and "\x00" not in name and not _is_secret(name) else None
        return found


_SIZES = _Sizes()


def _is_secret(name: str) -> bool:
    return _SEPARATORS.sub("", name).lower() in SECRETS


def _list(value: Sequence[object] | AbstractSet[object], left: list[int], depth: int) -> list[Json] | str:
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    if len(value) <= MAX_ITEMS:
        return [_CLEANING.get(type(held), _of_any_type)(held, left, depth + 1) for held in value]
    kept = [_clean(held, left, depth + 1) for held in itertools.islice(value, MAX_ITEMS)]
    return [*kept, f"[…{len(value) - MAX_ITEMS} more items]"]


def _said(said: Said, left: list[int], depth: int) -> list[Json] | str:
    """Texts looked at all together, which a prompt has many of; one by one if not all can be kept as they are."""
    whole = "".join(said.texts)
    try:
        size = len(whole.encode())
    except UnicodeEncodeError:
        size = left[0] + 1
    if size > left[0] or "\x00" in whole or len(said.objects) > MAX_ITEMS or depth + 1 >= MAX_DEPTH:
        return _list(said.objects, left, depth)
    left[0] -= size
    return said.objects


def _text(text: str, left: list[int], depth: int) -> str:  # noqa: ARG001  # as all in _CLEANING
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


_CLEANING: dict[type, Callable[[Any, list[int], int], Json]] = {
    str: _text, dict: _object, list: _list, int: _whole, bool: _same, type(None): _same, Said: _said,
}  # fmt: skip
"""How values of these very types are cleaned, which most of a span is: telling what is a Mapping takes as long as cleaning a text."""
