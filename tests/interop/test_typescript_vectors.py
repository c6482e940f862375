"""The real `@mastra/libsql` searches vectors that we wrote, goes on with them, and we read that: in turns, on one file."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.vectors import LibSQLVector
from mastra_core.storage.vectors.port import VectorMatch
from tests.interop.scripts import answer_of

CHANCE = random.Random(3)
ROWS = {f"v{number}": [CHANCE.gauss(0, 1) for _ in range(8)] for number in range(60)}
METADATA = [{"n": number, "owner": f"u{number % 3}", "odd": 'q"\\ é 🎉', "list": ["a", number % 2]} for number in range(60)]
ASKED = [CHANCE.gauss(0, 1) for _ in range(8)]
FILTERS: list[Any] = [
    None,
    {"owner": "u1"},
    {"n": {"$gte": 30}},
    {"$or": [{"n": 7}, {"owner": "u2"}]},
    {"list": {"$in": [1]}},
    {"none": None},
]


def assert_alike(theirs: list[dict[str, Any]], ours: list[VectorMatch]) -> None:
    """The same matches, in the same order but for equal scores; TypeScript shows six digits of a vector."""
    assert [match["score"] for match in theirs] == pytest.approx([match.score for match in ours], abs=1e-6)
    by_id = {match.id: match for match in ours}
    assert {match["id"]: match["metadata"] for match in theirs} == {match.id: match.metadata for match in ours}
    for match in theirs:
        assert match["score"] == pytest.approx(by_id[match["id"]].score, abs=1e-6)
        assert match["vector"] == pytest.approx(by_id[match["id"]].vector, rel=1e-5)


async def answers(vectors: LibSQLVector) -> list[list[VectorMatch]]:
    """What we find for each filter."""
    return [await vectors.query("docs", query_vector=ASKED, filter=asked, top_k=100, include_vector=True) for asked in FILTERS]


def typescripts(url: str, way: str) -> Any:
    """What TypeScript finds for the same, before it goes on."""
    queries = [{"queryVector": ASKED, "topK": 100, "includeVector": True, **({"filter": asked} if asked else {})} for asked in FILTERS]
    return answer_of("vectors.mjs", url, way, json.dumps(queries))


def whole(path: Path) -> bool:
    """Whether plain SQLite finds nothing wrong with the file."""
    connection = connect(Place(str(path)))
    found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return bool(found == [("ok",)])


async def test_two_languages_take_turns_on_one_index(tmp_path: Path) -> None:
    """Issue: "The real `@mastra/libsql` (…) read a file that we wrote, in (…) vectors, change it, and we read that: nothing lost or altered".

    Each finds what the other wrote, with the same ids, scores, metadata and vectors, whether TypeScript has made its index or not.
    """
    path = tmp_path / "shared.db"
    url, expected = f"file:{path}", set(ROWS)
    async with LibSQLVector(url=url) as vectors:
        await vectors.create_index("docs", dimension=8, metadata_indexes=["owner"])
        await vectors.upsert("docs", vectors=list(ROWS.values()), metadata=METADATA, ids=list(ROWS))
    for way in ("indexed", "plain", "indexed"):
        async with LibSQLVector(url=url) as vectors:
            ours = await answers(vectors)
        assert {match.id for match in ours[0]} == expected
        theirs = typescripts(url, way)
        assert theirs["indexes"] == ["docs"]
        assert theirs["described"] == {"dimension": 8, "count": len(expected), "metric": "cosine"}
        for mine, other in zip(ours, theirs["answers"], strict=True):
            assert_alike(other, mine)
        assert theirs["nearest"] == (5 if way == "indexed" else None)
        expected = (expected | {f"{way}-1", f"{way}-2"}) - {"v0"}
        async with LibSQLVector(url=url) as vectors:
            assert (await vectors.describe_index("docs")).count == len(expected)
            found = {match.id: match for match in await vectors.query("docs", query_vector=ASKED, top_k=100, include_vector=True)}
            assert set(found) == expected
            assert found[f"{way}-1"].vector == (3, 1, 0, 0, 0, 0, 0, 0.5)
            assert found[f"{way}-1"].metadata == {"by": "TypeScript", "at": "1970-01-01T00:00:00.000Z"}
            assert found[f"{way}-2"].metadata == {"by": "TypeScript", "odd": 'q"\\ \u2028 🎉', "none": None}
            # What TypeScript's index, if it made one, cannot follow in plain SQLite.
            await vectors.upsert(
                "docs", vectors=[[*ASKED[:7], 0], [0, *ASKED[1:]]], ids=[f"ours-{way}", "v1"], metadata=[{"owner": "u1"}, {"n": 1}]
            )
            assert await vectors.delete_vectors("docs", ids=[f"{way}-2"]) == 1
        expected = (expected | {f"ours-{way}", "v1"}) - {f"{way}-2"}
        assert whole(path)


async def test_typescript_finds_our_other_metrics_as_cosine(tmp_path: Path) -> None:
    """An index of another metric is there for TypeScript, and keeps its metric when TypeScript has written to it."""
    url = f"file:{tmp_path}/shared.db"
    async with LibSQLVector(url=url) as vectors:
        await vectors.create_index("docs", dimension=8, metric="euclidean")
        await vectors.upsert("docs", vectors=list(ROWS.values()), metadata=METADATA, ids=list(ROWS))
    theirs = typescripts(url, "indexed")
    assert theirs["described"] == {"dimension": 8, "count": 60, "metric": "cosine"}
    async with LibSQLVector(url=url) as vectors:
        assert (await vectors.describe_index("docs")).metric == "euclidean"
        (match,) = await vectors.query("docs", query_vector=[3, 1, 0, 0, 0, 0, 0, 0.5], top_k=1)
        assert (match.id, match.score) == ("indexed-1", 1.0)
