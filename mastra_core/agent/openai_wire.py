"""Requests and answers in the form of chat completions: what is asked as the interface has it, and what it gives as models answer.

Knows the form of both. Must not know the client, connections or errors of a provider.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from mastra_core.agent.model import ModelFile, ModelMessage, ModelReply, ModelRequest, OutputSpec, ToolCall, ToolSpec, Usage
from mastra_core.errors import ModelError
from mastra_core.openai.providers import Provider
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import decode_json, dump_json

FINISH_REASONS = {
    "end_turn": "stop",
    "eos": "stop",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
}
"""What some providers call an end that OpenAI calls otherwise."""


def arguments_of(request: ModelRequest, *, model_id: str, entry: Provider, stream: bool) -> dict[str, Any]:
    """The arguments of the client for *request*; nothing that was not asked for.

    Raises:
        ModelError: a file is of a kind that chat completions have no form for.
    """
    messages = [_message(message, entry=entry) for message in request.messages]
    if request.output is not None and entry.output != "schema":
        # After the other system messages, before what is said.
        place = next((index for index, message in enumerate(messages) if message["role"] != "system"), len(messages))
        messages.insert(place, {"role": "system", "content": _in_words(request.output)})
    arguments = {
        "model": model_id,
        "messages": messages,
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(request.tool_choice) if request.tools else None,
        "response_format": None if request.output is None else _response_format(request.output, entry=entry),
        entry.limit: request.max_output_tokens,
        "temperature": request.temperature,
        "stream": stream or None,
        "stream_options": {"include_usage": True} if stream and entry.ask_usage else None,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def reply_of(choice: Any, *, usage: Usage) -> ModelReply:
    """A whole answer."""
    text, thought = spoken(choice.message)
    calls = Calls()
    calls.add(choice.message)
    return ModelReply(
        text=text, finish_reason=finish_reason(choice.finish_reason) or "stop", usage=usage, reasoning=thought, tool_calls=calls.complete()
    )


def finish_reason(given: str | None) -> str | None:
    """Why an answer ends, in OpenAI's words."""
    return None if not given else FINISH_REASONS.get(given, given)


def spoken(message: Any) -> tuple[str, str]:
    """What a message, or a piece of one, says and what it thinks."""
    said, thought = message.content, _first_text(message, "reasoning_content", "reasoning")
    if isinstance(said, list):
        # Reasoning models of Mistral mix both in one list.
        parts = [part for part in said if isinstance(part, Mapping)]
        thoughts = [one for part in parts if part.get("type") == "thinking" for one in part.get("thinking") or ()]
        thought += "".join(str(one.get("text", "")) for one in thoughts if isinstance(one, Mapping))
        said = "".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")
    return said or message.refusal or "", thought


def usage_of(told: Any) -> Usage | None:
    """What a call took, if it is told."""
    return None if told is None else Usage(input_tokens=told.prompt_tokens or 0, output_tokens=told.completion_tokens or 0)


class Calls:
    """Tool calls, put together from pieces: the first has id and name, the others more of the arguments."""

    def __init__(self) -> None:
        self._calls: list[dict[str, str]] = []
        self._by_index: dict[int, dict[str, str]] = {}

    def add(self, message: Any) -> None:
        """Take what a message, or a piece of one, has of calls."""
        for position, piece in enumerate(getattr(message, "tool_calls", None) or ()):
            function = piece.function
            if function is None:
                continue
            index = getattr(piece, "index", None)
            call = self._call(position if index is None else index, id=piece.id or "", name=function.name or "")
            call["arguments"] += function.arguments or ""

    def complete(self) -> tuple[ToolCall, ...]:
        """The calls; arguments that are no JSON object are kept as they were written."""
        return tuple(_complete(call) for call in self._calls)

    def _call(self, index: int, *, id: str, name: str) -> dict[str, str]:
        found = self._by_index.get(index)
        # Some servers give every call the same index; a new one has a name and an id of its own.
        if found is None or (id and name and found["id"] != id):
            found = self._by_index[index] = {"id": id, "name": name, "arguments": ""}
            self._calls.append(found)
        found["id"], found["name"] = found["id"] or id, found["name"] or name
        return found


def _complete(call: Mapping[str, str]) -> ToolCall:
    written = call["arguments"].strip()
    try:
        read = decode_json(written) if written else {}
    except (ValueError, RecursionError):
        read = None
    if isinstance(read, Mapping):
        return ToolCall(id=call["id"], name=call["name"], arguments=read)
    return ToolCall(id=call["id"], name=call["name"], malformed=written)


def _first_text(message: Any, *names: str) -> str:
    return next((value for name in names if isinstance(value := getattr(message, name, None), str) and value), "")


def _message(message: ModelMessage, *, entry: Provider) -> dict[str, Any]:
    text = encodable(message.text)
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": _call_id(message.tool_call_id or "", entry=entry), "content": text}
    if message.tool_calls:
        calls = [_called(call, entry=entry) for call in message.tool_calls]
        return {"role": "assistant", "content": text or None, "tool_calls": calls}
    if message.files:
        said = [{"type": "text", "text": text}] if text else []
        return {"role": message.role, "content": [*said, *(_file(file) for file in message.files)]}
    return {"role": message.role, "content": text}


def _called(call: ToolCall, *, entry: Provider) -> dict[str, Any]:
    # A name that a model made up may hold what providers refuse.
    name = re.sub(r"[^A-Za-z0-9_-]", "_", call.name)[:64] or "unknown"
    function = {"name": name, "arguments": dump_json(call.arguments, at=f"arguments of {name}", any_unicode=True)}
    return {"id": _call_id(call.id, entry=entry), "type": "function", "function": function}


def _call_id(call_id: str, *, entry: Provider) -> str:
    length = entry.call_id_length
    if length is None or re.fullmatch(rf"[A-Za-z0-9]{{{length}}}", call_id):
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def _file(file: ModelFile) -> dict[str, Any]:
    kind = file.media_type.partition("/")[0]
    if file.url.startswith("file-"):
        return {"type": "file", "file": {"file_id": file.url}}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": file.url}}
    if not file.url.startswith("data:"):
        shown = file.url if len(file.url) <= 100 else f"{file.url[:99]}…"
        raise ModelError(f"a file of the type {file.media_type} cannot be sent as a URL, only images can ({shown}); pass its bytes")
    if kind == "audio":
        data = file.url.partition(",")[2]
        return {"type": "input_audio", "input_audio": {"data": data, "format": file.media_type.partition("/")[2].removeprefix("x-")}}
    return {"type": "file", "file": {"filename": file.name or "file", "file_data": file.url}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}}


def _tool_choice(choice: str) -> Any:
    if choice == "auto":
        return None
    return choice if choice in {"none", "required"} else {"type": "function", "function": {"name": choice}}


def _response_format(output: OutputSpec, *, entry: Provider) -> dict[str, Json] | None:
    if entry.output == "schema":
        return {"type": "json_schema", "json_schema": {"name": output.name, "schema": dict(output.schema)}}
    return {"type": "json_object"} if entry.output == "object" else None


def _in_words(output: OutputSpec) -> str:
    schema = dump_json(output.schema, at="output", any_unicode=True)
    return f"Answer with nothing but one JSON object that fits this JSON schema, without a code block around it:\n{schema}"


def encodable(text: str) -> str:
    """*text* with U+FFFD for lone surrogates, which stored messages may hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
