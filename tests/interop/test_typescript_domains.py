"""Runs, scores and spans in one file with two writers: the real `@mastra/libsql` reads ours and changes them, we read what it wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.storage import open_store
from mastra_core.storage.records.kind import Json, Kind
from mastra_core.storage.records.score_kinds import SCORES, Score
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.storage.records.wire import to_document
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import JSON_VALUES
from tests.interop.scripts import answer_of
from tests.interop.shapes import shown_at

START = clock.from_text("2024-01-01T00:00:00.001Z")
VALUES = {name: value for name, value in JSON_VALUES.items() if not isinstance(value, int) or abs(value) < 2**53}
"""Every type of JSON; JavaScript has no larger integers (contract §9.40)."""
THEIRS: Mapping[str, Json] = {
    **VALUES, "awkward.keys": {name: value for name, value in VALUES["awkward.keys"].items() if name != "__proto__"},
}  # fmt: skip
"""The same, given to TypeScript to write: there a key `__proto__` names the prototype, and is lost before anything is stored."""


def filled(kind: Kind[Any], values: Mapping[str, Json], **given: Any) -> dict[str, Any]:
    """A value for every field of *kind* but its times; *given* ones as they are, JSON ones with *values*."""
    made: dict[str, Any] = {}
    for field in kind.fields:
        if field.type == "json":
            made[field.name] = {"of": field.name, "values": values}
        elif field.type in {"id", "text"}:
            made[field.name] = f"{field.name} Ünï '\"\\ 🎉"
    return made | given


def a_score(values: Mapping[str, Json] = VALUES) -> Score:
    """A score with every field."""
    fields = filled(
        SCORES, values, id="full", run_id="run", entity_id="agent", entity_type="AGENT", source="LIVE", score=0.1 + 0.2,
        trace_id="trace", span_id="span",
    )  # fmt: skip
    return Score(**fields, created_at=START, updated_at=START)


def a_span(values: Mapping[str, Json] = VALUES) -> Span:
    """A root span with every field."""
    fields = filled(
        SPANS, values, trace_id="ours", span_id="root", parent_span_id=None, span_type="agent_run", is_event=False, started_at=START,
        ended_at=START + 5 * clock.MILLISECOND, tags=["a", "b"], links=[{"traceId": "x", "values": values}],
    )  # fmt: skip
    return Span(**fields, created_at=START, updated_at=START)


def parsed(value: Json) -> Json:
    """A text that is JSON as what it says, anything else as it is."""
    try:
        said: Json = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        return value
    return said


@pytest.fixture
def wanted(tmp_path: Path) -> str:
    """What TypeScript is to write, in a file of JSON."""
    path = tmp_path / "wanted.json"
    score = {name: value for name, value in to_document(SCORES, a_score(THEIRS)).items() if name not in {"id", "createdAt", "updatedAt"}}
    path.write_text(json.dumps({"values": THEIRS, "score": score, "span": to_document(SPANS, a_span(THEIRS))}))
    return str(path)


async def test_typescript_reads_our_runs_changes_them_and_we_read_that(shared_url: str, wanted: str) -> None:
    """Issue: "The real `@mastra/libsql` (…) read a file that we wrote, …, change it, and we read that: nothing lost or altered" (runs)."""
    snapshot = {"status": "suspended", "context": {"input": VALUES}, "value": {}}
    async with open_store(shared_url) as store:
        save = store.workflows.persist_workflow_snapshot
        await save("w", run_id="ours", snapshot=snapshot, resource_id="u1", created_at=START, updated_at=START)
        await save("w", run_id="gone", snapshot=snapshot)
    read = answer_of("workflows.mjs", shared_url, wanted)
    date = clock.to_text(START)
    shown = {"workflowName": "w", "runId": "ours", "resourceId": "u1", "snapshot": snapshot, "createdAt": date, "updatedAt": date}
    assert_same(read["run"], shown)
    assert_same(read["snapshot"], snapshot)
    assert_same(read["ofResource"], {"runs": [shown], "total": 1})
    assert [run["runId"] for run in read["waiting"]["runs"]] == ["gone", "ours"]
    assert read["late"] is None
    async with open_store(shared_url) as store:
        ours = await store.workflows.get_workflow_run_by_id("ours", workflow_name="w")
        theirs = await store.workflows.get_workflow_run_by_id("theirs", workflow_name="w")
        assert await store.workflows.get_workflow_run_by_id("gone", workflow_name="w") is None
    assert ours is not None
    assert theirs is not None
    # Of what it read, TypeScript loses a key `__proto__` on libSQL alone.
    context = {"input": THEIRS if shared_url.startswith("file") else VALUES, "done": {"status": "success", "output": THEIRS}}
    changed = {**snapshot, "status": "running", "result": THEIRS, "context": context, "requestContext": {"ts": True}}
    assert_same(ours.snapshot, changed)
    assert (ours.resource_id, ours.created_at) == ("u1", START)
    assert_same(theirs.snapshot, {"status": "success", "context": {"input": THEIRS}, "value": {}})
    dates = (clock.from_text("2024-05-01T00:00:00.123Z"), clock.from_text("2024-05-02T00:00:00.456Z"))
    assert (theirs.resource_id, theirs.created_at, theirs.updated_at) == ("u2", *dates)


async def test_typescript_reads_our_scores_replaces_one_and_we_read_that(shared_url: str, wanted: str) -> None:
    """Issue: "The real `@mastra/libsql` (…) read a file that we wrote, …, change it, and we read that: nothing lost or altered" (scores)."""
    payload = {name: getattr(a_score(), name) for name in SCORES.by_name if name not in {"created_at", "updated_at"}}
    async with open_store(shared_url) as store:
        full = await store.scores.save_score(payload)  # type: ignore[arg-type]  # the fields are a score's
        await store.scores.save_score({**payload, "id": "replaced"})  # type: ignore[typeddict-item]  # likewise
        for name, value in VALUES.items():
            held = {"id": f"ours-{name}", "scorer_id": "any-json", "input": value, "output": value}
            await store.scores.save_score({**payload, **held})  # type: ignore[typeddict-item]  # likewise
    read = answer_of("scores.mjs", shared_url, wanted)
    assert_same(read["full"], to_document(SCORES, full))
    # What is null in a column, TypeScript leaves out.
    by_name = {score["id"].removeprefix("ours-"): (score.get("input"), score.get("output")) for score in read["byScorer"]["scores"]}
    # To and from MongoDB, TypeScript takes a text that is JSON for what it says.
    told, written = [
        {name: parsed(value) if shared_url.startswith("mongodb") else value for name, value in values.items()}
        for values in (VALUES, THEIRS)
    ]
    assert_same(by_name, {name: (value, value) for name, value in told.items()})
    assert [read[name]["pagination"]["total"] for name in ("byRun", "byEntity", "bySpan")] == [len(VALUES) + 2] * 3
    async with open_store(shared_url) as store:
        assert_same(await store.scores.get_score_by_id("full"), full)
        for name, value in {"replaced": 0.25, "theirs": full.score}.items():
            found = await store.scores.get_score_by_id(name)
            assert found is not None
            dates: dict[str, Any] = {"created_at": found.created_at, "updated_at": found.updated_at}
            assert_same(found, attrs.evolve(a_score(THEIRS), id=name, score=value, **dates))
        page = await store.scores.list_scores_by_scorer_id("any-json-of-typescript", per_page=None)
    assert_same(
        {score.id.removeprefix("theirs-"): (score.input, score.output) for score in page},
        {name: (value, value) for name, value in written.items()},
    )


async def test_typescript_reads_our_spans_updates_them_and_we_read_that(shared_url: str, wanted: str) -> None:
    """Issue: "The real `@mastra/libsql` (…) read a file that we wrote, …, change it, and we read that: nothing lost or altered" (spans)."""
    root = a_span()
    child = attrs.evolve(root, span_id="child", parent_span_id="root", tags=None, started_at=START + clock.MILLISECOND, ended_at=None)
    event = attrs.evolve(child, span_id="event", is_event=True, started_at=START + 2 * clock.MILLISECOND)
    held = [attrs.evolve(event, trace_id="any-json", span_id=name, input=value, output=value) for name, value in VALUES.items()]
    async with open_store(shared_url) as store:
        await store.observability.batch_create_spans([root, child, event, attrs.evolve(root, trace_id="gone"), *held])
    read = answer_of("spans.mjs", shared_url, wanted)
    show = partial(shown_at, shared_url)
    assert_same(read["trace"], {"traceId": "ours", "spans": [show(span) for span in (root, child, event)]})
    assert_same(read["span"]["span"], show(child))
    assert_same(read["root"]["span"], show(root))
    assert sorted(found["traceId"] for found in read["roots"]["spans"]) == ["gone", "ours"]
    by_name = {span["spanId"]: (span.get("input"), span.get("output")) for span in read["values"]["spans"]}
    # From PostgreSQL, TypeScript reads a text that is JSON as what it says.
    told = {name: parsed(value) if shared_url.startswith("postgresql") else value for name, value in VALUES.items()}
    assert_same(by_name, {name: (value, value) for name, value in told.items()})
    async with open_store(shared_url) as store:
        ours, theirs, values = [await store.observability.get_trace(name) for name in ("ours", "theirs", "any-json-of-typescript")]
        assert await store.observability.get_trace("gone") is None
    assert ours is not None
    assert theirs is not None
    assert values is not None
    late: dict[str, Any] = {"ended_at": clock.from_text("2024-05-03T00:00:00.789Z"), "output": THEIRS, "error": {"message": "late"}}
    ended = attrs.evolve(child, **late, updated_at=ours.spans[1].updated_at)
    renamed = attrs.evolve(event, name="renamed", metadata=THEIRS, updated_at=ours.spans[2].updated_at)
    assert_same(ours.spans, [root, ended, renamed])
    (span,) = theirs.spans
    assert_same(span, attrs.evolve(a_span(THEIRS), trace_id="theirs", created_at=span.created_at, updated_at=span.updated_at))
    assert_same(
        {span.span_id: (span.input, span.output) for span in values.spans}, {name: (value, value) for name, value in THEIRS.items()}
    )
