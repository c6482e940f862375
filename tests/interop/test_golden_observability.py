"""Spans that the real TypeScript packages wrote are read as they read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from mastra_core.storage.domains.observability import ObservabilityDomain
from mastra_core.storage.libsql.store import LibSQLStore

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
