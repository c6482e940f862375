"""Searches among many vectors in PostgreSQL: recall and milliseconds of ours, by hand on psycopg, and of the real @mastra/pg, in one run.

    .venv/bin/python benchmarks/postgres_vectors.py [--vectors 100000] [--dimension 384] [--queries 50] [--url postgresql://…] [--json]

The vectors lie around 1,000 centres, as embeddings of texts lie around what texts are about, and so do those that are asked for. They are
loaded by COPY into the table that ours made (hnsw). By hand is one SELECT on the same table, ordered by the same index, searched as widely
(hnsw.ef_search). Recall is the part of the true nearest ten that was found; the truth is an exact search of the server's. "filter" is an
equality that one vector in a hundred meets, with an index of the field; "wide filter" one that half of them meet, without one. Everybody
asks in turn, and @mastra/pg, in a process of its own, times itself. Without --url a server is started that waits for no disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import psycopg

from benchmarks.peers.postgres import Node, database
from mastra_pg import PgVector
from tests.servers.process import MissingServerError

CENTRES = 1000
TOP = 10
CHUNK = 1000
Filter = Mapping[str, Any] | None


@attrs.frozen
class Case:
    """What is asked of everybody.

    Attributes:
        filter: as ours and TypeScript's take it.
        where: the same by hand.
    """

    filter: Filter = None
    where: str = ""


CASES: Mapping[str, Case] = {
    "all": Case(),
    "filter": Case({"owner": "u7"}, "WHERE metadata ->> 'owner' = 'u7'"),
    "wide filter": Case({"half": 1}, "WHERE metadata -> 'half' = '1'"),
}


class Cloud:
    """Vectors around centres, the same in each run."""

    def __init__(self, dimension: int) -> None:
        """Vectors of so many components."""
        self._chance = np.random.default_rng(7)
        self._centres = self._chance.normal(size=(CENTRES, dimension))

    def vectors(self, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """So many more, each near one of the centres."""
        chosen = self._centres[self._chance.integers(CENTRES, size=count)]
        return self._chance.normal(chosen, 0.7).astype(np.float32)


def copied(cloud: Cloud, count: int) -> Iterator[bytes]:
    """The binary form of COPY for (vector_id, embedding, metadata), in chunks."""
    yield b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
    for start in range(0, count, CHUNK):
        rows = []
        numbers = range(start, min(count, start + CHUNK))
        for number, vector in zip(numbers, cloud.vectors(len(numbers)).astype(">f4"), strict=True):
            said = json.dumps(
                {"n": number, "owner": f"u{number % 100}", "half": number % 2, "content": f"what was said, number {number}, " * 8}
            )
            values = (f"v{number}".encode(), struct.pack("!hh", len(vector), 0) + vector.tobytes(), b"\x01" + said.encode())
            rows.append(struct.pack("!h", len(values)) + b"".join(struct.pack("!i", len(value)) + value for value in values))
        yield b"".join(rows)
    yield struct.pack("!h", -1)


async def load(url: str, vectors: PgVector, cloud: Cloud, *, count: int, dimension: int) -> dict[str, float]:
    """Fill the table that ours made; its nearest-neighbour index is dropped before and made again after, by the same statement."""
    began = time.perf_counter()
    await vectors.create_index("docs", dimension=dimension, metadata_indexes=["owner"])
    async with await psycopg.AsyncConnection.connect(f"{url}?options=-c%20maintenance_work_mem%3D2GB", autocommit=True) as connection:
        found = await connection.execute("SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '%USING hnsw%'")
        ((name, definition),) = await found.fetchall()
        await connection.execute(f'DROP INDEX "{name}"')
        async with connection.cursor().copy("COPY docs (vector_id, embedding, metadata) FROM STDIN (FORMAT BINARY)") as copy:
            for chunk in copied(cloud, count):
                await copy.write(chunk)
        loaded = time.perf_counter()
        await connection.execute(definition)
        built = time.perf_counter()
        await connection.execute("VACUUM ANALYZE docs")
    return {"load_seconds": loaded - began, "index_seconds": built - loaded}


def text(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector))}]"


async def search(connection: psycopg.AsyncConnection[Any], case: Case, asked: Sequence[float]) -> list[str]:
    """By hand: the ids that one SELECT finds."""
    found = await connection.execute(
        f"SELECT vector_id, 1 - (embedding <=> %(asked)s::vector) AS score, metadata FROM docs {case.where} "
        f"ORDER BY embedding <=> %(asked)s::vector LIMIT {TOP}",
        {"asked": text(asked)},
    )
    return [row[0] for row in await found.fetchall()]


async def measure(url: str, vectors: PgVector, case: Case, asked: Sequence[Sequence[float]], node: Node | None) -> dict[str, Any]:
    """Milliseconds of a search of everybody, the median, and the mean recall; the first search of each is not counted."""
    times: dict[str, list[float]] = {}
    hits: dict[str, list[float]] = {}
    by_hand = await psycopg.AsyncConnection.connect(url, autocommit=True)
    exact = await psycopg.AsyncConnection.connect(f"{url}?options=-c%20enable_indexscan%3Doff", autocommit=True)
    async with by_hand, exact:
        await by_hand.execute("SELECT set_config('hnsw.iterative_scan', 'strict_order', false), set_config('hnsw.ef_search', '100', false)")
        for number, vector in enumerate(asked):
            truth = set(await search(exact, case, vector))
            answers: dict[str, tuple[float, list[str]]] = {}
            # Who comes second finds the pages in memory.
            for name in ("ours", "by_hand") if number % 2 else ("by_hand", "ours"):
                began = time.perf_counter()
                if name == "ours":
                    found = [match.id for match in await vectors.query("docs", query_vector=vector, top_k=TOP, filter=case.filter)]
                else:
                    found = await search(by_hand, case, vector)
                answers[name] = (time.perf_counter() - began, found)
            if node is not None:
                query = {"queryVector": vector, **({"filter": case.filter} if case.filter else {})}
                told = await asyncio.to_thread(node.ask, "query", queries=[query])
                answers["typescript"] = (told["ms"] / 1000, told["found"][0])
            for name, (seconds, found) in answers.items():
                hits.setdefault(name, []).append(len(truth.intersection(found)) / len(truth))
                if number:
                    times.setdefault(name, []).append(seconds * 1000)
    ratio = statistics.median(ours / hand for ours, hand in zip(times["ours"], times["by_hand"], strict=True))
    medians = {f"{name}_ms": statistics.median(held) for name, held in times.items()}
    return {**medians, "ratio": ratio, **{f"{name}_recall": statistics.mean(held) for name, held in hits.items()}}


async def benchmark(url: str, *, count: int, dimension: int, queries: int) -> dict[str, Any]:
    """Every figure, and who is missing and why."""
    figures: dict[str, Any] = {"missing": {}}
    node: Node | None = None
    try:
        node = Node(url)
    except MissingServerError as error:
        figures["missing"]["typescript"] = str(error)
    cloud = Cloud(dimension)
    async with PgVector(connection_string=url) as vectors:
        figures |= await load(url, vectors, cloud, count=count, dimension=dimension)
        asked: list[list[float]] = cloud.vectors(queries).tolist()
        for name, case in CASES.items():
            figures[name] = await measure(url, vectors, case, asked, node)
        added: list[list[float]] = cloud.vectors(CHUNK).tolist()
        began = time.perf_counter()
        await vectors.upsert("docs", vectors=added, ids=[f"new{n}" for n in range(CHUNK)], metadata=[{"owner": "new"}] * CHUNK)
        figures["upserts_per_second"] = CHUNK / (time.perf_counter() - began)
        figures["stored"] = (await vectors.describe_index("docs")).count
    if node is not None:
        node.__exit__(None, None, None)
    return figures


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--vectors", type=int, default=100_000)
    options.add_argument("--dimension", type=int, default=384)
    options.add_argument("--queries", type=int, default=50)
    options.add_argument("--url", default=None, help="a server on which databases may be created")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with database(given.url) as url:
        figures = asyncio.run(benchmark(url, count=given.vectors, dimension=given.dimension, queries=given.queries))
    if given.json:
        print(json.dumps(figures))
        return
    for name, row in figures.items():
        shown = row if isinstance(row, dict) else {"": row}
        print(
            f"{name:18}",
            "  ".join(f"{what} {value:.2f}" if isinstance(value, float) else f"{what} {value}" for what, value in shown.items()),
        )


if __name__ == "__main__":
    main()
