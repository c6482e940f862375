"""Tool calls in input, as the chat APIs of providers write them: an assistant's calls, and their results in messages of their own.

Knows both forms. Must not know models, agents or stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message
from mastra_core.storage.records.wire import decode_json


def read_call(given: object, *, at: str) -> dict[str, Json]:
    """A call as a stored part that has no result yet.

    Raises:
        InvalidInputError: it is none, or its arguments are no JSON object.
    """
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(function, Mapping) or not isinstance(given.get("id"), str):
        msg = f'{at}: a call is {{"id": "…", "function": {{"name": "…", "arguments": "{{…}}"}}}}; found {given!r}'
        raise InvalidInputError(msg)
    arguments = function.get("arguments") or "{}"
    try:
        read = decode_json(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        read = None
    if not isinstance(read, Mapping):
        msg = f"{at}.function.arguments: must be a JSON object as text, found {arguments!r}"
        raise InvalidInputError(msg)
    invocation = {"state": "call", "toolCallId": given["id"], "toolName": str(function.get("name")), "args": dict(read)}
    return {"type": "tool-invocation", "toolInvocation": invocation}


def take_result(messages: list[Message], given: Mapping[str, Any], *, at: str) -> None:
    """Put the result in a message of role "tool" into the call that it answers, which one of *messages* made.

    Raises:
        InvalidInputError: no message before it made that call, or its content is no text.
    """
    call_id, content = given.get("tool_call_id"), given.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    if not isinstance(content, str):
        msg = f"{at}.content: the result of a tool must be text, found {type(content).__name__}"
        raise InvalidInputError(msg)
    for index in reversed(range(len(messages))):
        found = _settled(messages[index], call_id, content)
        if found is not None:
            messages[index] = found
            return
    msg = f"{at}: no assistant message before it made the call {call_id!r}; put that message with its 'tool_calls' before it"
    raise InvalidInputError(msg)


def _settled(message: Message, call_id: object, result: str) -> Message | None:
    content = message.content
    assert isinstance(content, Mapping)
    parts, found = [], False
    for part in content["parts"]:
        invocation = part.get("toolInvocation")
        if isinstance(invocation, Mapping) and invocation.get("toolCallId") == call_id:
            part, found = {**part, "toolInvocation": {**invocation, "state": "result", "result": result}}, True  # noqa: PLW2901
        parts.append(part)
    return attrs.evolve(message, content={**content, "parts": parts}) if found else None
