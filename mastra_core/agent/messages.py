"""Messages between users, the store and the model: input as users give it, content as it is stored (contract §4), text as a model sees it.

Knows the stored format of content and text parts. Must not know stores, models or agents. Tools and files are not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NotRequired, TypedDict

import attrs

from mastra_core import clock
from mastra_core.agent.model import ModelMessage, Role
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message


class InputMessage(TypedDict):
    """A message as the chat APIs of model providers write it."""

    role: str
    content: str | Sequence[Mapping[str, Json]]
    id: NotRequired[str]


Input = str | Message | Mapping[str, Any] | Sequence[str | Message | Mapping[str, Any]]
"""What an agent can be given: a text of the user, a message, or several."""

ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
"""The roles that input may have."""

_WAYS = 'a text, {"role": "user", "content": "…"}, a Message, or a list of these'


def read_input(given: Input, *, now: datetime) -> tuple[Message, ...]:
    """*given* as messages of no thread yet, with ids; the texts in it are the user's.

    Raises:
        InvalidInputError: it is something else, holds more than text, or holds no message to answer.
    """
    several: Sequence[Any] = [given] if isinstance(given, str | Message | Mapping) else _list(given)
    messages = tuple(_message(one, at=f"input[{index}]" if len(several) > 1 else "input", now=now) for index, one in enumerate(several))
    if all(message.role == "system" for message in messages):
        msg = f"input: there is no message to answer in {len(messages)} given; pass {_WAYS}"
        raise InvalidInputError(msg)
    ids = [message.id for message in messages if message.id]
    if len(set(ids)) < len(ids):
        msg = f"input: two messages have the id {next(i for i in ids if ids.count(i) > 1)!r}; give each its own, or none"
        raise InvalidInputError(msg)
    return messages


def text_content(text: str, *, at: datetime, metadata: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Content of one text part that was made *at* this instant, as it is stored."""
    part = {"type": "text", "text": text, "createdAt": clock.to_milliseconds(at)}
    content: dict[str, Json] = {"format": 2, "parts": [part], "content": text}
    return content if metadata is None else content | {"metadata": dict(metadata)}


def text_of(message: Message) -> str:
    """What *message* says: its text parts, a line each; "" when it says nothing in words."""
    content = message.content
    if not isinstance(content, Mapping):
        return ""
    parts = [part for part in content.get("parts") or () if isinstance(part, Mapping)]
    if not parts:
        mirror = content.get("content")
        return mirror if isinstance(mirror, str) else ""
    return "\n".join(part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str))


def prompt(*, instructions: str, history: Iterable[Message], new: Sequence[Message]) -> tuple[ModelMessage, ...]:
    """What the model is asked: the instructions, system messages of the input, the history, the rest of the input.

    Of the history, stored system messages, messages without text and those that the input has again are left out.
    """
    again = {message.id for message in new}
    remembered = [message for message in history if message.role in {"user", "assistant"} and message.id not in again]
    system = [message for message in new if message.role == "system"]
    said = [message for message in new if message.role != "system"]
    shown = [ModelMessage(role=ROLES[message.role], text=text) for message in [*system, *remembered, *said] if (text := text_of(message))]
    return (*([ModelMessage(role="system", text=instructions)] if instructions else ()), *shown)


def since_last_answer(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Of input for a thread that exists: what follows its last assistant message, and the system messages. The rest echoes the thread.

    Raises:
        InvalidInputError: nothing follows.
    """
    last = max((index for index, message in enumerate(messages) if message.role == "assistant"), default=-1)
    kept = tuple(message for index, message in enumerate(messages) if index > last or message.role == "system")
    if all(message.role == "system" for message in kept):
        msg = "input: it ends with an assistant message, so the thread has no new message to answer; add the user's"
        raise InvalidInputError(msg)
    return kept


def _list(given: object) -> Sequence[Any]:
    if isinstance(given, bytes | bytearray) or not isinstance(given, Sequence):
        msg = f"input: must be {_WAYS}; found {type(given).__name__}"
        raise InvalidInputError(msg)
    return given


def _message(given: object, *, at: str, now: datetime) -> Message:
    if isinstance(given, str):
        return _said(given, role="user", at=at, now=now)
    if isinstance(given, Message):
        _check_role(given.role, at=at)
        _check_parts(given, at=at)
        return given
    if not isinstance(given, Mapping):
        msg = f"{at}: must be {_WAYS}; found {type(given).__name__}"
        raise InvalidInputError(msg)
    unknown = [name for name in given if name not in {"role", "content", "id"}]
    if unknown or "role" not in given or "content" not in given:
        msg = f"{at}: a message has the keys 'role', 'content' and, if wanted, 'id'; found {list(given)}"
        raise InvalidInputError(msg + ("; tools and files are not supported yet" if unknown else ""))
    _check_role(given["role"], at=at)
    said = _said(_text(given["content"], at=f"{at}.content"), role=given["role"], at=at, now=now)
    return said if given.get("id") is None else attrs.evolve(said, id=given["id"])


def _said(text: str, *, role: str, at: str, now: datetime) -> Message:
    if not text and role != "assistant":
        msg = f"{at}: the text is empty; there is nothing to answer"
        raise InvalidInputError(msg)
    return Message(id="", thread_id="", role=role, content=text_content(text, at=now))


def _check_role(role: object, *, at: str) -> None:
    if not isinstance(role, str) or role not in ROLES:
        msg = f"{at}: the role must be one of {list(ROLES)}, found {role!r}; tools are not supported yet"
        raise InvalidInputError(msg)


def _check_parts(message: Message, *, at: str) -> None:
    content = message.content
    parts = content.get("parts") if isinstance(content, Mapping) else None
    if not isinstance(parts, list):
        msg = f'{at}: the content of Message {message.id!r} must be {{"format": 2, "parts": […]}}, found {type(content).__name__}'
        raise InvalidInputError(msg)
    other = [part.get("type") if isinstance(part, Mapping) else part for part in parts if not _is_text(part)]
    if other:
        msg = f"{at}: Message {message.id!r} has parts of the type {other[0]!r}; only text parts are supported yet"
        raise InvalidInputError(msg)
    if not text_of(message) and message.role != "assistant":
        msg = f"{at}: Message {message.id!r} has no text; there is nothing to answer"
        raise InvalidInputError(msg)


def _text(content: object, *, at: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and content and all(_is_text(part) for part in content):
        return "\n".join(part["text"] for part in content)
    msg = (
        f'{at}: must be a text or a list of {{"type": "text", "text": "…"}}; found {_shape(content)}. Tools and files are not supported yet'
    )
    raise InvalidInputError(msg)


def _is_text(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _shape(content: object) -> str:
    if isinstance(content, Sequence) and not isinstance(content, bytes):
        return f"parts of the types {[part.get('type') if isinstance(part, Mapping) else type(part).__name__ for part in content]}"
    return type(content).__name__
