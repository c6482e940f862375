"""Spans saved in batches on PostgreSQL: through the store, by COPY and by unnest by hand, and through the real @mastra/pg, in one run.

    .venv/bin/python benchmarks/postgres_spans.py [--spans 10000] [--batches 5] [--url postgresql://…] [--json]

The spans are those of benchmarks/spans.py. By hand means: the JSON of the same fields encoded, and one COPY, which refuses a span that is
there, or one INSERT from arrays, which replaces it as the store does; nothing is checked. All write into the same table with its indexes,
in turn, each spans of its own, and @mastra/pg has a process of its own and times itself. Without --url a server is started that waits for
no disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg

from benchmarks.peers.postgres import Node, database
from benchmarks.spans import STEPS, a_trace
from mastra_core.storage import open_store
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.storage.records.wire import to_document
from mastra_core.storage.store import Store
from tests.servers.process import MissingServerError

TIMES = [field for field in SPANS.fields if field.type == "time"]
TYPES = {"time": "timestamptz", "json": "jsonb", "bool": "boolean"}
Write = Callable[[Sequence[Span]], Awaitable[float]]
"""Saves spans, and says how many seconds that took."""


def columns() -> tuple[list[str], list[str]]:
    """The columns of a span, and their types: one for each field, and the wall clock for each time."""
    fields = [(f"{field.column}Z" if field.type == "time" else field.column, TYPES.get(field.type, "text")) for field in SPANS.fields]
    both = [*fields, *((field.column, "timestamp") for field in TIMES)]
    return [name for name, _ in both], [declared for _, declared in both]


def row(span: Span) -> list[Any]:
    """The values of `columns`, written by hand."""
    values: list[Any] = []
    for field in SPANS.fields:
        value = getattr(span, field.name)
        values.append(json.dumps(value) if field.type == "json" and value is not None else value)
    return [*values, *(None if (at := getattr(span, field.name)) is None else at.replace(tzinfo=None) for field in TIMES)]


async def timed(work: Awaitable[object]) -> float:
    """How many seconds this took."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def contenders(store: Store, connection: psycopg.AsyncConnection[Any], node: Node | None) -> dict[str, Write]:
    """Who saves."""
    names, types = columns()
    listed = ", ".join(f'"{name}"' for name in names)
    # Times of writing are the server's to give where a span has none yet.
    replaced = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in {"traceId", "spanId"})
    arrays = ", ".join(f"%s::{declared}[]" if declared != "jsonb" else "%s::text[]::jsonb[]" for declared in types)
    unnest = (
        f'INSERT INTO mastra_ai_spans ({listed}) SELECT * FROM unnest({arrays}) ON CONFLICT ("traceId", "spanId") DO UPDATE SET {replaced}'
    )

    async def copy(spans: Sequence[Span]) -> None:
        async with connection.cursor().copy(f"COPY mastra_ai_spans ({listed}) FROM STDIN") as copying:
            for span in spans:
                await copying.write_row(row(span))

    async def insert(spans: Sequence[Span]) -> None:
        await connection.execute(unnest, [list(values) for values in zip(*map(row, spans), strict=True)])

    async def theirs(spans: Sequence[Span]) -> float:
        assert node is not None
        return float((await asyncio.to_thread(node.ask, "spans", spans=[to_document(SPANS, span) for span in spans]))["ms"]) / 1000

    found: dict[str, Write] = {
        "ours": lambda spans: timed(store.observability.batch_create_spans(spans)),
        "copy": lambda spans: timed(copy(spans)),
        "unnest": lambda spans: timed(insert(spans)),
    }
    return found if node is None else {**found, "typescript": theirs}


async def measure(url: str, *, spans: int, batches: int) -> dict[str, Any]:
    """The median of spans a second of everybody, and the ratio of the seconds of ours to those by hand; the first batch is not counted."""
    missing: dict[str, str] = {}
    node: Node | None = None
    try:
        node = Node(url)
    except MissingServerError as error:
        missing["typescript"] = str(error)
    rates: dict[str, list[float]] = {}
    async with open_store(url) as store, await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await store.init()
        if node is not None:
            await asyncio.to_thread(node.ask, "open")
        for batch in range(-1, batches):
            for name, write in contenders(store, connection, node).items():
                made = [span for number in range(spans // STEPS) for span in a_trace(number)]
                taken = await write(made)
                if batch >= 0:
                    rates.setdefault(name, []).append(len(made) / taken)
        counted = await (await connection.execute("SELECT count(*) FROM mastra_ai_spans")).fetchone()
    if node is not None:
        node.__exit__(None, None, None)
    assert counted is not None
    wanted = (batches + 1) * (spans // STEPS * STEPS) * len(rates)
    if counted[0] != wanted:
        msg = f"{counted[0]} spans are stored, {wanted} were saved; what was timed is not the saving of spans"
        raise RuntimeError(msg)
    figures = {f"{name}_per_second": statistics.median(held) for name, held in rates.items()}
    ratios = {
        f"{name}_ratio": statistics.median(other / ours for ours, other in zip(rates["ours"], held, strict=True))
        for name, held in rates.items()
        if name != "ours"
    }
    return {**figures, **ratios, "stored": counted[0], "missing": missing}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=10_000, help="spans a batch")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--url", default=None, help="a server on which databases may be created")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with database(given.url) as url:
        figures = asyncio.run(measure(url, spans=given.spans, batches=given.batches))
    if given.json:
        print(json.dumps(figures))
        return
    print(f"{given.batches} batches of {given.spans} spans into PostgreSQL")
    for name, figure in figures.items():
        if name.endswith("_per_second"):
            who = name.removesuffix("_per_second")
            ratio = "" if who == "ours" else f", ours takes {figures[f'{who}_ratio']:.2f} times as long"
            print(f"  {who:10}  {figure:10,.0f} spans/s{ratio}")
    for who, why in figures["missing"].items():
        print(f"  {who} is missing: {why}")


if __name__ == "__main__":
    main()
