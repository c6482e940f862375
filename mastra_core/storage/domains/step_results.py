"""What a workflow's snapshot becomes when a step reports its result (contract §2.2).

Knows the form of snapshots; must not know records, stores or the engine that runs workflows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from mastra_core import clock
from mastra_core.storage.records.kind import Json

PENDING = {"__mastra_pending__": True}
"""Stands in a result's output for an iteration of a foreach step that is to run again: its old result is dropped."""


def new_snapshot(run_id: str, now: datetime) -> dict[str, Json]:
    """The snapshot of a run that nobody has saved yet, as TypeScript begins one."""
    return {
        "context": {}, "activePaths": [], "activeStepsPath": {}, "timestamp": clock.to_milliseconds(now), "suspendedPaths": {},
        "waitingPaths": {}, "resumeLabels": {}, "serializedStepGraph": [], "status": "pending", "value": {}, "runId": run_id,
        "requestContext": {},
    }  # fmt: skip


def with_result(
    snapshot: Mapping[str, Json], step_id: str, result: Mapping[str, Json], request_context: Mapping[str, Json]
) -> dict[str, Json]:
    """*snapshot* with the result of one step, and *request_context* laid over its own, one level deep."""
    context = dict(_object(snapshot.get("context")))
    context[step_id] = _merged(context.get(step_id), result)
    return {**snapshot, "context": context, "requestContext": {**_object(snapshot.get("requestContext")), **request_context}}


def threads_of(snapshot: Mapping[str, Json]) -> Iterator[Json]:
    """The threads that an agent's run is about, as its suspended steps and its input name them."""
    return (memory.get("threadId") for memory in memories_of(snapshot))


def memories_of(snapshot: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """What an agent's run says of its conversations: `threadId` and `resourceId`, in its suspended steps and its input."""
    context = _object(_at(snapshot, "context"))
    for step in context.values():
        if isinstance(step, Mapping) and step.get("status") == "suspended":
            yield _object(_at(step, "suspendPayload", "__streamState", "messageList", "memoryInfo"))
    yield _object(_at(context, "input", "messageListState", "memoryInfo"))


def _merged(held: Json, given: Mapping[str, Json]) -> Mapping[str, Json]:
    """The new result of a step; two lists of outputs are merged, since the iterations of a foreach step report side by side."""
    new = given.get("output")
    old = held.get("output") if isinstance(held, Mapping) else None
    if not isinstance(old, list | tuple) or not isinstance(new, list | tuple):
        return given
    assert isinstance(held, Mapping)
    return {**held, **given, "output": _merged_outputs(old, new)}


def _merged_outputs(old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    """Element by element: null (still running) leaves what is there, the marker drops it, anything else is the iteration's result."""
    merged = [*old, *[None] * (len(new) - len(old))]
    for index, value in enumerate(new):
        if value == PENDING:
            merged[index] = None
        elif value is not None:
            merged[index] = value
    return merged


def _at(value: Any, *names: str) -> Json:
    for name in names:
        value = _object(value).get(name)
    return value


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
