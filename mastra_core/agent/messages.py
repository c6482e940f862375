"""Messages between users and the store: input as users give it, content as it is stored (contract §4).

Knows the stored format of content. Must not know stores, models or agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NotRequired, TypedDict

import attrs

from mastra_core import clock
from mastra_core.agent.input_calls import read_call, take_result
from mastra_core.agent.input_parts import PARTS, read_part
from mastra_core.agent.model import Role
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message


class InputMessage(TypedDict):
    """A message as the chat APIs of model providers write it."""

    role: str
    content: str | Sequence[Mapping[str, Any]] | None
    id: NotRequired[str]
    tool_calls: NotRequired[Sequence[Mapping[str, Any]]]
    tool_call_id: NotRequired[str]


Input = str | Message | Mapping[str, Any] | Sequence[str | Message | Mapping[str, Any]]
"""What an agent can be given: a text of the user, a message, or several."""

ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
"""The roles that input may have."""

_WAYS = 'a text, {"role": "user", "content": "…"}, a Message, or a list of these'


def read_input(given: Input, *, now: datetime) -> tuple[Message, ...]:
    """*given* as messages of no thread yet, with ids; the texts in it are the user's.

    Raises:
        InvalidInputError: it is something else, or holds no message to answer.
    """
    several: Sequence[Any] = [given] if isinstance(given, str | Message | Mapping) else _list(given)
    messages: list[Message] = []
    for index, one in enumerate(several):
        at = f"input[{index}]" if len(several) > 1 else "input"
        if isinstance(one, Mapping) and one.get("role") == "tool":
            take_result(messages, one, at=at)
        else:
            messages.append(_message(one, at=at, now=now))
    if all(message.role == "system" for message in messages):
        msg = f"input: there is no message to answer in {len(messages)} given; pass {_WAYS}"
        raise InvalidInputError(msg)
    ids = [message.id for message in messages if message.id]
    if len(set(ids)) < len(ids):
        msg = f"input: two messages have the id {next(i for i in ids if ids.count(i) > 1)!r}; give each its own, or none"
        raise InvalidInputError(msg)
    return tuple(messages)


def text_content(text: str, *, at: datetime) -> dict[str, Json]:
    """Content of one text part that was made *at* this instant, as it is stored."""
    part = {"type": "text", "text": text, "createdAt": clock.to_milliseconds(at)}
    return {"format": 2, "parts": [part], "content": text}


def parts_content(parts: Sequence[Mapping[str, Json]], *, at: datetime) -> dict[str, Json]:
    """Content of *parts* that were made *at* this instant, as it is stored: files are mirrored as attachments."""
    made = clock.to_milliseconds(at)
    content: dict[str, Json] = {"format": 2, "parts": [{**part, "createdAt": made} for part in parts]}
    files = [
        {"url": part["data"], "contentType": part["mimeType"]} | ({"name": part["filename"]} if "filename" in part else {})
        for part in parts
        if part["type"] == "file"
    ]
    if files:
        content["experimental_attachments"] = files
    return content | {"content": "\n".join(part["text"] for part in parts if part["type"] == "text")}


def parts_of(message: Message) -> list[Mapping[str, Any]]:
    """The parts of *message*; none for old plain content."""
    content = message.content
    parts = content.get("parts") if isinstance(content, Mapping) else None
    return [part for part in parts or () if isinstance(part, Mapping)]


def text_of(message: Message) -> str:
    """What *message* says: its text parts, a line each; "" when it says nothing in words."""
    parts = parts_of(message)
    if not parts:
        mirror = message.content.get("content") if isinstance(message.content, Mapping) else None
        return mirror if isinstance(mirror, str) else ""
    return "\n".join(part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str))


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
    # The client of a provider writes out every field of its answers, empty ones too.
    unknown = [name for name, value in given.items() if name not in InputMessage.__annotations__ and value not in (None, [])]
    if unknown or "role" not in given or ("content" not in given and not given.get("tool_calls")):
        known = list(InputMessage.__annotations__)
        msg = f"{at}: a message has the keys 'role', 'content' and, if wanted, others of {known}; found {unknown or list(given)}"
        raise InvalidInputError(msg)
    _check_role(given["role"], at=at)
    said = _with_parts(given, at=at, now=now)
    return said if given.get("id") is None else attrs.evolve(said, id=given["id"])


def _with_parts(given: Mapping[str, Any], *, at: str, now: datetime) -> Message:
    role, content, calls = given["role"], given.get("content"), given.get("tool_calls")
    if isinstance(content, str) and not calls:
        return _said(content, role=role, at=at, now=now)
    if content is not None and (isinstance(content, bytes) or not isinstance(content, str | Sequence)):
        msg = f"{at}.content: must be a text or a list of parts ({PARTS}); found {type(content).__name__}"
        raise InvalidInputError(msg)
    given_parts = [content] if isinstance(content, str) else content or ()
    parts = [read_part(part, at=f"{at}.content[{index}]") for index, part in enumerate(given_parts)]
    if calls and role != "assistant":
        msg = f"{at}: only an assistant message has 'tool_calls', found role {role!r}"
        raise InvalidInputError(msg)
    parts += [read_call(call, at=f"{at}.tool_calls[{index}]") for index, call in enumerate(calls or ())]
    if not parts and role != "assistant":
        msg = f"{at}.content: it is empty; there is nothing to answer"
        raise InvalidInputError(msg)
    return Message(id="", thread_id="", role=role, content=parts_content(parts, at=now))


def _said(text: str, *, role: str, at: str, now: datetime) -> Message:
    if not text and role != "assistant":
        msg = f"{at}: the text is empty; there is nothing to answer"
        raise InvalidInputError(msg)
    return Message(id="", thread_id="", role=role, content=text_content(text, at=now))


def _check_role(role: object, *, at: str) -> None:
    if not isinstance(role, str) or role not in ROLES:
        msg = f"{at}: the role must be one of {[*ROLES, 'tool']}, found {role!r}"
        raise InvalidInputError(msg)


def _check_parts(message: Message, *, at: str) -> None:
    content = message.content
    parts = content.get("parts") if isinstance(content, Mapping) else None
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) and isinstance(part.get("type"), str) for part in parts):
        msg = f'{at}: the content of Message {message.id!r} must be {{"format": 2, "parts": [{{"type": …}}, …]}}'
        raise InvalidInputError(msg)
    files = [part for part in parts if part["type"] == "file"]
    for part in files:
        if not isinstance(part.get("data") or part.get("url"), str):
            msg = f"{at}: a file part of Message {message.id!r} needs 'data', a URL or a data: URI; found {list(part)}"
            raise InvalidInputError(msg)
    if not files and not text_of(message) and message.role != "assistant":
        msg = f"{at}: Message {message.id!r} has neither text nor files; there is nothing to answer"
        raise InvalidInputError(msg)
