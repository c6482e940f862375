"""The answers of a readback.json that every backend gives alike, asked of a store: threads, messages, resources, runs and scores.

Shapes are TypeScript's without what is null, since its backends differ in whether they show that. Lists of scores and runs are given in our
order: the stores that scan leave theirs open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.wire import to_document
from mastra_core.storage.store import Store

RUN_IDS = ("run-suspended", "run-completed", "run-resumed")
SPAN = {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "1"}
RENAMED = {"workflow_name": "workflowName", "run_id": "runId"}


def shown(kind: Kind[Any], record: Any) -> Any:
    """A record as TypeScript shows it; it hides the type "v2" of messages."""
    document = {} if record is None else to_document(kind, record)
    return {RENAMED.get(name, name): value for name, value in document.items() if (name, value) != ("type", "v2")} or None


def without_nulls(said: Any, *, hidden: str | None = None) -> Any:
    """What TypeScript said, its records without null fields, and without the field *hidden* that holds a text."""
    if not isinstance(said, Mapping):
        return said
    return {name: value for name, value in said.items() if value is not None and not (name == hidden and isinstance(value, str))}


def said_of_message(said: Mapping[str, Any]) -> dict[str, Any]:
    """A message without its type, which backends show or not, and the time of its change, which DynamoDB has and a message has not."""
    return {name: value for name, value in said.items() if name != "updatedAt" and (name, value) != ("type", "v2")}


def newest_first(said: list[Any]) -> list[Any]:
    """Runs or scores in our order, by when they were made and by their key."""
    return sorted(said, key=lambda one: (one["createdAt"], one.get("workflowName", one.get("id")), one["runId"]), reverse=True)


def expected(said: Mapping[str, Any], *, hidden: str | None = None) -> dict[str, Any]:
    """The answers of TypeScript that `answers` gives, in the same shapes."""
    lists = {name: next((value for value in said[name].values() if isinstance(value, list)), None) for name in said if "list" in name}
    records = {name: [without_nulls(one, hidden=hidden) for one in found] for name, found in lists.items() if found is not None}
    wanted = {name: records[name] for name in records if name.startswith(("threads.list.resource", "threads.list.all"))}
    threads = [name for name in records if name.startswith("messages.list.thread") and name.endswith(".all")]
    wanted |= {name: [said_of_message(one) for one in records[name]] for name in threads}
    wanted |= {name: newest_first(records[name]) for name in records if name.startswith("workflows.list") and "page" not in name}
    for name in ("byScorer.manual", "byScorer.live", "byScorer.source", "byRun", "byEntity", "bySpan"):
        wanted[f"scores.{name}"] = newest_first([without_nulls(one) for one in said[f"scores.{name}"]["scores"]])
    wanted |= {name: without_nulls(said[name], hidden=hidden) for name in said if name.startswith(("resource.", "workflows.run."))}
    # Not what loadWorkflowSnapshot says: on Redis it misses the runs that are somebody's.
    wanted |= {f"workflows.snapshot.{name}": said[f"workflows.run.{name}"]["snapshot"] for name in RUN_IDS}
    return wanted | {"scores.byId": without_nulls(said["scores.byId"])}


async def answers(store: Store, said: Mapping[str, Any]) -> dict[str, Any]:
    """What *store* answers to the same questions."""
    memory, workflows, scores = store.memory, store.workflows, store.scores
    order: Mapping[str, Any] = {"workflow_name": "orderWorkflow"}
    found: dict[str, Any] = {"threads.list.all": [shown(THREADS, one) for one in await memory.list_threads(per_page=None)]}
    for name in ("user-a", "user-b", "user-c-edge", "nobody"):
        page = await memory.list_threads(filter={"resource_id": name}, per_page=None)
        found[f"threads.list.resource={name}"] = [shown(THREADS, one) for one in page]
    for name in ("thread-plain", "thread-tool", "thread-wm", "thread-edge"):
        found[f"messages.list.{name}.all"] = [shown(MESSAGES, one) for one in await memory.list_messages(name, per_page=None)]
    for name in ("user-a", "user-b", "nobody"):
        found[f"resource.{name}"] = shown(RESOURCES, await memory.get_resource_by_id(name))
    for name, asked in {"all": {}, "orderWorkflow": order, "suspended": {**order, "status": "suspended"}}.items():
        found[f"workflows.list.{name}"] = [shown(RUNS, one) for one in await workflows.list_workflow_runs(**asked)]
    mine = await workflows.list_workflow_runs(resource_id="user-a", **order)
    found["workflows.list.resource=user-a"] = [shown(RUNS, one) for one in mine]
    for name in RUN_IDS:
        found[f"workflows.run.{name}"] = shown(RUNS, await workflows.get_workflow_run_by_id(name, **order))
        assert found[f"workflows.run.{name}"] == shown(RUNS, await workflows.get_workflow_run_by_id(name))
        found[f"workflows.snapshot.{name}"] = await workflows.load_workflow_snapshot("orderWorkflow", run_id=name)
    lists = {
        "byScorer.manual": scores.list_scores_by_scorer_id("manual-scorer"),
        "byScorer.live": scores.list_scores_by_scorer_id("answer-length"),
        "byScorer.source": scores.list_scores_by_scorer_id("manual-scorer", source="TEST"),
        "byRun": scores.list_scores_by_run_id("score-run-1"),
        "byEntity": scores.list_scores_by_entity_id("plain-agent", entity_type="AGENT"),
        "bySpan": scores.list_scores_by_span(SPAN["trace_id"], span_id=SPAN["span_id"]),
    }
    found |= {f"scores.{name}": [shown(SCORES, one) for one in await listed] for name, listed in lists.items()}
    return found | {"scores.byId": shown(SCORES, await scores.get_score_by_id(said["scores.byId"]["id"]))}
