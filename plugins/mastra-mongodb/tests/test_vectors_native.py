"""MongoDBVector on a server with search indexes: what they are made of, waited for, asked, and done without.

The server is mongoeco, a simulation: that scores and order come out right is due to us, who compute them from the vectors found.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pymongo
import pytest
import pytest_asyncio
from pymongo.monitoring import CommandListener

from mastra_core.errors import InvalidInputError, StorageUnavailableError, UnsupportedError
from mastra_core.storage.vectors.filters import matches
from mastra_core.testing.vectors.filter_cases import chance_filter, chance_metadata
from mastra_mongodb import MongoDBVector

Raw = pymongo.database.Database[dict[str, Any]]


class Searches(CommandListener):
    """The `$vectorSearch` stages that were sent."""

    def __init__(self) -> None:
        self.stages: list[dict[str, Any]] = []
        self.finds = 0

    def started(self, event: Any) -> None:
        first = (event.command.get("pipeline") or [{}])[0]
        self.stages += [first["$vectorSearch"]] if "$vectorSearch" in first else []
        self.finds += event.command.get("find") == "docs"

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


@pytest.fixture
def searches() -> Searches:
    """What the store asks of the search index."""
    return Searches()


@pytest_asyncio.fixture
async def vectors(mongodb_search_url: str, searches: Searches) -> AsyncIterator[MongoDBVector]:
    """A store in a database of its own."""
    async with MongoDBVector(uri=mongodb_search_url, search="native", options={"event_listeners": [searches]}) as store:
        yield store


@pytest.fixture
def raw(mongodb_search_url: str) -> Iterator[Raw]:
    """The same database, past the store."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_search_url) as client:
        yield client.get_default_database()


def definitions(raw: Raw, collection: str = "docs") -> dict[str, Any]:
    """The search indexes of a collection by name."""
    return {found["name"]: found["latestDefinition"] for found in raw[collection].list_search_indexes()}


async def test_search_indexes_are_typescripts(vectors: MongoDBVector, raw: Raw) -> None:
    """Contract §8.5: one of vectors with its filters, one of texts; a field that is wanted later is added."""
    await vectors.create_index("docs", dimension=3, metric="dotproduct", metadata_indexes=["thread_id"])
    vector = {"type": "vector", "path": "embedding", "numDimensions": 3, "similarity": "dotProduct"}
    filters = [{"type": "filter", "path": path} for path in ("_id", "document", "metadata.thread_id")]
    text = {"mappings": {"dynamic": True}}
    assert definitions(raw) == {"docs_vector_index": {"fields": [vector, *filters]}, "docs_search_index": text}
    await vectors.create_index("docs", dimension=3, metric="dotproduct", metadata_indexes=["owner.name"])
    more = [{"type": "filter", "path": path} for path in ("_id", "document", "metadata.owner.name", "metadata.thread_id")]
    assert definitions(raw)["docs_vector_index"] == {"fields": [vector, *more]}


async def test_a_search_goes_along_the_index_narrowed_by_what_it_knows(vectors: MongoDBVector, searches: Searches) -> None:
    """One command finds top_k of the wanted ones; texts that begin with `$` are data; scores are the cosine, not the server's."""
    await vectors.create_index("docs", dimension=2, metadata_indexes=["owner", "n"])
    metadata = [{"owner": f"$u{n % 2}", "n": n} for n in range(40)]
    await vectors.upsert("docs", vectors=[[1, n] for n in range(40)], ids=[f"{n:02}" for n in range(40)], metadata=metadata)
    searches.finds = 0
    found = await vectors.query("docs", vector=[1, 0], top_k=3, filter={"owner": "$u1", "n": {"$gt": 4}})
    assert [match.id for match in found] == ["05", "07", "09"]
    assert found[0].score == pytest.approx(1 / 26**0.5)
    (stage,) = searches.stages
    assert stage == {
        "index": "docs_vector_index",
        "path": "embedding",
        "queryVector": [1.0, 0.0],
        "numCandidates": 480,
        "limit": 24,
        "filter": {"metadata.owner": {"$eq": "$u1"}, "metadata.n": {"$gt": 4}},
    }
    assert searches.finds == 0
    assert [match.id for match in await vectors.query("docs", vector=[1, 0], top_k=2)] == ["00", "01"]
    assert (searches.stages[-1]["limit"], searches.stages[-1]["numCandidates"]) == (2, 40)


