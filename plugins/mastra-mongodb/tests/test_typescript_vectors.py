"""The real `@mastra/mongodb` searches vectors that we wrote and goes on with them, and what it wrote is read here.

It can do nothing without search indexes, so the server is mongoeco, whose scores are not Atlas's: which vectors are found is compared, and
what is stored with them.
"""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest

from mastra_mongodb import MongoDBVector
from tests.interop.scripts import answer_of

CHANCE = random.Random(3)
ROWS = {f"v{number}": [CHANCE.gauss(0, 1) for _ in range(8)] for number in range(60)}
METADATA = [{"n": number, "owner": f"u{number % 3}", "odd": 'q"\\ é 🎉', "list": ["a", number % 2]} for number in range(60)]
ASKED = [CHANCE.gauss(0, 1) for _ in range(8)]
FILTERS: list[Any] = [None, {"owner": "u1"}, {"n": {"$gte": 30}}, {"$or": [{"n": 7}, {"owner": "u2"}]}, {"none": None}]


async def test_two_languages_take_turns_on_one_index(mongodb_search_url: str) -> None:
    """Each finds what the other wrote, with the same ids, metadata and vectors, and takes the other's indexes for its own."""
    async with MongoDBVector(uri=mongodb_search_url) as vectors:
        await vectors.create_index("docs", dimension=8, metadata_indexes=["owner"])
        await vectors.upsert("docs", vectors=list(ROWS.values()), metadata=METADATA, ids=list(ROWS))
        ours = [await vectors.query("docs", query_vector=ASKED, filter=asked, top_k=100, include_vector=True) for asked in FILTERS]
        queries = [{"queryVector": ASKED, "topK": 100, "includeVector": True, **({"filter": asked} if asked else {})} for asked in FILTERS]
        where = urlsplit(mongodb_search_url)
        theirs = answer_of("mongodb_vectors.mjs", where._replace(path="/").geturl(), where.path.strip("/"), json.dumps(queries))
        assert theirs["indexes"] == ["docs"]
        assert theirs["described"] == {"dimension": 8, "metric": "cosine", "count": 60}
        for mine, other in zip(ours, theirs["answers"], strict=True):
            assert [match["id"] for match in other] == [match.id for match in mine]
            assert [match["metadata"] for match in other] == [match.metadata for match in mine]
            assert [match["vector"] for match in other] == [pytest.approx(match.vector, rel=1e-6) for match in mine]
        after = {match.id: match for match in await vectors.query("docs", query_vector=ASKED, top_k=100, include_vector=True)}
        assert set(after) == (set(ROWS) | {"ts-1", "ts-2"}) - {"v0"}
        assert list(after["ts-1"].vector or ()) == [3, 1, 0, 0, 0, 0, 0, 0.5]
        assert after["ts-1"].metadata == {"by": "TypeScript", "at": "1970-01-01T00:00:00.000Z"}
        assert after["ts-2"].metadata == {"by": "TypeScript", "odd": 'q"\\ \u2028 🎉', "none": None}
        assert await vectors.list_indexes() == ["docs", "theirs"]
        assert (await vectors.describe_index("theirs")).metric == "euclidean"
        await vectors.create_index("theirs", dimension=8, metric="euclidean", metadata_indexes=["thread_id"])
        found = await vectors.query("theirs", query_vector=[1, 1, 0, 0, 0, 0, 0, 0.5], filter={"thread_id": "t"})
        assert [(match.id, match.score) for match in found] == [("a", 1.0)]
    with pymongo.MongoClient[dict[str, Any]](mongodb_search_url) as client:
        registered = {entry["_id"]: entry for entry in client.get_default_database()["__mastra_vector_indexes__"].find()}
    theirs_entry, ours_entry = registered["theirs"], registered["docs"]
    assert set(theirs_entry) == set(ours_entry)
    assert ours_entry == {
        name: {"theirs": "docs", "euclidean": "cosine"}.get(value, value.replace("theirs", "docs")) if isinstance(value, str) else value
        for name, value in theirs_entry.items()
    }


async def test_vectors_are_found_where_there_are_no_search_indexes(mongodb_url: str, mongodb_search_url: str) -> None:
    """What TypeScript wrote on Atlas, copied to a server without search, is found there by looking: same documents, same registry."""
    async with MongoDBVector(uri=mongodb_search_url) as vectors:
        await vectors.create_index("docs", dimension=8)
        await vectors.upsert("docs", vectors=list(ROWS.values()), metadata=METADATA, ids=list(ROWS))
        where = urlsplit(mongodb_search_url)
        answer_of("mongodb_vectors.mjs", where._replace(path="/").geturl(), where.path.strip("/"), "[]")
    with pymongo.MongoClient[dict[str, Any]](mongodb_search_url) as source, pymongo.MongoClient[dict[str, Any]](mongodb_url) as target:
        for name in ("docs", "theirs", "__mastra_vector_indexes__"):
            target.get_default_database()[name].insert_many(source.get_default_database()[name].find())
    async with MongoDBVector(uri=mongodb_url) as plain:
        found = await plain.query("docs", vector=[3, 1, 0, 0, 0, 0, 0, 0.5], top_k=1, include_vector=True)
        assert [(match.id, match.metadata["by"]) for match in found] == [("ts-1", "TypeScript")]
        assert (await plain.describe_index("theirs")).count == 2
