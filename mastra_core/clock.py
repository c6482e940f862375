"""Time and new ids, from one place: aware UTC datetimes of whole milliseconds and UUIDv7.

Knows the two text forms of an instant. Must not know records, stores or databases.
"""

from __future__ import annotations

import binascii
import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_last = [0]
_last_lock = threading.Lock()
PLACE_BITS = 14
"""How many bits of an id tell the place of what it belongs to."""

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def now() -> datetime:
    """The current instant, aware, in UTC, cut to milliseconds."""
    return from_milliseconds(time.time_ns() // 1_000_000)


def nanoseconds() -> int:
    """The current instant in nanoseconds since 1970, as OpenTelemetry counts."""
    return time.time_ns()


def to_milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970, exact for every aware datetime."""
    return (instant - EPOCH) // MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The aware UTC datetime of *milliseconds* since 1970."""
    return EPOCH + MILLISECOND * milliseconds


def to_text(instant: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ`, the stored form (contract §0.5); *instant* must be aware."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat("T", "milliseconds")[:-6] + "Z"


def from_text(text: str) -> datetime:
    """The instant of an ISO 8601 text; without an offset it is taken as UTC, and it is cut to milliseconds.

    Raises:
        ValueError: *text* is no ISO 8601 date and time.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    elif instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    extra = instant.microsecond % 1000
    return instant if not extra else instant.replace(microsecond=instant.microsecond - extra)


def is_stored_form(text: str) -> bool:
    """Whether *text* has exactly the form that `to_text` writes, so that texts compare as instants."""
    return _TEXT.fullmatch(text) is not None


def new_id(*, within: str | None = None) -> str:
    """A UUIDv7: unique, and in one process later ids sort after earlier ones, also within a millisecond (RFC 9562 §6.2, method 2).

    Args:
        within: what the new thing belongs to, such as the id of a message's thread; `place_of` tells its place from the new id, so that
            a database spread over servers can find the thing by its id alone. 14 of the 74 random bits are its place then.
    """
    fresh = (time.time_ns() // 1_000_000) << 74 | int.from_bytes(os.urandom(10), "big") & ((1 << 74) - 1)
    with _last_lock:
        if fresh <= _last[0]:
            fresh = _last[0] + 1 + int.from_bytes(os.urandom(4), "big")
        if within is not None:
            fresh = (fresh | ((1 << PLACE_BITS) - 1)) - ((1 << PLACE_BITS) - 1) + (1 << PLACE_BITS) + place(within)
        _last[0] = fresh
    value = (fresh >> 74) << 80 | 0x7 << 76 | (fresh >> 62 & 0xFFF) << 64 | 0b10 << 62 | fresh & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def place(name: str) -> int:
    """One of 16,384 places, by the CRC-16 that Redis Cluster takes for the slot of a hash tag."""
    return binascii.crc_hqx(name.encode(), 0) & ((1 << PLACE_BITS) - 1)


def place_of(made: str) -> int | None:
    """The place in an id of the form that `new_id` makes; None for any other text. A hint: anybody may have made such an id."""
    return int(made[-4:], 16) & ((1 << PLACE_BITS) - 1) if _UUID7.fullmatch(made) else None
