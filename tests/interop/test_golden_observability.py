"""Spans that the real TypeScript packages wrote are read as they read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.storage.domains.observability import ObservabilityDomain
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.span_kinds import SPANS, Span

GOLDEN = Path(__file__).parent / "golden" / "libsql"


@pytest.fixture(scope="session")
def said() -> Mapping[str, Any]:
    """What the TypeScript API answered to each call, by the name of the call."""
    return json.loads((GOLDEN / "readback.json").read_text())["results"]


@pytest.fixture
async def spans(tmp_path: Path) -> AsyncIterator[ObservabilityDomain]:
    """The observability domain over a copy of the golden database."""
    shutil.copy(GOLDEN / "golden.db", tmp_path / "golden.db")
    async with LibSQLStore(url=f"file:{tmp_path}/golden.db") as store:
        yield store.observability


def shown(span: Span) -> dict[str, Any]:
    """A span as TypeScript shows it in a trace: every column, null where there is nothing."""
    values = {field.stored: getattr(span, field.name) for field in SPANS.fields}
    times = {field.stored for field in SPANS.fields if field.type == "time"}
    return {name: clock.to_text(value) if name in times and value is not None else value for name, value in values.items()}


def by_place(shown_spans: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Spans in our order: TypeScript leaves open which of two that started in one millisecond comes first."""
    return sorted(shown_spans, key=lambda span: (span["startedAt"], span["spanId"]))


async def test_spans_of_typescript_are_updated_and_deleted(spans: ObservabilityDomain, said: Mapping[str, Any]) -> None:
    """A Python exporter goes on with a trace that a TypeScript one began, in the tables that it made."""
    known = said["traces.list"]["spans"][0]
    trace_id, span_id = known["traceId"], known["spanId"]
    before = await spans.get_span(trace_id, span_id=span_id)
    assert before is not None
    await spans.update_span(trace_id, span_id=span_id, updates={"error": {"message": "late"}})
    after = await spans.get_span(trace_id, span_id=span_id)
    assert after is not None
    assert after == attrs.evolve(before, error={"message": "late"}, updated_at=after.updated_at)
    await spans.create_span(before)
    assert await spans.get_span(trace_id, span_id=span_id) == before
    branch = await spans.get_branch(trace_id, span_id=span_id)
    assert branch == await spans.get_trace(trace_id)
    await spans.batch_delete_traces([trace_id])
    assert await spans.get_trace(trace_id) is None
    assert (await spans.list_traces(include_total=True)).total == 12
