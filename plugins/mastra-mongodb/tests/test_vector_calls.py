"""MongoDBVector as its users call it: in TypeScript's shape, as MongoDB's examples have it, and with options that cannot be."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.storage import open_vector
from mastra_mongodb import MongoDBVector


async def test_the_calls_of_mongodbs_examples_work_as_written(mongodb_url: str) -> None:
    """As the issue has it: "The seed's calls (…) work as written there, in snake case, beside TypeScript's real shape"."""
    where = urlsplit(mongodb_url)
    query_embedding = [0.1, 0.2, 0.3] * 512
    document = {"title": "Document Title", "category": "technical", "source": "api-docs"}
    vector_store = MongoDBVector(id="mongodb-vector", uri=where._replace(path="/").geturl(), db_name=where.path.strip("/"))
    async with vector_store:
        await vector_store.create_index(index_name="document_embeddings", dimension=1536)
        await vector_store.upsert(
            index_name="document_embeddings",
            vectors=[{"id": "doc-1", "values": query_embedding, "metadata": document}],
        )
        results = await vector_store.query(
            index_name="document_embeddings", vector=query_embedding, top_k=5, filter={"category": "technical"}
        )
        assert [(match.id, match.metadata) for match in results] == [("doc-1", document)]
        same = await vector_store.query("document_embeddings", query_vector=query_embedding, filter={"category": "technical"})
        assert same == results
        assert await vector_store.query("document_embeddings", vector=query_embedding, filter={"category": "other"}) == []
        assert await vector_store.upsert("document_embeddings", vectors=[query_embedding], ids=["doc-1"], metadata=[{}]) == ["doc-1"]


async def test_a_record_without_an_id_gets_one(vectors: MongoDBVector) -> None:
    """A new one, which is answered in the record's place; metadata may be left out too."""
    await vectors.create_index("docs", dimension=1)
    saved = await vectors.upsert("docs", vectors=[{"id": "a", "values": [1]}, {"values": [2]}, {"values": [3], "metadata": None}])
    assert saved[0] == "a"
    assert [len(name) for name in saved[1:]] == [36, 36]
    assert {match.id: match.metadata for match in await vectors.query("docs", vector=[1])} == {name: {} for name in saved}


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


@pytest.mark.parametrize(
    "options, said",
    [
        ({}, "exactly one way to connect"),
        ({"uri": "postgresql://u:secret@h/d"}, "uri begins with mongodb://.*found postgresql://…"),
        ({"uri": "mongodb://u:se/cret@h/d"}, "uri cannot be read; its form is"),
        ({"uri": "mongodb://h"}, "name of a database"),
        ({"uri": "mongodb://h", "db_name": "a b"}, "name of a database"),
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
