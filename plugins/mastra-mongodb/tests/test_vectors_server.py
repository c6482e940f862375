"""MongoDBVector and its server: what is stored, what TypeScript stored, limits, commands; what the kit cannot ask of every backend."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pymongo
import pytest
import pytest_asyncio
from bson import Binary, ObjectId
from bson.binary import BinaryVectorDtype
from pymongo.monitoring import CommandListener

from mastra_core.errors import (
    ConfigurationError,
    IndexNotFoundError,
    InvalidInputError,
    StorageError,
    StorageUnavailableError,
    StoredDataError,
    UnsupportedError,
)
from mastra_core.storage import open_vector
from mastra_core.storage.vectors.filters import parse
from mastra_mongodb import MongoDBVector
from mastra_mongodb.vector_filters import pushed
from tests.servers.fixtures import own_mongodb

REGISTRY = "__mastra_vector_indexes__"
Raw = pymongo.database.Database[dict[str, Any]]


@pytest_asyncio.fixture
async def vectors(mongodb_url: str) -> AsyncIterator[MongoDBVector]:
    """A store in a database of its own."""
    async with MongoDBVector(uri=mongodb_url) as store:
        yield store


@pytest.fixture
def raw(mongodb_url: str) -> Iterator[Raw]:
    """The same database, past the store."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_url, tz_aware=True) as client:
        yield client.get_default_database()


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


async def test_the_calls_of_mongodbs_examples_work_as_written(vectors: MongoDBVector) -> None:
    """Records with id, values and metadata, and `vector=` in a query, beside plain vectors."""
    await vectors.create_index(index_name="document_embeddings", dimension=3)
    document = {"title": "Document Title", "category": "technical", "source": "api-docs"}
    records: Any = [{"id": "doc-1", "values": [0.1, 0.2, 0.3], "metadata": document}, {"values": [1, 0, 0]}]
    saved = await vectors.upsert(index_name="document_embeddings", vectors=records)
    assert saved[0] == "doc-1"
    assert len(saved[1]) == 36
    results = await vectors.query(index_name="document_embeddings", vector=[0.1, 0.2, 0.3], top_k=5, filter={"category": "technical"})
    assert [(match.id, match.metadata) for match in results] == [("doc-1", document)]
    assert results == await vectors.query("document_embeddings", query_vector=[0.1, 0.2, 0.3], filter={"category": "technical"})


def test_they_work_without_an_event_loop_too(mongodb_url: str) -> None:
    """`.sync` has the same methods with the same arguments."""
    with MongoDBVector(uri=mongodb_url).sync as store:
        store.create_index("docs", dimension=1)
        records: Any = [{"id": "a", "values": [1]}]
        store.upsert("docs", vectors=records)
        query: Any = store.query
        assert [match.id for match in query("docs", vector=[1])] == ["a"]


@pytest.mark.parametrize(
    "given, said",
    [
        ({"vectors": [{"id": "a", "values": [1]}], "ids": ["b"]}, "leave out metadata= and ids="),
        ({"vectors": [{"id": "a", "values": [1]}, [1]]}, r"vectors\[1\]: is no record, and others are"),
        ({"vectors": [{"id": "a", "vector": [1]}]}, r"vectors\[0\]: a record has no 'vector'; it has id, values and metadata"),
        ({"vectors": [{"id": "a"}]}, r"vectors\[0\]: has no 'values'"),
        ({"vectors": [{"id": "", "values": [1]}]}, r"ids\[0\]: is empty"),
        ({"vectors": [{"id": "__index_metadata__", "values": [1]}]}, "taken by older releases"),
    ],
    ids=["ids beside", "mixed", "unknown", "no values", "no id", "sentinel"],
)
async def test_records_that_are_none_are_refused(vectors: MongoDBVector, given: Any, said: str) -> None:
    """The message says which record, what it has, and what it should have; nothing is saved."""
    await vectors.create_index("docs", dimension=1)
    with pytest.raises(InvalidInputError, match=said) as caught:
        await vectors.upsert("docs", **given)
    assert caught.value.operation == "upsert"
    assert (await vectors.describe_index("docs")).count == 0


@pytest.mark.parametrize("asked", [{}, {"vector": [1], "query_vector": [1]}], ids=["none", "both"])
async def test_a_query_has_one_vector(vectors: MongoDBVector, asked: Any) -> None:
    """Under either name, once."""
    await vectors.create_index("docs", dimension=1)
    with pytest.raises(InvalidInputError, match=r"query takes query_vector=, or vector="):
        await vectors.query("docs", **asked)


