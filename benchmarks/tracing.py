"""What tracing adds to a turn of an agent with a model that answers at once: microseconds of the processor, on beside off in one run.

    .venv/bin/python benchmarks/tracing.py [--rounds 40] [--folder /dev/shm] [--json]

Of each two turns of one agent one is traced and one is not, the traced one first every other time. Two agents, each with a store of its
own, tell less: their threads run on other processors, and that alone makes 100 us between two processes of the same code. "In the run" is
the median of what a turn took more than the one beside it, on the thread of their event loop; "after it" is what the exporter takes in its
thread, to make records of the spans and to hand them over; "ours" is both. "Stored" is what the process takes to write them, the database
included. Time is that on a processor, so waiting costs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from unittest import mock

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from benchmarks.peers.timing import QUESTION
from benchmarks.whole_turn import FakeModel
from mastra_core import Agent, Mastra, Memory, MemoryOptions, Observability
from mastra_core.storage import LibSQLStore
from mastra_core.telemetry.tracing import OFF

Export = Callable[[Sequence[ReadableSpan]], SpanExportResult]

TURNS = 20
"""Turns between two looks at the clock."""


class Case:
    """One agent, and what its turns took."""

    def __init__(self, path: Path, *, observability: Observability | None) -> None:
        self.store = LibSQLStore(url=f"file:{path}")
        self.agent = Agent("support", instructions="Be brief.", model=FakeModel(), memory=Memory(options=MemoryOptions(last_messages=10)))
        self.mastra = Mastra(storage=self.store, agents={"support": self.agent}, observability=observability or False)
        self.turn: dict[bool, list[float]] = {True: [], False: []}
        self.exporting: list[float] = []
        self.storing: list[float] = []

    async def round(self, *, kept: bool) -> None:
        """Some turns, each traced and not, and then what is left to do for their spans."""
        exporting: list[float] = []
        for number in range(TURNS):
            for traced in (True, False) if number % 2 else (False, True):
                took = await self.took(traced=traced)
                if kept:
                    self.turn[traced].append(took)
        ended = time.process_time()
        if self.mastra.observer is not None:
            with mock.patch.object(self.mastra.observer.exporter, "export", timed(self.mastra.observer.exporter.export, into=exporting)):
                await self.mastra.observer.flush()
        flushed = time.process_time()
        if kept:
            self.exporting.append(sum(exporting) / TURNS * 1e6)
            self.storing.append((flushed - ended - sum(exporting)) / TURNS * 1e6)

    async def took(self, *, traced: bool) -> float:
        """The microseconds of one turn."""
        self.agent.tracing = (traced and self.mastra.observer) or OFF
        records = self.store.memory.records
        with mock.patch.object(records, "watchers", records.watchers if traced else ()):
            began = time.thread_time_ns()
            await self.agent.generate(QUESTION, thread="t", resource="u")
            return (time.thread_time_ns() - began) / 1e3


def timed(export: Export, *, into: list[float]) -> Export:
    """*export*, which notes the time it took on its thread."""

    def run(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        began = time.thread_time()
        result = export(spans)
        into.append(time.thread_time() - began)
        return result

    return run


async def measure(folder: Path, *, rounds: int) -> list[dict[str, float | str]]:
    """The median microseconds a turn, of each case."""
    everything = Observability(storage_operations=True, meter_provider=MeterProvider([InMemoryMetricReader()]))
    wanted = {"off": None, "on": Observability(), "on, with storage operations and metrics": everything}
    async with AsyncExitStack() as stack:
        cases = {
            name: Case(folder / f"{index}.db", observability=observability) for index, (name, observability) in enumerate(wanted.items())
        }
        for case in cases.values():
            await stack.enter_async_context(case.mastra)
        gc.disable()
        for number in range(-2, rounds):
            for case in cases.values():
                gc.collect()
                await case.round(kept=number >= 0)
        gc.enable()
    return rows(cases)


def rows(cases: dict[str, Case]) -> list[dict[str, float | str]]:
    """The figures of each case."""
    found: list[dict[str, float | str]] = []
    for name, case in cases.items():
        on = case.mastra.observer is not None
        more = middle([traced - plain for traced, plain in zip(case.turn[True], case.turn[False], strict=True)]) if on else 0.0
        after, stored = (middle(case.exporting), middle(case.storing)) if on else (0.0, 0.0)
        told: dict[str, float | str] = {"case": name, "turn_us": middle(case.turn[on]), "in_run_us": more}
        found.append({**told, "after_us": after, "ours_us": round(more + after, 1), "stored_us": stored})
    return found


def middle(values: Sequence[float]) -> float:
    return round(statistics.median(values), 1)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shm = Path("/dev/shm")  # noqa: S108  # the point is a file that costs no disk
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=shm if shm.is_dir() else Path(tempfile.gettempdir()))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = asyncio.run(measure(Path(folder), rounds=options.rounds))
    for row in found:
        if options.json:
            print(json.dumps(row))
        else:
            print(
                f"{row['case']:40} turn {row['turn_us']:6.0f} us; more in the run {row['in_run_us']:4.0f}, "
                f"after it {row['after_us']:4.0f}, ours {row['ours_us']:4.0f}, stored {row['stored_us']:4.0f}"
            )


if __name__ == "__main__":
    main()
