"""benchmarks/tracing.py measures turns whose spans are really stored; how many microseconds is for a quiet machine to say, not for a test."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tracing import TURNS, measure
from mastra_core.storage import LibSQLStore


async def test_what_is_measured_is_traced_and_stored(tmp_path: Path) -> None:
    """Must hold: "at most 150 us of our own time": the figure is of whole turns, each with its five spans, or seven with operations."""
    off, on, everything = await measure(tmp_path, rounds=1)
    assert (off["case"], off["in_run_us"], off["after_us"], off["ours_us"]) == ("off", 0, 0, 0)
    assert min(float(row["turn_us"]) for row in (off, on, everything)) > 0
    assert min(float(row["after_us"]) for row in (on, everything)) > 0
    stored = []
    for number in range(3):
        async with LibSQLStore(url=f"file:{tmp_path}/{number}.db") as store:
            page = await store.observability.list_traces(per_page=None)
            traces = [await store.observability.get_trace(root.trace_id) for root in page]
            stored.append([len(trace.spans) for trace in traces if trace])
    # Two rounds to warm up, and one.
    assert stored == [[], [5] * 3 * TURNS, [7] * 3 * TURNS]
