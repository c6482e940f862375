"""Spans saved in batches, and traces listed: how many a second, on a file in memory where the system has one (/dev/shm).

    .venv/bin/python benchmarks/spans.py [--spans 10000] [--batches 5] [--folder /dev/shm] [--json]

The spans are like those of an agent run: one root and nine steps a trace, each with ids, metadata, attributes, an input and an output,
0.7 kB of JSON together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mastra_core import clock
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.span_kinds import Span

START = datetime(2025, 1, 1, tzinfo=UTC)
STEPS = 10
"""Spans of a trace."""
TEXT = "What is the weather in Lisbon, and what should I wear? " * 3


def a_trace(number: int) -> list[Span]:
    """The spans of the agent run of this number, with ids of their own as TypeScript makes them."""
    begun = START + timedelta(seconds=number)
    trace_id = clock.new_id().replace("-", "")
    ids = [clock.new_id().replace("-", "")[16:] for _ in range(STEPS)]
    return [
        Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=ids[0] if index else None,
            name="agent run: 'weather'" if not index else f"step: {index}",
            span_type="model_step" if index else "agent_run",
            started_at=begun + timedelta(milliseconds=index),
            ended_at=begun + timedelta(milliseconds=index + 500),
            entity_type="agent",
            entity_id="weather",
            entity_name="Weather",
            resource_id="user-456",
            run_id="run-1",
            thread_id="thread-123",
            metadata={"runId": "run-1", "resourceId": "user-456", "threadId": "thread-123"},
            attributes={
                "stepIndex": index,
                "finishReason": "stop",
                "usage": {"inputTokens": 120, "outputTokens": 30},
                "isContinued": False,
            },
            input={"messages": [{"role": "user", "content": TEXT}]},
            output={"text": TEXT, "toolCalls": []},
            tags=["demo"] if not index else None,
        )
        for index, span_id in enumerate(ids)
    ]


async def measure(folder: Path, *, spans: int, batches: int) -> dict[str, float]:
    """Figures of one run on a fresh file."""
    async with LibSQLStore(url=f"file:{folder}/spans.db") as store:
        domain = store.observability
        rates, created = [], list[Span]()
        for batch in range(batches):
            created = [span for number in range(spans // STEPS) for span in a_trace(batch * spans + number)]
            begun = time.perf_counter()
            await domain.batch_create_spans(created)
            rates.append(len(created) / (time.perf_counter() - begun))
        begun = time.perf_counter()
        await domain.batch_update_spans(
            [{"trace_id": s.trace_id, "span_id": s.span_id, "updates": {"ended_at": s.ended_at, "output": s.output}} for s in created]
        )
        updated = len(created) / (time.perf_counter() - begun)
        begun = time.perf_counter()
        for _ in range(20):
            await domain.list_traces()
        listed = (time.perf_counter() - begun) / 20
        begun = time.perf_counter()
        for root in created[::STEPS][:20]:
            await domain.get_trace(root.trace_id)
        read = (time.perf_counter() - begun) / min(20, len(created) // STEPS)
    figures = {"created_per_second": statistics.median(rates), "created_per_second_best": max(rates), "updated_per_second": updated}
    return {**figures, "list_traces_ms": listed * 1000, "get_trace_ms": read * 1000}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shm = Path("/dev/shm")  # noqa: S108  # the point is a file that costs no disk
    parser.add_argument("--spans", type=int, default=10_000, help="spans a batch")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=shm if shm.is_dir() else Path(tempfile.gettempdir()))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = asyncio.run(measure(Path(folder), spans=options.spans, batches=options.batches))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{options.batches} batches of {options.spans} spans into libSQL in {options.folder}")
    print(f"  created  {figures['created_per_second']:10,.0f} spans/s (best {figures['created_per_second_best']:,.0f})")
    print(f"  updated  {figures['updated_per_second']:10,.0f} spans/s")
    print(f"  list_traces, 10 of {options.batches * options.spans // STEPS:,}: {figures['list_traces_ms']:.2f} ms")
    print(f"  get_trace, {STEPS} spans: {figures['get_trace_ms']:.2f} ms")


if __name__ == "__main__":
    main()
