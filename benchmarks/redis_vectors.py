"""Searches among many vectors in Redis: recall and milliseconds along a search index and by looking at each, in one run.

    .venv/bin/python benchmarks/redis_vectors.py [--vectors 10000] [--dimension 384] [--queries 50] [--url redis://…] [--json]

The vectors lie around 1,000 centres, as those of `postgres_vectors.py` do, and so do those that are asked for. "native" and "exact" are two
stores over the same index; recall is the part of the exact ten nearest that native found. "thread" is an equality that one vector in a
hundred meets, by a field named in metadata_indexes. Everybody asks in turn, one query at a time. Without --url a server is started.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.postgres_vectors import TOP, Cloud
from mastra_redis import RedisVector
from tests.servers.redis_search import RedisSearchServer

CHUNK = 1000
CASES: Mapping[str, Mapping[str, Any] | None] = {"all": None, "thread": {"thread_id": "t7"}}


async def measured(url: str, *, vectors: int, dimension: int, queries: int) -> dict[str, Any]:
    """What loading cost, and of each case and way the milliseconds of a query."""
    cloud = Cloud(dimension)
    native = RedisVector(connection_string=url, search="native", key_prefix="bench:")
    exact = RedisVector(connection_string=url, search="exact", key_prefix="bench:", exact_search_limit=vectors)
    async with native, exact:
        await native.delete_index("docs")
        await native.create_index("docs", dimension=dimension, metadata_indexes=["thread_id"])
        started = time.perf_counter()
        for start in range(0, vectors, CHUNK):
            some = cloud.vectors(min(CHUNK, vectors - start)).tolist()
            said = [{"thread_id": f"t{n % 100}", "content": f"what was said, number {n}"} for n in range(start, start + len(some))]
            await native.upsert("docs", vectors=some, metadata=said)
        told: dict[str, Any] = {"load_vectors_per_second": round(vectors / (time.perf_counter() - started))}
        asked = cloud.vectors(queries).tolist()
        for case, filter_ in CASES.items():
            times: dict[str, list[float]] = {"native": [], "exact": []}
            hits = 0
            for one in asked:
                found = {}
                for way, store in (("native", native), ("exact", exact)):
                    begun = time.perf_counter()
                    found[way] = await store.query("docs", query_vector=one, top_k=TOP, filter=filter_)
                    times[way].append(1000 * (time.perf_counter() - begun))
                hits += len({match.id for match in found["native"]} & {match.id for match in found["exact"]})
            told[case] = {way: round(statistics.median(spent), 2) for way, spent in times.items()} | {
                "recall": round(hits / (TOP * queries), 4)
            }
        await native.delete_index("docs")
    return told


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("vectors", 10_000), ("dimension", 384), ("queries", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--url")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        url = given.url
        if url is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mastra-redis-", ignore_cleanup_errors=True))
            url = stack.enter_context(RedisSearchServer(Path(folder))).url
        told = asyncio.run(measured(url, vectors=given.vectors, dimension=given.dimension, queries=given.queries))
    if given.json:
        print(json.dumps(told))
        return
    print(f"{given.vectors:,} vectors of {given.dimension}: loaded at {told['load_vectors_per_second']:,} a second")
    for case in CASES:
        one = told[case]
        print(f"{case:8} native {one['native']:8.2f} ms   exact {one['exact']:8.2f} ms   recall {one['recall']:.3f}")


if __name__ == "__main__":
    main()
