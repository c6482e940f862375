"""The real `@mastra/pg` searches vectors that we wrote and goes on with them, and what it wrote is read here."""

from __future__ import annotations

import json
import random
from typing import Any

import psycopg
import pytest

from mastra_pg import PgVector
from tests.interop.scripts import answer_of

CHANCE = random.Random(3)
ROWS = {f"v{number}": [CHANCE.gauss(0, 1) for _ in range(8)] for number in range(60)}
METADATA = [{"n": number, "owner": f"u{number % 3}", "odd": 'q"\\ é 🎉', "list": ["a", number % 2]} for number in range(60)]
ASKED = [CHANCE.gauss(0, 1) for _ in range(8)]
FILTERS: list[Any] = [None, {"owner": "u1"}, {"n": {"$gte": 30}}, {"$or": [{"n": 7}, {"owner": "u2"}]}, {"none": None}]


async def test_two_languages_take_turns_on_one_index(postgres_url: str) -> None:
    """Issue: "the real `@mastra/pg` reads what we wrote and appends, and we read that" (vectors).

    Each finds what the other wrote, with the same ids, scores, metadata and vectors, and takes the other's indexes for its own.
    """
    async with PgVector(connection_string=postgres_url) as vectors:
        await vectors.create_index("docs", dimension=8, metadata_indexes=["owner"])
        await vectors.upsert("docs", vectors=list(ROWS.values()), metadata=METADATA, ids=list(ROWS))
        ours = [await vectors.query("docs", query_vector=ASKED, filter=asked, top_k=100, include_vector=True) for asked in FILTERS]
        queries = [{"queryVector": ASKED, "topK": 100, "includeVector": True, **({"filter": asked} if asked else {})} for asked in FILTERS]
        theirs = answer_of("pg_vectors.mjs", postgres_url, json.dumps(queries))
        assert theirs["indexes"] == ["docs"]
        described = {"dimension": 8, "metric": "cosine", "count": 60, "type": "hnsw", "vectorType": "vector"}
        assert theirs["described"] == {**described, "config": {"m": 16, "efConstruction": 64}}
        for mine, other in zip(ours, theirs["answers"], strict=True):
            assert {match["id"]: match["metadata"] for match in other} == {match.id: match.metadata for match in mine}
            by_id = {match.id: match for match in mine}
            for match in other:
                assert match["score"] == pytest.approx(by_id[match["id"]].score, abs=1e-6)
                assert match["vector"] == pytest.approx(by_id[match["id"]].vector, rel=1e-5)
        after = {match.id: match for match in await vectors.query("docs", query_vector=ASKED, top_k=100, include_vector=True)}
        assert set(after) == (set(ROWS) | {"ts-1", "ts-2"}) - {"v0"}
        assert list(after["ts-1"].vector or ()) == [3, 1, 0, 0, 0, 0, 0, 0.5]
        assert after["ts-2"].metadata == {"by": "TypeScript", "odd": 'q"\\ \u2028 🎉', "none": None}
        assert (await vectors.describe_index("theirs")).metric == "euclidean"
        await vectors.create_index("theirs", dimension=8, metric="euclidean", metadata_indexes=["thread_id"])
        found = await vectors.query("theirs", query_vector=[1, 1, 0, 0, 0, 0, 0, 0.5], filter={"thread_id": "t"})
        assert [(match.id, match.score) for match in found] == [("a", 1.0)]
    with psycopg.connect(postgres_url) as connection:
        named = connection.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%md%' ORDER BY 1").fetchall()
    assert named == [("docs_md_86929431_idx",), ("theirs_md_57d95f6b_idx",)]