@pytest.mark.parametrize("seed", range(2))
async def test_chance_filters_find_what_the_evaluator_says(vectors: MongoDBVector, seed: int) -> None:
    """Whatever the search index decides, the answer is that of `matches`, in order and never short."""
    chance = random.Random(seed)
    documents = {f"{n:03}": chance_metadata(chance) for n in range(60)}
    near = {name: chance.randrange(20) for name in documents}
    await vectors.create_index("docs", dimension=1, metric="euclidean")
    await vectors.upsert("docs", vectors=[[n] for n in near.values()], metadata=list(documents.values()), ids=list(documents))
    for _ in range(40):
        asked, top_k = chance_filter(chance), chance.choice([1, 5, 60])
        expected = sorted((name for name in documents if matches(asked, documents[name])), key=lambda name: (near[name], name))
        found = [match.id for match in await vectors.query("docs", vector=[0], top_k=top_k, filter=asked)]
        assert found == expected[:top_k], asked


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dotproduct"])
async def test_zeros_and_more_than_there_are_can_be_asked_for(vectors: MongoDBVector, searches: Searches, metric: Any) -> None:
    """A search index refuses a vector of zeros by cosine, and more than 10,000 matches: it is not asked, and the store answers."""
    await vectors.create_index("docs", dimension=2, metric=metric)
    await vectors.upsert("docs", vectors=[[3, 4], [0, 0]], ids=["a", "z"])
    assert {match.id for match in await vectors.query("docs", vector=[0, 0])} == {"a", "z"}
    assert {match.id for match in await vectors.query("docs", vector=[3, 4], top_k=10**20)} == {"a", "z"}
    assert [stage["queryVector"] for stage in searches.stages] == ([] if metric == "cosine" else [[0.0, 0.0]])