async def test_dollars_and_dots_are_data(vectors: MongoDBVector) -> None:
    """A text or name that MongoDB could take for an operator, a path or a reference is stored, found and given back as it is."""
    odd = {"$set": {"a": 1}, "a.b": 2, "ref": {"$ref": "x", "$id": {"$id": "y", "$ref": "z"}, "more": 1}, "owner": "$owner", "$where": "1"}
    await vectors.create_index("docs", dimension=1, metadata_indexes=["owner"])
    await vectors.upsert("docs", vectors=[[1], [1]], ids=["$a", "b"], metadata=[odd, {"owner": "b"}])
    for asked in ({"owner": "$owner"}, {"owner": {"$in": ["$owner", "$b"]}}, {"owner": {"$lt": "$p"}}, {"$not": {"owner": "b"}}):
        assert [(match.id, match.metadata) for match in await vectors.query("docs", vector=[1], filter=asked)] == [("$a", odd)]
    assert await vectors.update_vector("docs", filter={"owner": "$owner"}, metadata={"owner": "$$ROOT"}) == 1
    assert await vectors.delete_vectors("docs", ids=["$a"], filter=None) == 1


async def test_a_search_looks_at_no_more_than_it_may(mongodb_url: str) -> None:
    """Past the limit there is an error with the ways out, never half an answer; a filter that leaves fewer is answered."""
    async with MongoDBVector(uri=mongodb_url, exact_search_limit=20) as store:
        await store.create_index("docs", dimension=1, metadata_indexes=["owner"])
        await store.upsert("docs", vectors=[[n] for n in range(21)], metadata=[{"owner": "few" if n < 5 else "many"} for n in range(21)])
        with pytest.raises(
            UnsupportedError, match=r"more than 20\. Use MongoDB Atlas .* narrow the filter, or raise MongoDBVector\(exact_"
        ):
            await store.query("docs", vector=[1])
        with pytest.raises(UnsupportedError):
            await store.query("docs", vector=[1], filter={"owner": {"$regex": "f"}})
        assert len(await store.query("docs", vector=[1], filter={"owner": "few"})) == 5
        assert len(await store.query("docs", vector=[1], filter={"owner": {"$ne": "few"}}, top_k=20)) == 16


async def test_native_search_needs_a_server_that_has_it(mongodb_url: str) -> None:
    """Who asked for a search index is not given something slower without a word."""
    with pytest.raises(UnsupportedError, match=r"no search indexes .* Use MongoDB Atlas .* or search='exact'"):
        await MongoDBVector(uri=mongodb_url, search="native").init()


async def test_what_bson_cannot_hold_is_named(vectors: MongoDBVector) -> None:
    """An integer past 64 bits by its path, a document past 16 MB by its largest field and the sizes; nothing is sent."""
    await vectors.create_index("docs", dimension=1)
    for number in (2**63, -(2**63) - 1, 10**400):
        with pytest.raises(InvalidInputError, match=r"'a': metadata\.x\[1\]\.y: .*64 bits at most; store it as a string"):
            await vectors.upsert("docs", vectors=[[1]], ids=["a"], metadata=[{"x": [1, {"y": number}]}])
    with pytest.raises(
        InvalidInputError, match=r"would take 17,\d\d\d,\d\d\d bytes.* 16,777,216 at most; metadata\.text alone takes 17,000,0"
    ):
        await vectors.upsert("docs", vectors=[[1]], ids=["a"], metadata=[{"n": 1, "text": "x" * 17_000_000}])
    nested: Any = 1
    for _ in range(120):
        nested = [nested]
    with pytest.raises(InvalidInputError, match="nested more than 96 deep"):
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
        ([1, 2], {"a": b"x"}, "field metadata holds a bytes, which is no JSON"),
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


async def test_another_process_may_make_an_index_anew(vectors: MongoDBVector, mongodb_url: str) -> None:
    """What is known of an index is never older than the call: no vector of another dimension is saved, none into an index that is gone."""
    async with MongoDBVector(uri=mongodb_url) as other:
        await vectors.create_index("docs", dimension=2)
        await vectors.upsert("docs", vectors=[[1, 2]])
        await other.delete_index("docs")
        with pytest.raises(IndexNotFoundError):
            await vectors.upsert("docs", vectors=[[1, 2]])
        await other.create_index("docs", dimension=3)
        with pytest.raises(InvalidInputError, match="expects 3 dimensions but got 2"):
            await vectors.upsert("docs", vectors=[[1, 2]])
        assert await vectors.query("docs", vector=[1, 2, 3]) == []


