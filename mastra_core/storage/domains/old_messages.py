"""Message content that older versions of the TypeScript packages wrote, as today's (contract §4.5).

Knows the two formats of content; must not know how or where messages are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import MESSAGES, Message
from mastra_core.storage.records.wire import undecodable


def readable(message: Message) -> Message:
    """*message* with content of format 2: today's content as it is, plain text or a list of core parts converted.

    Raises:
        StoredDataError: the content is neither.
    """
    content = message.content
    if isinstance(content, Mapping) and "parts" in content:
        if not isinstance(content["parts"], list | tuple):
            raise undecodable(MESSAGES.name, (message.id,), "content", content["parts"], "has parts that are no list")
        return message
    given = content if isinstance(content, list) else [content]
    parts = [part for part in map(_part, given) if part is not None]
    for part in parts:
        if not isinstance(part.get("type"), str) or (part["type"] == "text" and not isinstance(part.get("text"), str)):
            raise undecodable(MESSAGES.name, (message.id,), "content", part, "has a part without a type, or without its text")
    texts = [part["text"] for part in parts if part["type"] == "text"]
    converted: dict[str, Json] = {"format": 2, "parts": parts}
    if texts:
        converted["content"] = "\n".join(texts)
    return attrs.evolve(message, content=converted, role="assistant" if message.role == "tool" else message.role, type="v2")


def _part(old: Json) -> dict[str, Json] | None:
    if old is None:
        return None
    if not isinstance(old, Mapping):
        return {"type": "text", "text": old if isinstance(old, str) else str(old)}
    convert = _CONVERSIONS.get(str(old.get("type")))
    return dict(old) if convert is None else convert(old)


def _call(old: Mapping[str, Any]) -> dict[str, Json]:
    invocation = {"state": "call", "toolCallId": old.get("toolCallId"), "toolName": old.get("toolName"), "args": old.get("args", {})}
    return {"type": "tool-invocation", "toolInvocation": invocation}


def _result(old: Mapping[str, Any]) -> dict[str, Json]:
    call = _call(old)
    call["toolInvocation"] |= {"state": "result", "result": old.get("result")}
    return call


def _reasoning(old: Mapping[str, Any]) -> dict[str, Json]:
    text = old.get("text", "")
    detail = {"type": "text", "text": text} | ({"signature": old["signature"]} if "signature" in old else {})
    return {"type": "reasoning", "reasoning": text, "details": [detail]}


_CONVERSIONS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Json]]] = {
    "tool-call": _call,
    "tool-result": _result,
    "reasoning": _reasoning,
    "redacted-reasoning": lambda old: {"type": "reasoning", "reasoning": "", "details": [{"type": "redacted", "data": old.get("data")}]},
    "image": lambda old: {"type": "file", "data": old.get("image"), "mimeType": old.get("mimeType", "image/*")},
    "file": lambda old: {"type": "file", "data": old.get("data"), "mimeType": old.get("mimeType", "application/octet-stream")},
}
