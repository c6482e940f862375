"""What MongoDBVector asks of a collection of vectors is answered along an index; what reads all of it is named here, with the reason.

SecantusDB's planner takes an index for a filter of one field alone: of filters with more, mongod's rule is asked for instead, and on a mongod
(MASTRA_TEST_MONGODB_URL) its own word counts for all.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pymongo
import pytest
import pytest_asyncio

from mastra_core import Agent, Memory, MemoryOptions, SemanticRecall
from mastra_core.errors import StorageError
from mastra_core.storage import InMemoryStore
from mastra_core.testing.samples import a_message
from mastra_mongodb import MongoDBVector
from tests.mongodb_questions import Question, Questions, explained
from tests.servers.fixtures import own_mongodb
from tests.unit.memory.talking import Talking, WordEmbedder

Raw = pymongo.database.Database[dict[str, Any]]

FIELDS = ("thread_id", "owner.name")
NARROWED: tuple[dict[str, Any], ...] = (
    {"thread_id": "t1"},
    {"thread_id": {"$in": ["t1", "t2"]}},
    {"thread_id": {"$gt": "t1"}},
    {"owner": {"name": "ada"}, "thread_id": "t1"},
    {"owner.name": "ada"},
    {"$and": [{"thread_id": "t1"}, {"text": {"$regex": "x"}}]},
    {"$or": [{"thread_id": "t1"}, {"owner.name": "ada"}]},
    {"thread_id": "t1", "role": {"$ne": "user"}},
)
"""Filters that ask for a few values of a field which create_index was given."""


@pytest.fixture
def questions() -> Questions:
    """What the store asks of the server."""
    return Questions()


@pytest_asyncio.fixture
async def vectors(mongodb_url: str, questions: Questions) -> AsyncIterator[MongoDBVector]:
    """A store of which every command is listened to."""
    async with MongoDBVector(uri=mongodb_url, options={"event_listeners": [questions]}) as store:
        yield store


def reads_all(database: Raw, question: Question) -> bool:
    """Whether the server reads the whole collection to answer."""
    if "COLLSCAN" not in explained(database, question):
        return False
    simple = "secantusVersion" in database.client.server_info()
    several = len(question.filter) > 1 or any(name.startswith("$") for name in question.filter)
    leads = {next(iter(index["key"])) for index in database[question.collection].list_indexes()}
    return not (simple and several and narrowed(question.filter, leads))


def narrowed(asked: Mapping[str, Any], leads: set[str]) -> bool:
    """Whether a mongod finds bounds along an index: of a field of the filter, or of one in each branch of an `$or`."""
    fields = {name for name, wanted in asked.items() if isinstance(wanted, Mapping) and wanted.keys() & {"$eq", "$in", "$gt"}}
    branches = asked.get("$or", ())
    parts = asked.get("$and", ())
    return bool(
        fields & leads or (branches and all(narrowed(one, leads) for one in branches)) or any(narrowed(one, leads) for one in parts)
    )


def reading_all(database: Raw, questions: Questions) -> list[str]:
    """The questions that read a whole collection."""
    assert questions.strange == []
    return [shape for shape, question in questions.asked.items() if reads_all(database, question)]


async def prepare(store: MongoDBVector, questions: Questions, fields: tuple[str, ...] = FIELDS) -> None:
    """An index with some vectors; what making it asked is not what is looked at."""
    await store.create_index("docs", dimension=1, metadata_indexes=fields)
    metadata = [{"thread_id": f"t{n % 20}", "owner": {"name": f"u{n % 7}"}, "role": "user"} for n in range(100)]
    await store.upsert("docs", vectors=[[n] for n in range(100)], ids=[str(n) for n in range(100)], metadata=metadata)
    questions.asked.clear()


async def test_no_call_that_names_ids_or_an_indexed_field_reads_all_vectors(vectors: MongoDBVector, raw: Raw, questions: Questions) -> None:
    """Every way to save, find, change and remove vectors, and an index that is there. Must hold: "COLLSCAN on no path"."""
    await prepare(vectors, questions)
    await vectors.create_index("docs", dimension=1, metadata_indexes=FIELDS)
    await vectors.upsert("docs", vectors=[[1]], ids=["1"])
    await vectors.upsert("docs", vectors=[[1], [2]], ids=["1", "new"])
    for asked in NARROWED:
        await vectors.query("docs", vector=[1], filter=asked)
        await vectors.update_vector("docs", filter=asked, metadata={"thread_id": "other"})
        await vectors.delete_vectors("docs", filter=asked)
    await vectors.update_vector("docs", id="1", metadata={}, vector=[2])
    await vectors.delete_vector("docs", id="1")
    await vectors.delete_vectors("docs", ids=["2", "3"])
    assert len(questions.asked) > len(NARROWED)
    assert reading_all(raw, questions) == []
    questions.asked.clear()
    await vectors.delete_index("docs")
    assert reading_all(raw, questions) == []


BY_DESIGN: Mapping[str, Callable[[MongoDBVector], Awaitable[object]]] = {
    "an exact search without a filter looks at every vector": lambda store: store.query("docs", vector=[1]),
    "a field that nobody indexed": lambda store: store.query("docs", vector=[1], filter={"role": "user"}),
    "the same for a change": lambda store: store.delete_vectors("docs", filter={"role": "user"}),
    "all vectors but some": lambda store: store.query("docs", vector=[1], filter={"role": {"$ne": "user"}}),
    "a count, which MongoDB keeps of no condition": lambda store: store.describe_index("docs"),
    "the registry, a small document for each index": lambda store: store.list_indexes(),
    "the registry, and one document of a collection that is to become an index": lambda store: store.create_index("new", dimension=1),
}
"""Calls that read a whole collection, and what for: the README tells of those that read every vector."""


@pytest.mark.parametrize("why", BY_DESIGN)
async def test_what_reads_a_whole_collection_is_told(vectors: MongoDBVector, raw: Raw, questions: Questions, why: str) -> None:
    """Each exception is one: what has come to be answered along an index is dropped from the list."""
    await prepare(vectors, questions)
    await BY_DESIGN[why](vectors)
    assert len(reading_all(raw, questions)) in {1, 2}


async def test_a_memory_finds_and_forgets_along_indexes(vectors: MongoDBVector, raw: Raw, questions: Questions) -> None:
    """What was said is recalled, removed with its thread or by itself, and embedded anew, without reading what others said."""
    options = MemoryOptions(last_messages=0, semantic_recall=SemanticRecall(top_k=1, message_range=0))
    memory = Memory(InMemoryStore(), vector=vectors, embedder=WordEmbedder(), options=options)
    agent = Agent("a", model=Talking("Fine."), memory=memory)
    await agent.generate("My cat is Tom", thread="other", resource="r")
    questions.asked.clear()  # of making the index
    await agent.generate("My cat is Tom", thread="t", resource="r")
    await memory.save_messages([a_message("m", content={"format": 2, "parts": [{"type": "text", "text": "I bake bread"}]})])
    assert [match.id for match in await vectors.query("memory_messages_7", vector=[1.0] * 7, filter={"message_id": "m"})] == ["m"]
    await memory.reindex()
    await memory.delete_messages(["m"])
    await memory.delete_thread("t")
    asked = {shape: question for shape, question in questions.asked.items() if question.collection == "memory_messages_7"}
    for field in ("thread_id", "resource_id", "message_id"):
        assert any(f"metadata.{field}" in shape for shape in asked)
    assert [shape for shape in reading_all(raw, questions) if shape in asked] == []
    assert raw["memory_messages_7"].count_documents({}) == 2


async def test_an_index_that_was_made_without_them_gets_its_fields_and_keeps_what_is_there(
    vectors: MongoDBVector, raw: Raw, questions: Questions
) -> None:
    """Made by TypeScript, or before: create_index adds ordinary indexes; one of an operator's own that begins with the field does as well."""
    await prepare(vectors, questions, fields=())
    raw["docs"].create_index([("metadata.thread_id", 1), ("metadata.role", 1)], name="operators")
    await vectors.create_index("docs", dimension=1, metadata_indexes=FIELDS)
    assert set(raw["docs"].index_information()) == {"_id_", "operators", "metadata.owner.name_1"}
    questions.asked.clear()
    await vectors.delete_vectors("docs", filter={"owner.name": "u1"})
    assert reading_all(raw, questions) == []


