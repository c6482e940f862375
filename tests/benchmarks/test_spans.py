"""benchmarks/spans.py measures spans that are really stored; how fast is for a quiet machine to say, not for a test."""

from __future__ import annotations

from pathlib import Path

from benchmarks.spans import measure
from mastra_core.storage.libsql.store import LibSQLStore


async def test_the_spans_that_are_measured_are_stored(tmp_path: Path) -> None:
    """Issue: "10,000 spans a batch into libSQL: more than 20,000 spans/s on tmpfs is the aim": the figure counts spans that lie in the file."""
    figures = await measure(tmp_path, spans=200, batches=2)
    assert min(figures.values()) > 0
    async with LibSQLStore(url=f"file:{tmp_path}/spans.db") as store:
        page = await store.observability.list_traces(per_page=100)
        assert page.total in {None, 40}
        assert len(page.items) == 40
        trace = await store.observability.get_trace(page.items[0].trace_id)
        assert trace is not None
        assert len(trace.spans) == 10
