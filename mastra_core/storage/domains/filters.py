"""What list methods are asked for, as reads and conditions of the port: rules and their wording (contract §0.4, §0.5, §2.1.6).

Knows which fields of a kind hold metadata; must not know any engine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.paging import check_options
from mastra_core.storage.records.checks import check_id, check_time, cut
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import MESSAGES, Message
from mastra_core.storage.records.query import Between, Is, Where, Window

MAX_KEY_CHARACTERS = 128
"""The longest metadata key that can be asked for (contract §0.4)."""
_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_FORBIDDEN = frozenset({"__proto__", "prototype", "constructor"})


class Include(TypedDict, total=False):
    """A message wanted besides the page, with its neighbours in its own thread."""

    id: str
    thread_id: str
    with_previous_messages: int
    with_next_messages: int


class DateRange(TypedDict, total=False):
    """From when to when; both ends belong to it unless they are exclusive."""

    start: datetime
    end: datetime
    start_exclusive: bool
    end_exclusive: bool


class MessageFilter(TypedDict, total=False):
    """Which messages a list is about; both keys together mean both."""

    metadata: Mapping[str, Json]
    date_range: DateRange


class ThreadFilter(TypedDict, total=False):
    """Which threads a list is about; both keys together mean both."""

    resource_id: str
    metadata: Mapping[str, Json]


def thread_where(given: object) -> tuple[dict[str, str], Where]:
    """The place and the conditions of a thread filter.

    Raises:
        InvalidInputError: an unknown key, a bad id, or metadata that cannot be asked for.
    """
    if given is None:
        return {}, ()
    known = check_options(given, known=("resource_id", "metadata"), at="filter")
    at = {} if known.get("resource_id") is None else {"resource_id": check_id(known["resource_id"], at="filter.resource_id")}
    metadata = known.get("metadata")
    if metadata is None:
        return at, ()
    return at, tuple(Is(("metadata", name), value) for name, value in scalars(metadata).items())


def message_where(given: object, *, resource_id: str | None) -> tuple[Between | None, Where, tuple[Is, ...]]:
    """The range of created_at, every condition, and those that hold for neighbours too, of a message filter.

    Raises:
        InvalidInputError: an unknown key, a bad id, a naive time, or metadata that cannot be asked for.
    """
    scope = () if resource_id is None else (Is(("resource_id",), check_id(resource_id, at="resource_id")),)
    if given is None:
        return None, scope, scope
    known = check_options(given, known=("date_range", "metadata"), at="filter")
    metadata = known.get("metadata")
    where = () if metadata is None else tuple(Is(("content", "metadata", name), value) for name, value in scalars(metadata).items())
    span = None if known.get("date_range") is None else date_span(known["date_range"])
    return span, (*scope, *where), scope


def date_span(given: object, *, field: str = "created_at", at: str = "date_range") -> Between | None:
    """The range of *field* that start, end, start_exclusive and end_exclusive name; None for none of them.

    Raises:
        InvalidInputError: an unknown key or a naive time.
    """
    known = check_options(given, known=("start", "end", "start_exclusive", "end_exclusive"), at=at)
    low, high = (None if known.get(end) is None else cut(check_time(known[end], at=f"{at}.{end}")) for end in ("start", "end"))
    if low is None and high is None:
        return None
    low_open, high_open = bool(known.get("start_exclusive")), bool(known.get("end_exclusive"))
    return Between((field,), low=low, high=high, low_open=low_open, high_open=high_open)


def scalars(given: object, *, at: str = "filter.metadata") -> Mapping[str, Any]:
    """*given*, if it is a mapping of keys that can be asked for to scalars.

    Raises:
        InvalidInputError: it is none, a key breaks the rules, or a value is no scalar.
    """
    if not isinstance(given, Mapping):
        msg = f"{at}: must be a mapping of keys to values, found {given!r}"
        raise InvalidInputError(msg)
    for name, value in given.items():
        _check_key(name)
        if not (value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))):
            msg = f"Invalid metadata filter value for key {name!r}: {value!r}; ask for a string, a finite number, a boolean or None"
            raise InvalidInputError(msg)
    return given


def _check_key(name: object) -> None:
    code = "MASTRA_STORAGE_LIST_INVALID_METADATA_KEY"
    if not isinstance(name, str) or name in _FORBIDDEN:
        msg = f'Invalid metadata key: "{name}".'
        raise InvalidInputError(msg, code=code)
    if len(name) > MAX_KEY_CHARACTERS:
        msg = f'Metadata key "{name[:40]}…" exceeds maximum length of {MAX_KEY_CHARACTERS} characters.'
        raise InvalidInputError(msg, code=code)
    if _KEY.fullmatch(name) is None:
        msg = (
            f'Invalid metadata key: "{name}". Keys must start with a letter or underscore and contain only alphanumeric characters '
            "and underscores."
        )
        raise InvalidInputError(msg, code=code)


def thread_ids(thread_id: object) -> list[str]:
    """One id or several, each once, in the order given.

    Raises:
        InvalidInputError: none is given, or one is blank.
    """
    ids: list[Any] = [thread_id] if isinstance(thread_id, str) else list(id_list(thread_id, at="thread_id"))
    if not ids or any(not isinstance(i, str) or not i.strip() for i in ids):
        msg = f"threadId must be a non-empty string or array of non-empty strings, found {thread_id!r}"
        raise InvalidInputError(msg)
    return list(dict.fromkeys(ids))


def id_list(ids: object, *, at: str) -> Sequence[str]:
    """*ids*, if it is a sequence and no string.

    Raises:
        InvalidInputError: it is neither.
    """
    if isinstance(ids, str) or not isinstance(ids, Sequence):
        msg = f"{at}: must be a list of ids, found {ids!r}"
        raise InvalidInputError(msg)
    return ids


def window(wanted: object, scope: tuple[Is, ...]) -> Window[Message]:
    """The window that one entry of `include` asks for, of neighbours that meet *scope*.

    Raises:
        InvalidInputError: an unknown key or a bad id.
    """
    given = check_options(wanted, known=("id", "thread_id", "with_previous_messages", "with_next_messages"), at="include")
    before, after = given.get("with_previous_messages", 0), given.get("with_next_messages", 0)
    hint = {"thread_id": str(given["thread_id"])} if given.get("thread_id") else {}
    around = (check_id(given.get("id"), at="include.id"),)
    return Window(MESSAGES, "by_thread", around=around, before=before, after=after, where=scope, hint=hint)  # type: ignore[arg-type]  # checked by the guard
