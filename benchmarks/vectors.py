"""Searches among many vectors in an SQLite file: milliseconds of ours, and of the same statement by hand on the same library.

    .venv/bin/python benchmarks/vectors.py [--vectors 100000] [--dimension 384] [--rounds 15] [--folder DIR] [--json]

By hand is one SELECT with sqlite-vec's distance, ORDER BY and LIMIT, on a connection of its own, without a thread or a record. `filter` is
an equality that one vector in a hundred meets, with and without an index of the field; `residual` is a comparison, decided by Python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mastra_core.storage.libsql import distances
from mastra_core.storage.libsql.driver import Connection, Place, connect
from mastra_core.storage.libsql.vectors import LibSQLVector

BATCH = 1000
BY_HAND = "SELECT vector_id, 1 - vec_distance_cosine(embedding, ?) AS score, metadata FROM docs {where} ORDER BY score DESC LIMIT 10"
OWNER = "WHERE json_extract(metadata, '$.\"owner\"') = ?"


async def load(vectors: LibSQLVector, *, count: int, dimension: int) -> float:
    """Save *count* vectors of chance; how many a second."""
    chance, spent = random.Random(1), 0.0
    await vectors.create_index("docs", dimension=dimension)
    for start in range(0, count, BATCH):
        numbers = range(start, min(count, start + BATCH))
        batch = [array("b", chance.randbytes(dimension)) for _ in numbers]
        metadata = [{"n": n, "owner": f"u{n % 100}", "content": f"what was said, number {n}, " * 8} for n in numbers]
        began = time.perf_counter()
        await vectors.upsert("docs", vectors=batch, metadata=metadata, ids=[f"v{n}" for n in numbers])
        spent += time.perf_counter() - began
    return count / spent


async def paired(ours: Callable[[], Awaitable[object]], hand: Callable[[], object], rounds: int) -> dict[str, float]:
    """The milliseconds of a call of each, run in turn; the best of *rounds*, since what else the machine does only adds."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-1, rounds):
        began = time.perf_counter()
        await ours()
        between = time.perf_counter()
        hand()
        if number >= 0:
            times[0].append((between - began) * 1000)
            times[1].append((time.perf_counter() - between) * 1000)
    mine, by_hand = min(times[0]), min(times[1])
    return {"ours_ms": mine, "by_hand_ms": by_hand, "ratio": mine / by_hand}


async def measure(folder: Path, *, count: int, dimension: int, rounds: int) -> dict[str, Any]:
    """Every figure, on a fresh file."""
    figures: dict[str, Any] = {}
    chance = random.Random(2)
    asked = array("b", chance.randbytes(dimension))
    blob = array("f", asked).tobytes()
    async with LibSQLVector(url=f"file:{folder}/vectors.db") as vectors:
        figures["upserts_per_second"] = await load(vectors, count=count, dimension=dimension)
        hand: Connection = connect(Place(f"{folder}/vectors.db"))
        distances.prepare(hand)

        def by_hand(where: str = "", *values: object) -> list[Any]:
            return hand.execute(BY_HAND.format(where=where), [blob, *values]).fetchall()

        def query(filter: dict[str, Any] | None = None) -> Callable[[], Awaitable[object]]:
            return lambda: vectors.query("docs", query_vector=asked, filter=filter)

        figures["all"] = await paired(query(), by_hand, rounds)
        figures["filter"] = await paired(query({"owner": "u7"}), lambda: by_hand(OWNER, "u7"), rounds)
        figures["residual"] = await paired(query({"n": {"$gte": count // 2}}), by_hand, rounds)
        await vectors.create_index("docs", dimension=dimension, metadata_indexes=["owner"])
        figures["filter, indexed"] = await paired(query({"owner": "u7"}), lambda: by_hand(OWNER, "u7"), rounds)
        hand.close()
    return figures


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--vectors", type=int, default=100_000)
    options.add_argument("--dimension", type=int, default=384)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--folder", default=None, help="where the file lies; a folder in memory leaves out the disk")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        figures = asyncio.run(measure(Path(folder), count=given.vectors, dimension=given.dimension, rounds=given.rounds))
    if given.json:
        print(json.dumps(figures))
        return
    for name, row in figures.items():
        shown = row if isinstance(row, dict) else {name: row}
        print(f"{name:18}", "  ".join(f"{what} {value:.2f}" for what, value in shown.items()))


if __name__ == "__main__":
    main()