async def test_an_index_is_waited_for_and_says_so(mongodb_search_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """create_index comes back when the index can be asked, and a log tells what it waits for; past the time that was set it says that too."""
    async with MongoDBVector(uri=mongodb_search_url, index_wait_seconds=0) as hasty:
        with pytest.raises(
            StorageUnavailableError, match=r"'docs_vector_index' of 'docs' is still being built \(BUILDING\).*index_wait_secon"
        ):
            await hasty.create_index("docs", dimension=1)
        await hasty.create_index("docs", dimension=1)
    with caplog.at_level(logging.INFO, logger="mastra_mongodb"):
        async with MongoDBVector(uri=mongodb_search_url) as patient:
            await patient.create_index("other", dimension=1)
            await patient.upsert("other", vectors=[[1]], ids=["a"])
            assert [match.id for match in await patient.query("other", vector=[1])] == ["a"]
    assert "waiting for the search index 'other_vector_index': BUILDING" in caplog.text


async def test_an_index_without_its_search_index_is_noticed_and_mended(mongodb_search_url: str, vectors: MongoDBVector) -> None:
    """Made where there was no search, such as before a move to Atlas: never an empty answer; create_index makes what is missing."""
    async with MongoDBVector(uri=mongodb_search_url, search="exact") as plain:
        await plain.create_index("docs", dimension=1)
        await plain.upsert("docs", vectors=[[1]], ids=["a"])
        assert [match.id for match in await plain.query("docs", vector=[1])] == ["a"]
    with pytest.raises(
        StorageUnavailableError, match=r"no search index 'docs_vector_index'.*create_index\('docs', dimension=1, metric='cosine'\)"
    ):
        await vectors.query("docs", vector=[1])
    await vectors.create_index("docs", dimension=1)
    assert [match.id for match in await vectors.query("docs", vector=[1])] == ["a"]


async def test_an_index_of_before_the_registry_is_one(vectors: MongoDBVector, raw: Raw) -> None:
    """Contract §8.5: older releases of the TypeScript package registered nothing; their search index says what the index is."""
    await vectors.create_index("docs", dimension=2, metric="euclidean")
    raw["__mastra_vector_indexes__"].delete_many({})
    raw["mastra_threads"].insert_one({"_id": "no index"})
    assert await vectors.list_indexes() == ["docs"]
    raw["docs"].insert_one({"_id": "__index_metadata__", "embedding": [1.0, 0.0], "metadata": {"dimension": 2}})
    await vectors.upsert("docs", vectors=[[1, 0]], ids=["a"])
    assert [match.id for match in await vectors.query("docs", vector=[1, 0], top_k=1)] == ["a"]
    described = await vectors.describe_index("docs")
    assert (described.dimension, described.metric, described.count) == (2, "euclidean", 1)
    with pytest.raises(InvalidInputError, match="is there already, with dimension 2 and metric 'euclidean'"):
        await vectors.create_index("docs", dimension=3)
    await vectors.delete_index("docs")
    assert raw.list_collection_names(filter={"name": "docs"}) == []
    assert await vectors.list_indexes() == []


async def test_a_dimension_that_the_registry_lacks_is_the_search_indexes(vectors: MongoDBVector, raw: Raw) -> None:
    """Older releases of the TypeScript package registered an index without dimension and metric."""
    await vectors.create_index("docs", dimension=2, metric="euclidean")
    raw["__mastra_vector_indexes__"].update_one({"_id": "docs"}, {"$unset": {"dimension": 1, "metric": 1}})
    await vectors.upsert("docs", vectors=[[1, 0]], ids=["a"])
    assert [(match.id, match.score) for match in await vectors.query("docs", vector=[1, 0])] == [("a", 1.0)]
    described = await vectors.describe_index("docs")
    assert (described.dimension, described.metric) == (2, "euclidean")


async def test_a_search_index_that_became_another_is_asked_anew(
    mongodb_search_url: str, vectors: MongoDBVector, raw: Raw, searches: Searches
) -> None:
    """Another process may have made it anew, by other fields: a question that the server refuses is asked again by what it knows now."""
    await vectors.create_index("docs", dimension=1, metadata_indexes=["owner"])
    await vectors.upsert("docs", vectors=[[1], [2]], ids=["a", "b"], metadata=[{"owner": "u"}, {"owner": "v"}])
    assert [match.id for match in await vectors.query("docs", vector=[1], filter={"owner": "v"})] == ["b"]
    assert "filter" in searches.stages[-1]
    raw["docs"].drop_search_index("docs_vector_index")
    async with MongoDBVector(uri=mongodb_search_url) as other:
        await other.create_index("docs", dimension=1)
    searches.finds = 0
    assert [match.id for match in await vectors.query("docs", vector=[1], filter={"owner": "v"}, top_k=1)] == ["b"]
    assert "filter" not in searches.stages[-1]
    assert searches.finds == 0


async def test_vectors_in_another_field_are_not_searched_in_vain(mongodb_search_url: str, vectors: MongoDBVector) -> None:
    """An index of another embedding_field_path is refused with the one it has."""
    await vectors.create_index("docs", dimension=1)
    async with MongoDBVector(uri=mongodb_search_url, embedding_field_path="text.vector") as other:
        for call in (lambda: other.create_index("docs", dimension=1), lambda: other.query("docs", vector=[1])):
            with pytest.raises(InvalidInputError, match=r"in the field 'embedding', and this store at 'text\.vector'"):
                await call()


async def test_a_filter_that_nothing_can_decide_quickly_is_refused(mongodb_search_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the nearest do not hold enough of the wanted ones, and the rest are too many to look at: the ways out, never a short answer."""
    async with MongoDBVector(uri=mongodb_search_url, exact_search_limit=50) as store:
        await store.create_index("docs", dimension=1, metric="euclidean")
        metadata = [{"text": "rare" if n > 95 else "common"} for n in range(100)]
        await store.upsert("docs", vectors=[[n] for n in range(100)], ids=[f"{n:02}" for n in range(100)], metadata=metadata)
        found = await store.query("docs", vector=[0], top_k=2, filter={"text": {"$regex": "^c"}})
        assert [match.id for match in found] == ["00", "01"]
        # Found among the nearest 10,000, the most that is asked for.
        found = await store.query("docs", vector=[0], top_k=2, filter={"text": {"$regex": "^r"}})
        assert [match.id for match in found] == ["96", "97"]
        found = await store.query("docs", vector=[0], top_k=2, filter={"text": "rare"})
        assert [match.id for match in found] == ["96", "97"]
        with pytest.raises(
            UnsupportedError, match=r"leaves more than 50 vectors to look at: name its fields in create_index\(metadata_indexes"
        ):
            await store.query("docs", vector=[0], top_k=20_000)
        # The wanted ones are not among the most that is asked for.
        monkeypatch.setattr("mastra_mongodb.vector_searching.MOST", 60)
        with pytest.raises(UnsupportedError, match="leaves more than 50 vectors to look at"):
            await store.query("docs", vector=[0], top_k=2, filter={"text": {"$regex": "^r"}})
