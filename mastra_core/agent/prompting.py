"""What a model is asked: stored messages as a model sees them, in the order of contract §5.4.

Knows stored parts and the form of a prompt. Must not know stores, models or agents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mastra_core.agent.input_parts import is_reference
from mastra_core.agent.messages import ROLES, parts_of, text_of
from mastra_core.agent.model import ModelFile, ModelMessage, ToolCall
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message
from mastra_core.storage.records.wire import dump_json


def prompt(*, system: Iterable[str], history: Iterable[Message], new: Sequence[Message]) -> tuple[ModelMessage, ...]:
    """What the model is asked: *system* texts, system messages of the input, the history, the rest of the input.

    Of the history, stored system messages, messages without anything to see and those that the input has again are left out.
    """
    again = {message.id for message in new}
    remembered = [message for message in history if message.role in {"user", "assistant"} and message.id not in again]
    first = [ModelMessage(role="system", text=text) for text in system if text]
    instructed = [message for message in new if message.role == "system"]
    said = [message for message in new if message.role != "system"]
    return (*first, *(one for message in (*instructed, *remembered, *said) for one in shown(message)))


def opened(messages: tuple[ModelMessage, ...]) -> tuple[ModelMessage, ...]:
    """*messages*, with a user's "." before a conversation that an assistant begins, as some providers (Gemini) refuse that."""
    start = next((index for index, message in enumerate(messages) if message.role != "system"), None)
    if start is None or messages[start].role == "user":
        return messages
    return (*messages[:start], ModelMessage(role="user", text="."), *messages[start:])


def cut_history(history: tuple[Message, ...], *, max_tokens: int | None) -> tuple[Message, ...]:
    """The newest of *history* that take at most *max_tokens* tokens together; a message with calls and results goes or stays whole."""
    if max_tokens is None:
        return history
    left = max_tokens
    for index in reversed(range(len(history))):
        left -= estimated_tokens(history[index])
        if left < 0:
            return history[index + 1 :]
    return history


def estimated_tokens(message: Message) -> int:
    """How many tokens a message takes, without asking a model: four bytes of UTF-8 each, and four for each turn."""
    return sum(4 + (len(_weighed(one).encode("utf-8", "surrogatepass")) + 3) // 4 for one in shown(message))


def _weighed(message: ModelMessage) -> str:
    return message.text + "".join(call.name + _text(dict(call.arguments)) for call in message.tool_calls)


def shown(message: Message) -> tuple[ModelMessage, ...]:
    """*message* as a model sees it: an assistant's, one for each step, each followed by the results of its calls.

    A call without a result (interrupted, or waiting for a person) is left out, as providers refuse it.
    """
    parts = parts_of(message)
    if message.role != "assistant":
        files = tuple(file for part in parts if (file := _file(part)) is not None)
        text = text_of(message)
        return (ModelMessage(role=ROLES[message.role], text=text, files=files),) if text or files else ()
    if not parts:
        text = text_of(message)
        return (ModelMessage(role="assistant", text=text),) if text else ()
    steps = _Steps()
    for part in parts:
        steps.take(part)
    return steps.end()


class _Steps:
    """The parts of an assistant message, turned into steps one after the other."""

    def __init__(self) -> None:
        self._done: list[ModelMessage] = []
        self._texts: list[str] = []
        self._calls: list[tuple[ToolCall, str]] = []

    def take(self, part: Mapping[str, Any]) -> None:
        kind = part.get("type")
        if kind == "step-start" or (kind == "text" and self._calls):
            self._flush()
        if kind == "text" and isinstance(part.get("text"), str):
            self._texts.append(part["text"])
        elif kind == "tool-invocation":
            call = _called(part.get("toolInvocation"))
            if call is not None:
                self._calls.append(call)

    def end(self) -> tuple[ModelMessage, ...]:
        self._flush()
        return tuple(self._done)

    def _flush(self) -> None:
        text = "\n".join(self._texts)
        if text or self._calls:
            self._done.append(ModelMessage(role="assistant", text=text, tool_calls=tuple(call for call, _ in self._calls)))
            self._done += [ModelMessage(role="tool", text=result, tool_call_id=call.id) for call, result in self._calls]
        self._texts, self._calls = [], []


def _called(invocation: object) -> tuple[ToolCall, str] | None:
    """A stored call with its result as text; None if it has none."""
    if not isinstance(invocation, Mapping):
        return None
    state, arguments = invocation.get("state"), invocation.get("args")
    call = ToolCall(
        id=str(invocation.get("toolCallId")),
        name=str(invocation.get("toolName")),
        arguments=arguments if isinstance(arguments, Mapping) else {},
    )
    if state == "result":
        return call, _text(invocation.get("result"))
    if state == "output-error":
        return call, f"Error: {invocation.get('errorText') or 'the tool failed'}"
    if state == "output-denied":
        approval = invocation.get("approval")
        reason = approval.get("reason") if isinstance(approval, Mapping) else None
        return call, f"The user did not allow this call{f': {reason}' if reason else '.'}"
    return None


def _text(result: Json) -> str:
    if isinstance(result, str):
        return result
    try:
        return dump_json(result, at="tool result", any_unicode=True)
    except InvalidInputError:
        return str(result)


def _file(part: Mapping[str, Any]) -> ModelFile | None:
    """A file part, in either of the shapes that are stored (contract §4.3)."""
    if part.get("type") != "file":
        return None
    media_type = part.get("mimeType") or part.get("mediaType") or "application/octet-stream"
    data = part.get("data") or part.get("url")
    if not isinstance(data, str):
        return None
    url = data if is_reference(data) else f"data:{media_type};base64,{data}"
    return ModelFile(url=url, media_type=media_type, name=part.get("filename") or "")