class Commands(CommandListener):
    """The names of what was sent, without the driver's own housekeeping."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def started(self, event: Any) -> None:
        if event.command_name not in {"hello", "endSessions", "ping", "killCursors"}:
            self.sent.append((event.command_name, event.command))

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...

    def names(self) -> list[str]:
        names = [name for name, _ in self.sent]
        self.sent = []
        return names


async def test_a_search_and_a_batch_are_few_commands(mongodb_url: str) -> None:
    """A look at the registry, and the work; a batch is one transaction, and a single vector needs none."""
    commands = Commands()
    async with MongoDBVector(uri=mongodb_url, options={"event_listeners": [commands]}) as store:
        await store.create_index("docs", dimension=1, metadata_indexes=["owner"])
        await store.upsert("docs", vectors=[[n] for n in range(100)], metadata=[{"owner": f"u{n % 5}"} for n in range(100)])
        commands.names()
        await store.query("docs", vector=[1], filter={"owner": "u1"})
        assert commands.names() == ["find", "find"]
        await store.upsert("docs", vectors=[[1]])
        assert commands.names() == ["find", "update"]
        await store.upsert("docs", vectors=[[1], [2]])
        assert commands.names() == ["find", "update", "commitTransaction"]
        await store.delete_vectors("docs", filter={"owner": "u1"})
        assert commands.names() == ["find", "find", "delete", "commitTransaction"]


async def test_a_filter_by_an_indexed_field_goes_along_its_index(vectors: MongoDBVector, raw: Raw) -> None:
    """The documents of other threads are not read."""
    await vectors.create_index("docs", dimension=1, metadata_indexes=["thread_id"])
    await vectors.upsert("docs", vectors=[[n] for n in range(200)], metadata=[{"thread_id": f"t{n % 40}"} for n in range(200)])
    for asked in ({"thread_id": "t1"}, {"thread_id": {"$in": ["t1", "t2"]}}):
        plan = str(raw["docs"].find(pushed(parse(asked))).explain()["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in plan
        assert "COLLSCAN" not in plan


async def test_a_batch_that_fails_in_the_middle_leaves_nothing(vectors: MongoDBVector, raw: Raw) -> None:
    """Refused by the server at the second of three: not even the first is there, and what was stays as it was."""
    await vectors.create_index("docs", dimension=1)
    await vectors.upsert("docs", vectors=[[1]], ids=["a"], metadata=[{"old": True}])
    raw.command("collMod", "docs", validator={"metadata.bad": {"$exists": False}})
    with pytest.raises(StorageError):
        await vectors.upsert("docs", vectors=[[2], [3], [4]], ids=["a", "b", "c"], metadata=[{}, {"bad": 1}, {}])
    assert list(raw["docs"].find()) == [{"_id": "a", "embedding": [1.0], "metadata": {"old": True}}]


async def test_a_server_that_goes_and_comes_back_is_found_again() -> None:
    """While it is away every call says so, within the time that was set; afterwards the same store works on."""
    with own_mongodb("--sync-on-commit") as server:
        url = server.url.replace("/?", "/vectors?serverSelectionTimeoutMS=500&")
        async with MongoDBVector(uri=url) as store:
            await store.create_index("docs", dimension=1)
            await store.upsert("docs", vectors=[[1], [2]], ids=["a", "b"])
            server.kill()
            for call in (lambda: store.query("docs", vector=[1]), lambda: store.upsert("docs", vectors=[[1]])):
                with pytest.raises(StorageUnavailableError, match="MongoDB database 'vectors': "):
                    await call()
            server.start()
            assert sorted(match.id for match in await store.query("docs", vector=[1])) == ["a", "b"]


async def test_the_nearest_of_many_are_the_nearest(vectors: MongoDBVector) -> None:
    """Over several pages of documents, with a filter that Python has to decide."""
    chance = random.Random(5)
    rows = {f"{n:04}": [chance.gauss(0, 1) for _ in range(16)] for n in range(1500)}
    metadata = [{"text": "even" if int(name) % 2 == 0 else "odd"} for name in rows]
    await vectors.create_index("docs", dimension=16, metric="dotproduct")
    await vectors.upsert("docs", vectors=list(rows.values()), ids=list(rows), metadata=metadata)
    asked = [chance.gauss(0, 1) for _ in range(16)]
    exact = sorted(rows, key=lambda name: -sum(a * b for a, b in zip(rows[name], asked, strict=True)))
    assert [match.id for match in await vectors.query("docs", vector=asked)] == exact[:10]
    even = [name for name in exact if int(name) % 2 == 0][:10]
    assert [match.id for match in await vectors.query("docs", vector=asked, filter={"text": {"$regex": "^e"}})] == even


@pytest.mark.parametrize(
    "options, said",
    [
        ({}, "exactly one way to connect"),
        ({"uri": "postgresql://u:secret@h/d"}, "uri begins with mongodb://.*found postgresql://…"),
        ({"uri": "mongodb://u:se/cret@h/d"}, "uri cannot be read; its form is"),
        ({"uri": "mongodb://h"}, "name the database"),
        ({"uri": "mongodb://h", "db_name": "a b"}, "name the database"),
        ({"uri": "mongodb://h/d", "dbName": "d"}, "no option 'dbName'.*db_name"),
        ({"uri": "mongodb://h/d", "embedding_field_path": "metadata.v"}, "embedding_field_path is a dotted name"),
        ({"uri": "mongodb://h/d", "embedding_field_path": "$v"}, "embedding_field_path is a dotted name"),
        ({"uri": "mongodb://h/d", "search": "natve"}, "Did you mean 'native'"),
        ({"uri": "mongodb://h/d", "exact_search_limit": 0}, "exact_search_limit is a whole number"),
        ({"uri": "mongodb://h/d", "index_wait_seconds": -1}, "index_wait_seconds is a number of seconds"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_options_that_cannot_be_are_refused(options: Any, said: str) -> None:
    """Before anything is connected, without a secret."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        MongoDBVector(**options)
    assert "cret" not in str(caught.value)


async def test_a_url_opens_it(mongodb_url: str) -> None:
    """`Memory(vector="mongodb://…")` finds the plugin by itself."""
    assert isinstance(open_vector(mongodb_url), MongoDBVector)
