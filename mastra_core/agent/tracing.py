"""What of a run goes into its trace: a step for the run, for reading and saving, for each asking of the model and each call of a tool.

Names, types and facts are TypeScript's (contract §7.5). Knows runs' parts; must not know how steps are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mastra_core import clock
from mastra_core.agent.call import Remembered
from mastra_core.agent.messages import text_of
from mastra_core.agent.model import ModelMessage, ModelReply, ModelRequest, ToolCall, Usage
from mastra_core.agent.task import Task
from mastra_core.agent.tools import Tool
from mastra_core.memory.options import MemoryOptions
from mastra_core.storage.records.kinds import Message
from mastra_core.telemetry.tracing import OFF, UNTRACED, Entity, Said, Step, Told, Tracing

READER = Entity("input_processor", "message-history", "MessageHistory")
WRITER = Entity("output_processor", "message-history", "MessageHistory")
"""Who reads and saves what is remembered, as TypeScript calls them."""


class RunTrace:
    """The steps of one run, to be entered; when nothing is traced, each is the step that keeps nothing.

    Args:
        tracing: makes them.
        task: what the run works with.
        where: which thread it is remembered in, if it is.
        name: of the agent, for people.
    """

    def __init__(self, tracing: Tracing, *, task: Task, where: Remembered | None, name: str) -> None:
        self._tracing = tracing
        self._on = tracing is not OFF
        self._task = task
        self._where = where
        self._name = name

    def run(self, new: Sequence[Message]) -> Step:
        """The whole run."""
        if not self._on:
            return UNTRACED
        task, where = self._task, self._where
        metadata = {"runId": clock.new_id()}
        conventional: dict[str, str | int] = {
            "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.id": task.agent_id, "gen_ai.agent.name": self._name,
        }  # fmt: skip
        attributes: dict[str, Any] = {"availableTools": list(task.tools)} if task.tools else {}
        if not callable(task.instructions) and task.instructions:
            attributes["instructions"] = task.instructions if isinstance(task.instructions, str) else "\n\n".join(task.instructions)
        if where is not None:
            metadata |= {"resourceId": where.resource_id, "threadId": where.thread_id}
            conventional["gen_ai.conversation.id"] = attributes["conversationId"] = where.thread_id
        return self._tracing.step(
            "agent_run", f"agent run: '{task.agent_id}'", entity=Entity("agent", task.agent_id, self._name), input=lambda: _asked(new),
            attributes=attributes, metadata=metadata, conventional=conventional,
        )  # fmt: skip

    def recall(self, new: Sequence[Message], *, options: MemoryOptions) -> Step:
        """Reading what is remembered."""
        if not self._on:
            return UNTRACED
        return self._tracing.step(
            "memory_operation", "memory: recall", entity=READER,
            input=lambda: {"messages": _said(new)}, attributes={"operationType": "recall", "lastMessages": options.last_messages},
        )  # fmt: skip

    def save(self, messages: Sequence[Message]) -> Step:
        """Saving what was said."""
        if not self._on:
            return UNTRACED
        return self._tracing.step(
            "memory_operation", "memory: save", entity=WRITER,
            input=lambda: {"messages": _said(messages)}, attributes={"operationType": "save", "messageCount": len(messages)},
        )  # fmt: skip

    def generation(self, model: str, *, messages: Sequence[ModelMessage], tools: Mapping[str, Tool]) -> Step:
        """All askings of the model "provider/model" for the answer; *messages* are what the first one begins with."""
        if not self._on:
            return UNTRACED
        parameters: dict[str, Any] = {}
        if self._task.temperature is not None:
            parameters["temperature"] = self._task.temperature
        if self._task.max_output_tokens is not None:
            parameters["maxOutputTokens"] = self._task.max_output_tokens
        attributes: dict[str, Any] = {"parameters": parameters}
        if tools:
            attributes["tools"] = [{"type": "function", "name": tool.name, "description": tool.description} for tool in tools.values()]
        return self._generation(model, input=lambda: {"messages": _prompted(messages)}, attributes=attributes)

    def title(self, model: str, *, messages: Sequence[Message]) -> Step:
        """Asking the model "provider/model" for a title of what was said."""
        if not self._on:
            return UNTRACED
        return self._generation(
            model, input=lambda: {"messages": [{"role": message.role, "content": text_of(message)} for message in messages]}, attributes={}
        )

    def _generation(self, model: str, *, input: Told, attributes: Mapping[str, Any]) -> Step:
        provider, _, model_id = model.partition("/")
        named = {"model": model_id, "provider": provider, **attributes}
        return self._tracing.step("model_generation", f"llm: '{model_id}'", input=input, attributes=named)

    def asking(self, index: int, *, request: ModelRequest) -> Step:
        """One asking of the model, with the calls of tools that it leads to."""
        if not self._on:
            return UNTRACED
        model = self._task.model
        return self._tracing.step(
            "model_step", f"step: {index}", input=lambda: _prompted(request.messages), attributes={"stepIndex": index},
            conventional={
                "gen_ai.operation.name": "chat", "gen_ai.request.model": model.model_id, "gen_ai.provider.name": model.provider,
            },
        )  # fmt: skip

    def tool(self, call: ToolCall, *, tool: Tool | None) -> Step:
        """One call of a tool."""
        if not self._on:
            return UNTRACED
        attributes = {"toolCallId": call.id, "toolType": "tool"} | ({} if tool is None else {"toolDescription": tool.description})
        return self._tracing.step(
            "tool_call", f"tool: '{call.name}'", entity=Entity("tool", call.name, call.name), attributes=attributes,
            input=call.malformed or call.arguments,
            conventional={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.name, "gen_ai.tool.call.id": call.id},
        )  # fmt: skip


def answered(step: Step, reply: ModelReply, *, text: str, goes_on: bool) -> None:
    """Tell the step of one asking what came of it."""
    if step.traced:
        calls = [{"toolCallId": call.id, "toolName": call.name, "args": call.arguments} for call in reply.tool_calls]
        step.gave(
            {"text": text, "toolCalls": calls},
            usage=used(reply.usage),
            finishReason=reply.finish_reason.replace("_", "-"),
            isContinued=goes_on,
        )


def used(usage: Usage) -> dict[str, int]:
    """Tokens, by TypeScript's names."""
    return {"inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens}


def _asked(new: Sequence[Message]) -> Any:
    """The input of a run: a text if it is one."""
    return (text_of(new[0]) if len(new) == 1 and new[0].role == "user" else "") or _said(new)


def _said(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"id": message.id, "role": message.role, "content": message.content} for message in messages]


def _prompted(messages: Sequence[ModelMessage]) -> Said | list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    texts, are_texts = ["rolecontent" * len(messages)], True
    for message in messages:
        role, text = message.role, message.text
        one: dict[str, Any] = {"role": role, "content": text}
        if message.tool_calls:
            are_texts = False
            one["toolCalls"] = [{"toolCallId": call.id, "toolName": call.name, "args": call.arguments} for call in message.tool_calls]
        if message.tool_call_id is not None:
            are_texts = False
            one["toolCallId"] = message.tool_call_id
        texts += role, text
        told.append(one)
    return Said(told, texts) if are_texts else told
