"""What attributes of foreign spans mean: OpenTelemetry's GenAI conventions, OpenInference, OpenLLMetry.

Knows names of attributes. Must not know spans, nor what is kept of their values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import decode_json

IDS = {
    "runId": "run_id",
    "resourceId": "resource_id",
    "threadId": "thread_id",
    "userId": "user_id",
    "organizationId": "organization_id",
    "sessionId": "session_id",
    "requestId": "request_id",
    "environment": "environment",
    "source": "source",
    "serviceName": "service_name",
    "experimentId": "experiment_id",
}
"""What stands in metadata and in a field of its own (contract §7.3), and that field."""

_KIND = "openinference.span.kind"
_OPERATION = "gen_ai.operation.name"
_OPENINFERENCE = {
    "LLM": "model_generation", "TOOL": "tool_call", "AGENT": "agent_run", "RETRIEVER": "rag_vector_operation", "EMBEDDING": "rag_embedding",
    "RERANKER": "rag_action", "GUARDRAIL": "processor_run", "EVALUATOR": "scorer_run",
}  # fmt: skip
_OPERATIONS = {
    "chat": "model_generation", "text_completion": "model_generation", "generate_content": "model_generation",
    "embeddings": "rag_embedding", "execute_tool": "tool_call", "invoke_agent": "agent_run", "create_agent": "agent_run",
    "invoke_workflow": "workflow_run",
    "retrieval": "rag_vector_operation",
}  # fmt: skip

_INPUTS = (
    "gen_ai.input.messages",
    "gen_ai.tool.call.arguments",
    "input.value",
    "traceloop.entity.input",
    "tool.parameters",
    "gen_ai.prompt",
    "llm.prompts",
)
_OUTPUTS = ("gen_ai.output.messages", "gen_ai.tool.call.result", "output.value", "traceloop.entity.output", "gen_ai.completion")
_INSTRUCTIONS = "gen_ai.system_instructions"
_HOW_WRITTEN = ("input.mime_type", "output.mime_type")

_MESSAGES = re.compile(r"(llm\.input_messages|llm\.output_messages|gen_ai\.prompt|gen_ai\.completion)\.(\d+)\.(?:message\.)?(.+)")
"""Messages spread over one attribute each part."""

_FACTS = {
    "gen_ai.request.model": "model", "llm.model_name": "model", "embedding.model_name": "model", "gen_ai.provider.name": "provider",
    "gen_ai.system": "provider", "llm.provider": "provider", "gen_ai.response.model": "responseModel", "gen_ai.response.id": "responseId",
    "gen_ai.tool.call.id": "toolCallId", "gen_ai.tool.description": "toolDescription", "gen_ai.tool.type": "toolType",
    "tool.description": "toolDescription",
}  # fmt: skip
_USAGE = {
    "gen_ai.usage.input_tokens": "inputTokens", "llm.token_count.prompt": "inputTokens", "gen_ai.usage.prompt_tokens": "inputTokens",
    "gen_ai.usage.output_tokens": "outputTokens", "llm.token_count.completion": "outputTokens",
    "gen_ai.usage.completion_tokens": "outputTokens",
}  # fmt: skip
_PARAMETERS = {
    "gen_ai.request.temperature": "temperature", "gen_ai.request.max_tokens": "maxOutputTokens", "gen_ai.request.top_p": "topP",
    "gen_ai.request.top_k": "topK", "gen_ai.request.seed": "seed", "gen_ai.request.frequency_penalty": "frequencyPenalty",
    "gen_ai.request.presence_penalty": "presencePenalty",
}  # fmt: skip
_NAMED_IDS = {
    "user.id": "userId", "enduser.id": "userId", "session.id": "sessionId", "gen_ai.conversation.id": "threadId",
    **{f"mastra.{name}": name for name in IDS},
}  # fmt: skip
_LINEAGE = {
    f"mastra.{place}_{part}": f"{place}_{part}" for place in ("entity", "parent_entity", "root_entity") for part in ("type", "id", "name")
}


@attrs.frozen(kw_only=True)
class Read:
    """What attributes say.

    Attributes:
        span_type: contract §7.4; "generic" where nothing says it.
        input: what the step was given, decoded where it is JSON.
        output: what it gave.
        facts: by TypeScript's names.
        ids: by TypeScript's names of metadata.
        entities: by the fields of a Span.
        rest: what these conventions do not know, by its own names.
    """

    span_type: str = "generic"
    input: Json = None
    output: Json = None
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    ids: Mapping[str, str] = attrs.field(factory=dict)
    entities: Mapping[str, str] = attrs.field(factory=dict)
    rest: Mapping[str, Any] = attrs.field(factory=dict)


_NOTHING = Read()


def read_attributes(attributes: Mapping[str, Any]) -> Read:
    """What *attributes* of a span say in these conventions; of two names for one thing the first counts."""
    if not attributes:
        return _NOTHING
    messages = _messages(attributes)
    told_input, told_output = _first(attributes, _INPUTS), _first(attributes, _OUTPUTS)
    facts: dict[str, Any] = {}
    for names, place in ((_FACTS, None), (_USAGE, "usage"), (_PARAMETERS, "parameters")):
        found: dict[str, Any] = {}
        for name, ours in names.items():
            if name in attributes:
                found.setdefault(ours, attributes[name])
        if found:
            facts |= found if place is None else {place: found}
    reasons = attributes.get("gen_ai.response.finish_reasons")
    if reasons:
        facts["finishReason"] = reasons if isinstance(reasons, str) else reasons[0]
    if _INSTRUCTIONS in attributes:
        facts["instructions"] = _decoded(attributes[_INSTRUCTIONS])
    return Read(
        span_type=_span_type(attributes),
        input=messages.get("input") or _decoded(told_input),
        output=messages.get("output") or _decoded(told_output),
        facts=facts,
        ids={ours: str(attributes[name]) for name, ours in _NAMED_IDS.items() if attributes.get(name)},
        entities=_entities(attributes),
        rest={name: _plain(value) for name, value in attributes.items() if name not in _KNOWN and not _MESSAGES.fullmatch(name)},
    )


def _span_type(attributes: Mapping[str, Any]) -> str:
    kind, operation = str(attributes.get(_KIND, "")).upper(), str(attributes.get(_OPERATION, ""))
    tool_of_mcp = "mcp_tool_call" if attributes.get("mcp.method.name") == "tools/call" else ""
    return tool_of_mcp or _OPENINFERENCE.get(kind) or _OPERATIONS.get(operation) or "generic"


def _entities(attributes: Mapping[str, Any]) -> dict[str, str]:
    found = {ours: str(attributes[name]) for name, ours in _LINEAGE.items() if attributes.get(name)}
    tool, agent = (attributes.get(f"gen_ai.{kind}.name") or attributes.get(f"{kind}.name") for kind in ("tool", "agent"))
    if tool:
        return {"entity_type": "tool", "entity_id": str(tool), "entity_name": str(tool), **found}
    if agent:
        return {"entity_type": "agent", "entity_id": str(attributes.get("gen_ai.agent.id") or agent), "entity_name": str(agent), **found}
    inherited = {f"entity_{part}": found[f"parent_entity_{part}"] for part in ("type", "id", "name") if f"parent_entity_{part}" in found}
    return inherited | found


def _messages(attributes: Mapping[str, Any]) -> dict[str, Json]:
    """Messages that are spread over attributes, put together again."""
    found: dict[str, dict[int, dict[str, Any]]] = {"input": {}, "output": {}}
    for name, value in attributes.items():
        if match := _MESSAGES.fullmatch(name):
            side = "input" if match[1] in {"llm.input_messages", "gen_ai.prompt"} else "output"
            found[side].setdefault(int(match[2]), {})[match[3]] = _plain(value)
    return {side: [messages[index] for index in sorted(messages)] for side, messages in found.items() if messages}


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _decoded(value: Any) -> Json:
    """*value*, or what its text holds if that is a JSON object or list."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return decode_json(value)
        except (ValueError, RecursionError):
            return value
    return _plain(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


_KNOWN = frozenset(
    {
        _KIND, _OPERATION, _INSTRUCTIONS, "gen_ai.response.finish_reasons", "gen_ai.tool.name", "gen_ai.agent.name", "gen_ai.agent.id",
        "tool.name", "agent.name", *_HOW_WRITTEN, *_INPUTS, *_OUTPUTS, *_FACTS, *_USAGE, *_PARAMETERS, *_NAMED_IDS, *_LINEAGE,
    }
)  # fmt: skip
