"""MongoDBVector and its server: limits, commands, plans, whole batches, other processes, a server that goes away."""

from __future__ import annotations

import random
from typing import Any

import pymongo
import pytest
from pymongo.monitoring import CommandListener

from mastra_core.errors import IndexNotFoundError, InvalidInputError, StorageError, StorageUnavailableError, UnsupportedError
from mastra_core.storage.vectors.filters import parse
from mastra_mongodb import MongoDBVector
from mastra_mongodb.vector_filters import pushed
from tests.servers.fixtures import own_mongodb

Raw = pymongo.database.Database[dict[str, Any]]


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


async def test_a_filter_is_decided_here_where_mongodb_cannot(vectors: MongoDBVector) -> None:
    """A part of it that MongoDB cannot decide, within `$or` or negated, leaves nothing out and finds nothing more."""
    metadata = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 2, "b": "x"}]
    await vectors.create_index("docs", dimension=1)
    await vectors.upsert("docs", vectors=[[1]] * 3, ids=["p", "q", "r"], metadata=metadata)
    undecided = {"b": {"$not": {"$regex": "x"}}}
    for asked, expected in (
        ({"$or": [{"a": 1}, undecided]}, ["p", "q"]),
        ({"$nor": [{"a": 1}, undecided]}, ["r"]),
        ({"$not": {"a": 2, "b": {"$regex": "x"}}}, ["p", "q"]),
        ({"a": 2, **undecided}, ["q"]),
    ):
        assert [match.id for match in await vectors.query("docs", vector=[1], filter=asked)] == expected


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
