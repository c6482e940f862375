"""What `save_score` takes, and how it is checked before anything is sent (contract §2.3, `saveScorePayloadSchema`).

Knows the fields of a score; must not know any store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, Required, TypedDict

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.paging import check_options
from mastra_core.storage.records.checks import check_field
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.score_kinds import SCORES

SOURCES = ("LIVE", "TEST")
"""Where a score may come from: a real run, or a trial."""

ENTITY_TYPES = (
    "AGENT", "WORKFLOW", "TRAJECTORY", "STEP", "EXTERNAL",
    "agent_run", "scorer_run", "classifier_evaluation", "scorer_step", "generic", "model_generation", "model_step", "model_inference",
    "model_chunk", "mcp_tool_call", "mcp_server_request", "processor_run", "tool_call", "client_tool_call", "provider_tool_call",
    "workflow_run", "workflow_step", "workflow_conditional", "workflow_conditional_eval", "workflow_parallel", "workflow_loop",
    "workflow_sleep", "workflow_wait_event", "memory_operation", "workspace_action", "rag_ingestion", "rag_embedding",
    "rag_vector_operation", "rag_action", "graph_action", "mapping", "skill_resolution", "skill_action", "agent_signal",
)  # fmt: skip
"""What may be scored: five kinds of their own, and every type of span (contract §7.4)."""

Object = Mapping[str, Json]


class ScorePayload(TypedDict, total=False):
    """A score to save. See `Score` for what each field means."""

    id: str
    scorer_id: Required[str]
    run_id: Required[str]
    entity_id: Required[str]
    entity: Required[Object]
    scorer: Required[Object]
    score: Required[float]
    source: Required[Literal["LIVE", "TEST"]]
    output: Required[Json]
    input: Json
    entity_type: str | None
    trace_id: str | None
    span_id: str | None
    resource_id: str | None
    thread_id: str | None
    organization_id: str | None
    project_id: str | None
    batch_id: str | None
    dataset_id: str | None
    dataset_item_id: str | None
    reason: str | None
    metadata: Object | None
    additional_context: Object | None
    request_context: Object | None
    preprocess_step_result: Object | None
    extract_step_result: Object | None
    analyze_step_result: Object | None
    preprocess_prompt: str | None
    extract_prompt: str | None
    analyze_prompt: str | None
    generate_score_prompt: str | None
    generate_reason_prompt: str | None
    reason_prompt: str | None
    structured_output: bool


_REQUIRED = ("scorer_id", "entity_id", "run_id", "output", "score", "scorer", "source", "entity")
_DROPPED = "structured_output"
_KNOWN = (*(name for name in SCORES.by_name if name not in {"created_at", "updated_at"}), _DROPPED)
_FLOAT_BITS = 1023
_ANYTHING = frozenset({"input", "output"})


def checked_payload(payload: object) -> dict[str, Any]:
    """The values of a score's fields; those that were None are left out.

    Raises:
        InvalidInputError: a field is missing, unknown or of the wrong type, with the field, what was found and the mend.
    """
    given = check_options(payload, known=_KNOWN, at="save_score")
    for name in _REQUIRED:
        _check_there(given, name)
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None and name != _DROPPED}
    for name, value in values.items():
        _check_value(name, value)
    return values


def one_of(value: object, choices: Collection[str], *, at: str) -> str:
    """*value*, if it is one of *choices*.

    Raises:
        InvalidInputError: it is none of them; the message names the one that differs by case.
    """
    if isinstance(value, str) and value in choices:
        return value
    near = next((choice for choice in choices if isinstance(value, str) and choice.casefold() == value.casefold()), None)
    mend = f"did you mean {near!r}?" if near else f"choose from {', '.join(map(repr, choices))}"
    msg = f"{at}: cannot be {value!r}; {mend}"
    raise InvalidInputError(msg)


def _check_there(given: Mapping[str, object], name: str) -> None:
    if given.get(name) is None and not (name == "output" and name in given):
        found = "found None" if name in given else f"found the fields {sorted(given)}"
        msg = f"save_score: {name} is required, {found}; add {name!r}"
        raise InvalidInputError(msg)


def _check_value(name: str, value: object) -> None:
    field = SCORES.by_name[name]
    if name == "source":
        one_of(value, SOURCES, at="save_score: source")
    elif name == "entity_type":
        one_of(value, ENTITY_TYPES, at="save_score: entity_type")
    elif field.type == "json" and name not in _ANYTHING and not isinstance(value, Mapping):
        msg = f"save_score: {name} must be a mapping, which is stored as a JSON object; found {value!r} ({type(value).__name__})"
        raise InvalidInputError(msg)
    elif name == "score" and isinstance(value, int) and value.bit_length() > _FLOAT_BITS:
        msg = f"save_score: {name} must be a finite number, found a whole number of {value.bit_length()} bits; store its logarithm"
        raise InvalidInputError(msg)
    else:
        check_field(SCORES, field, value)
