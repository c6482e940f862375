"""What MongoDBVector stores and what it reads of others: documents, the registry, collections that were there before (contract §8.5)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pymongo
import pytest
from bson import Binary, ObjectId
from bson.binary import BinaryVectorDtype

from mastra_core.errors import InvalidInputError, StoredDataError, UnsupportedError
from mastra_mongodb import MongoDBVector

REGISTRY = "__mastra_vector_indexes__"
Raw = pymongo.database.Database[dict[str, Any]]


async def test_documents_and_registry_are_typescripts(vectors: MongoDBVector, raw: Raw) -> None:
    """Contract §8.5: one collection an index, `{_id, embedding, metadata}`, and what the registry says of it."""
    await vectors.create_index("docs", dimension=2, metric="dotproduct", metadata_indexes=["owner.name"])
    await vectors.upsert("docs", vectors=[[1, 0.1]], ids=["a"], metadata=[{"n": 1, "list": [None, True]}])
    (stored,) = raw["docs"].find()
    assert stored == {"_id": "a", "embedding": [1.0, 0.10000000149011612], "metadata": {"n": 1, "list": [None, True]}}
    assert [type(number) for number in stored["embedding"]] == [float, float]
    assert list(raw[REGISTRY].find()) == [
        {
            "_id": "docs",
            "indexName": "docs",
            "collectionName": "docs",
            "searchIndexName": "docs_vector_index",
            "isByo": False,
            "allowWrites": True,
            "textSearchIndexName": "docs_search_index",
            "dimension": 2,
            "metric": "dotproduct",
            "autoEmbed": None,
        }
    ]
    assert "metadata.owner.name_1" in raw["docs"].index_information()


async def test_dollars_and_dots_are_data(vectors: MongoDBVector) -> None:
    """A text or name that MongoDB could take for an operator, a path or a reference is stored, found and given back as it is."""
    odd = {"$set": {"a": 1}, "a.b": 2, "ref": {"$ref": "x", "$id": {"$id": "y", "$ref": "z"}, "more": 1}, "owner": "$owner", "$where": "1"}
    await vectors.create_index("docs", dimension=1, metadata_indexes=["owner"])
    await vectors.upsert("docs", vectors=[[1], [1]], ids=["$a", "b"], metadata=[odd, {"owner": "b"}])
    for asked in ({"owner": "$owner"}, {"owner": {"$in": ["$owner", "$b"]}}, {"owner": {"$lt": "$p"}}, {"$not": {"owner": "b"}}):
        assert [(match.id, match.metadata) for match in await vectors.query("docs", vector=[1], filter=asked)] == [("$a", odd)]
    assert await vectors.update_vector("docs", filter={"owner": "$owner"}, metadata={"owner": "$$ROOT"}) == 1
    assert await vectors.delete_vectors("docs", ids=["$a"], filter=None) == 1


async def test_what_bson_cannot_hold_is_named(vectors: MongoDBVector) -> None:
    """An integer past 64 bits by its path, a document past 16 MB by its largest field and the sizes; nothing is sent."""
    await vectors.create_index("docs", dimension=1)
    for number in (2**63, -(2**63) - 1, 10**400):
        with pytest.raises(InvalidInputError, match=r"'a': metadata\.x\[1\]\.y: .*64 bits, .*store it as a string"):
            await vectors.upsert("docs", vectors=[[1]], ids=["a"], metadata=[{"x": [1, {"y": number}]}])
    with pytest.raises(
        InvalidInputError, match=r"'a': a document: has 17,\d\d\d,\d\d\d bytes, .* 16,77.* largest field is metadata\.text with 17,000,0"
    ):
        await vectors.upsert("docs", vectors=[[1]], ids=["a"], metadata=[{"n": 1, "text": "x" * 17_000_000}])
    nested: Any = 1
    for _ in range(120):
        nested = [nested]
    with pytest.raises(InvalidInputError, match=r"metadata.*nested too deeply"):
        await vectors.upsert("docs", vectors=[[1]], ids=["a"], metadata=[{"x": nested}])
    assert (await vectors.describe_index("docs")).count == 0
    # As long vectors as there are embedding models for, and longer, fit.
    await vectors.create_index("long", dimension=8192)
    await vectors.upsert("long", vectors=[[chance] * 8192 for chance in (0.1, 0.2)])


async def test_what_others_stored_is_read(vectors: MongoDBVector, raw: Raw) -> None:
    """Whole numbers as JavaScript writes them, dates inside metadata, no metadata, binary vectors; and what is no vector is left out."""
    await vectors.create_index("docs", dimension=2, metric="dotproduct")
    at = datetime(2024, 3, 1, tzinfo=UTC)
    raw["docs"].insert_many(
        [
            {"_id": "ints", "embedding": [4, 0], "metadata": {"deep": {"at": at}, "id": ObjectId("0" * 24)}},
            {"_id": "bare", "embedding": [3.0, 0.0], "document": "text"},
            {"_id": "binary", "embedding": Binary.from_vector([2.0, 0.5], BinaryVectorDtype.FLOAT32), "metadata": None},
            {"_id": "bytes", "embedding": Binary.from_vector([1, 0], BinaryVectorDtype.INT8), "metadata": {}},
            {"_id": "none"},
            {"_id": "__index_metadata__", "embedding": [0, 0], "metadata": {"dimension": 2}},
        ]
    )
    found = await vectors.query("docs", vector=[1, 0], include_vector=True)
    assert [(match.id, match.score, match.vector) for match in found] == [
        ("ints", 4.0, (4.0, 0.0)), ("bare", 3.0, (3.0, 0.0)), ("binary", 2.0, (2.0, 0.5)), ("bytes", 1.0, (1.0, 0.0)),
    ]  # fmt: skip
    assert [match.metadata for match in found] == [{"deep": {"at": "2024-03-01T00:00:00.000Z"}, "id": "0" * 24}, {}, {}, {}]
    assert (await vectors.describe_index("docs")).count == 4
    assert await vectors.delete_vectors("docs", filter={"dimension": 2}) == 0
    await vectors.upsert("docs", vectors=[[9, 9]], ids=["bare"])
    assert raw["docs"].find_one({"_id": "bare"}) == {"_id": "bare", "embedding": [9.0, 9.0], "document": "text", "metadata": {}}


@pytest.mark.parametrize(
    "embedding, metadata, said",
    [
        ([1], {}, "has 1 numbers and the index 2"),
        (["1", 2], {}, "is no vector of 2 numbers"),
        (None, {}, "is no vector of 2 numbers"),
        ([1e300, 0], {}, "is no vector|has"),
        ([1, 2], "text", "field metadata is no object"),
        ([1, 2], {"a": b"x"}, "field metadata holds a value of BSON's type bytes, which JSON has not"),
    ],
    ids=["short", "texts", "null", "past 32 bits", "no object", "bytes"],
)
async def test_what_cannot_be_read_is_named(vectors: MongoDBVector, raw: Raw, embedding: Any, metadata: Any, said: str) -> None:
    """Index, id and field, and what was found there; never left out of an answer without a word."""
    await vectors.create_index("docs", dimension=2)
    raw["docs"].insert_one({"_id": "bad", "embedding": embedding, "metadata": metadata})
    with pytest.raises(StoredDataError, match=f"the vector index docs bad: .*({said})"):
        await vectors.query("docs", vector=[1, 0])


async def test_a_collection_that_somebody_brought_is_only_read(vectors: MongoDBVector, raw: Raw) -> None:
    """Contract §8.5: nothing is written to it without allowWrites, and removing the index leaves its documents alone."""
    key = ObjectId()
    raw["articles"].insert_one({"_id": key, "embedding": [1, 0], "title": "theirs"})
    raw[REGISTRY].insert_one(
        {"_id": "byo", "indexName": "byo", "collectionName": "articles", "isByo": True, "dimension": 2, "metric": "cosine"}
    )
    assert [match.id for match in await vectors.query("byo", vector=[1, 0])] == [str(key)]
    await vectors.create_index("byo", dimension=2, metadata_indexes=["title"])
    assert list(raw["articles"].index_information()) == ["_id_"]
    for call in (
        lambda: vectors.upsert("byo", vectors=[[1, 1]]),
        lambda: vectors.update_vector("byo", id=str(key), metadata={}),
        lambda: vectors.delete_vectors("byo", filter={"a": None}),
    ):
        with pytest.raises(InvalidInputError, match=r'"articles", which is read-only by default.*allowWrites') as caught:
            await call()
        assert caught.value.code.endswith("READ_ONLY_INDEX")
    raw[REGISTRY].update_one({"_id": "byo"}, {"$set": {"allowWrites": True}})
    assert await vectors.upsert("byo", vectors=[[0, 1]], ids=[str(key)]) == [str(key)]
    assert raw["articles"].find_one() == {"_id": key, "embedding": [0, 1], "title": "theirs", "metadata": {}}
    await vectors.delete_index("byo")
    assert await vectors.list_indexes() == []
    assert raw["articles"].count_documents({}) == 1


async def test_an_index_that_mongodb_embeds_itself_is_not_touched(vectors: MongoDBVector, raw: Raw) -> None:
    """What would never be found is not saved; the index can be listed and removed."""
    raw[REGISTRY].insert_one(
        {"_id": "auto", "indexName": "auto", "collectionName": "auto", "autoEmbed": {"model": "m", "path": "document"}}
    )
    with pytest.raises(UnsupportedError, match="autoEmbed, so MongoDB embeds its texts itself"):
        await vectors.upsert("auto", vectors=[[1]])
    assert await vectors.list_indexes() == ["auto"]
    await vectors.delete_index("auto")
    assert await vectors.list_indexes() == []


async def test_an_index_without_a_dimension_is_named_and_can_be_removed(vectors: MongoDBVector, raw: Raw) -> None:
    """Where older releases wrote none, a server without search indexes cannot tell it: an error with the mend, and nothing is written."""
    raw[REGISTRY].insert_one({"_id": "old", "indexName": "old", "collectionName": "old", "metric": "cosine"})
    for call in (lambda: vectors.query("old", vector=[1]), lambda: vectors.upsert("old", vectors=[[1]])):
        with pytest.raises(StoredDataError, match=r"'old': its registry document has the dimension 0 .*mend it .*delete_index\('old'\)"):
            await call()
    assert raw["old"].count_documents({}) == 0
    await vectors.delete_index("old")
    assert await vectors.list_indexes() == []


async def test_a_collection_of_something_else_is_not_taken_for_an_index(vectors: MongoDBVector, raw: Raw) -> None:
    """Threads and messages live in the same database; delete_index would drop them one day."""
    raw["mastra_threads"].insert_one({"_id": "t", "title": "x"})
    with pytest.raises(InvalidInputError, match="has a collection of that name whose documents are no vectors of dimension 2"):
        await vectors.create_index("mastra_threads", dimension=2)
    with pytest.raises(InvalidInputError, match="that is where MongoDBVector notes"):
        await vectors.create_index(REGISTRY, dimension=2)
    await vectors.delete_index("mastra_threads")
    assert raw["mastra_threads"].count_documents({}) == 1
    raw["restored"].insert_one({"_id": "v", "embedding": [1, 0], "metadata": {}})
    await vectors.create_index("restored", dimension=2)
    assert [match.id for match in await vectors.query("restored", vector=[1, 0])] == ["v"]


async def test_a_vector_may_lie_deeper_in_its_document(mongodb_url: str, raw: Raw) -> None:
    """embedding_field_path, as in TypeScript."""
    async with MongoDBVector(uri=mongodb_url, embedding_field_path="text.contentEmbedding") as store:
        await store.create_index("docs", dimension=1)
        await store.upsert("docs", vectors=[[1]], ids=["a"])
        assert raw["docs"].find_one() == {"_id": "a", "text": {"contentEmbedding": [1.0]}, "metadata": {}}
        assert (await store.query("docs", vector=[1], include_vector=True))[0].vector == (1.0,)
        assert (await store.describe_index("docs")).count == 1
