"""Records, ids and JSON values that the contracts are tried with: short to write, and awkward where backends go wrong.

Knows the kinds; must not know any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mastra_core.storage.records.changes import Change, Save
from mastra_core.storage.records.kind import Json, Kind
from mastra_core.storage.records.kinds import KINDS, MESSAGES, THREADS, Message, Resource, Thread
from mastra_core.storage.records.query import Is

T0 = datetime(2024, 2, 29, 23, 59, 59, 999000, UTC)


def at(milliseconds: int) -> datetime:
    """An instant *milliseconds* after T0."""
    return T0 + timedelta(milliseconds=milliseconds)


def a_thread(
    id: str = "t",
    *,
    resource_id: str = "r",
    title: str = "",
    metadata: Mapping[str, Json] | None = None,
    created: int = 0,
    updated: int | None = None,
) -> Thread:
    """A thread; *created* and *updated* in milliseconds after T0, *updated* the same as *created* unless given."""
    return Thread(
        id=id,
        resource_id=resource_id,
        title=title,
        metadata=metadata,
        created_at=at(created),
        updated_at=at(created if updated is None else updated),
    )


def a_message(
    id: str = "m", *, thread_id: str = "t", resource_id: str | None = "r", created: int = 0, content: Json = None, role: str = "user"
) -> Message:
    """A message; *created* in milliseconds after T0, *content* a text part that names it unless given."""
    said = {"format": 2, "parts": [{"type": "text", "text": f"I am {id}"}]} if content is None else content
    return Message(id=id, thread_id=thread_id, resource_id=resource_id, role=role, content=said, created_at=at(created))


def a_resource(
    id: str = "r", *, working_memory: str | None = None, metadata: Mapping[str, Json] | None = None, updated: int = 0
) -> Resource:
    """A resource, created at T0."""
    return Resource(id=id, working_memory=working_memory, metadata=metadata, created_at=T0, updated_at=at(updated))


def kind_of(record: Any) -> Kind[Any]:
    """The kind that *record* is of."""
    return next(kind for kind in KINDS if kind.record is type(record))


def turn(thread: Thread, messages: Sequence[Message], *, now: int) -> list[Change]:
    """What an agent run writes: the thread if it is missing, its owner checked and its time raised, and the messages."""
    touch = Save(THREADS, thread, only=(), raise_to={"updated_at": at(now)}, when=(Is(("resource_id",), thread.resource_id),), answer=False)
    return [touch, *(Save(MESSAGES, message, when=(Is(("thread_id",), message.thread_id),)) for message in messages)]


AWKWARD_IDS: tuple[str, ...] = (
    "with space", " ", "trailing ", "a:b:c", "t:", "{t}", "a{b", "#", "a#b", "a/b", "../a", "a\\b", "it's", 'say "so"', "100%", "%s",
    "_", "a_b", "*", "?[a]", "line\nbreak", "tab\t", "\r", "\x01", "\x7f", "null", "None", "0", "-1", "1e3", "true", "__proto__",
    "; DROP TABLE mastra_threads --", "$.a", "$a", ".", "@", "é", "e\u0301", "日本語", "\u2028", "\u200b", "\ufeff", "\uffff", "😀",
    "👩‍👩‍👧", "x" * 255, "é" * 255, "😀" * 225,
)  # fmt: skip
"""Ids that a user may well have, no two of which differ by case alone."""

IN_ORDER: tuple[str, ...] = ("-", "0", "10", "9", "_", "a", "a ", "a-", "a:", "aa", "b", "é", "日", "\uff5e", "😀")
"""Ids ascending by code point: no numbers, no locale, no UTF-16."""

JSON_VALUES: Mapping[str, Json] = {
    "empty_list": [],
    "empty_object": {},
    "null": None,
    "empty_text": "",
    "yes": True,
    "no": False,
    "one": 1,
    "zero": 0,
    "negative": -7,
    "sum": 0.1 + 0.2,
    "seventeen_digits": 1.2345678901234567,
    "tiny": 5e-324,
    "small": 1.2345678901234567e-07,
    "past_doubles": 2**53 + 1,
    "largest_64_bit": 2**63 - 1,
    "smallest_64_bit": -(2**63),
    "digits": "123",
    "like_json": '{"a": [1, 2]}',
    "like_a_list": "[]",
    "like_a_time": "2024-01-01T00:00:00.000Z",
    "quotes": "\"'`\\",
    "breaks": "a\nb\r\tc\u2028\u2029",
    "controls": "\x01\x1f\x7f",
    "unicode": "é e\u0301 日本語 😀 👩‍👩‍👧 \ufeff\uffff",
    "mixed": [1, "1", True, None, [], {}, [[]], [{}], {"a": []}],
    "nested": {"a": {"b": {"c": [{"d": None}]}}},
    "awkward.keys": {
        "": 1,
        ".": 2,
        "$": 3,
        "a.b": 4,
        "$a": 5,
        'q"': 6,
        "'": 7,
        "\\": 8,
        " ": 9,
        "é": 10,
        "😀": 11,
        "__proto__": 12,
        "0": 13,
        "#": 14,
        ":": 15,
    },
}
"""JSON that must come back equal, metadata and message content alike."""

ANY_UNICODE: Mapping[str, Json] = {"nul": "a\0b", "high": "\ud83d", "low": "x\udc00y", "reversed": "\ude00\ud83d", "key \0 \ud800": "\0"}
"""What message content alone may hold: U+0000 and lone surrogates (JavaScript strings have them)."""