async def test_who_may_make_no_indexes_has_an_index_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """Without the right to make ordinary indexes create_index works, and warns of what is slow then."""
    with own_mongodb("--sync-on-commit") as server:
        actions = ["find", "insert", "update", "remove", "listIndexes", "listCollections", "createCollection"]
        with pymongo.MongoClient[dict[str, Any]](server.url) as client:
            here = client["x"]
            here.command("createRole", "writer", privileges=[{"resource": {"db": "x", "collection": ""}, "actions": actions}], roles=[])
            here.command("createUser", "ada", pwd="secret", roles=["writer"])
        server.kill()
        server._options = (*server._options, "--auth")
        server.start()
        url = server.url.replace("://", "://ada:secret@").replace("/?", "/x?authSource=x&")
        with caplog.at_level(logging.WARNING, logger="mastra_mongodb"):
            async with MongoDBVector(uri=url) as store:
                await store.create_index("docs", dimension=1, metadata_indexes=FIELDS)
                await store.upsert("docs", vectors=[[1]], ids=["a"], metadata=[{"thread_id": "t"}])
                assert [match.id for match in await store.query("docs", vector=[1], filter={"thread_id": "t"})] == ["a"]
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "may not make indexes on the collection 'docs'" in warning
    assert "metadata.thread_id, metadata.owner.name" in warning


async def test_an_index_that_cannot_be_made_for_another_reason_is_an_error(vectors: MongoDBVector, raw: Raw, questions: Questions) -> None:
    """As when something else has its name: nobody is left with a slow store and no word of it."""
    await prepare(vectors, questions, fields=())
    raw["docs"].create_index([("metadata.else", 1)], name="metadata.thread_id_1")
    with pytest.raises(StorageError, match="code 86"):
        await vectors.create_index("docs", dimension=1, metadata_indexes=FIELDS)
