"""MongoDBVector, certified by the kit on a replica set and on a standalone server, and its indexes on a server with search."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pymongo
import pytest

from mastra_core.testing import VectorContract
from mastra_core.testing.vectors.indexes import VectorIndexContract
from mastra_mongodb.vectors import MongoDBVector
from tests.servers.fixtures import own_mongodb


class TestOnAReplicaSet(VectorContract):
    """Every vector is looked at, batches are transactions."""

    @pytest.fixture(autouse=True)
    def _server(self, mongodb_url: str) -> None:
        self.url = mongodb_url

    @asynccontextmanager
    async def open_vectors(self) -> AsyncIterator[MongoDBVector]:
        yield MongoDBVector(uri=self.url)


@pytest.fixture(scope="module")
def standalone() -> Iterator[str]:
    """The URL of a server that is no replica set."""
    with own_mongodb("--standalone") as server:
        yield server.url


@pytest.mark.scale
class TestOnAStandaloneServer(VectorContract):
    """Every vector is looked at, there are no transactions."""

    @pytest.fixture(autouse=True)
    def _server(self, standalone: str) -> Iterator[None]:
        self.url = urlsplit(standalone)._replace(path="/vectors").geturl()
        yield
        with pymongo.MongoClient[dict[str, object]](standalone) as client:
            client.drop_database("vectors")

    @asynccontextmanager
    async def open_vectors(self) -> AsyncIterator[MongoDBVector]:
        yield MongoDBVector(uri=self.url)


class TestIndexesWithSearch(VectorIndexContract):
    """Search indexes are made, listed and removed; what is found along them is asked in test_vectors_native.py."""

    @pytest.fixture(autouse=True)
    def _server(self, mongodb_search_url: str) -> None:
        self.url = mongodb_search_url

    @asynccontextmanager
    async def open_vectors(self) -> AsyncIterator[MongoDBVector]:
        yield MongoDBVector(uri=self.url, search="native")


async def test_no_reader_of_the_same_process_sees_half_a_batch_without_transactions(standalone: str) -> None:
    """A change of many vectors is several commands: while it goes on, whoever asks the same store waits for its end."""
    url = urlsplit(standalone)._replace(path="/halves").geturl()
    async with MongoDBVector(uri=url) as store:
        await store.create_index("docs", dimension=1)
        await store.upsert("docs", vectors=[[n] for n in range(1100)], metadata=[{"version": 0}] * 1100)
        for version in range(1, 3):
            changing = asyncio.create_task(store.update_vector("docs", filter={"version": version - 1}, metadata={"version": version}))
            while not changing.done():
                found = await store.query("docs", query_vector=[1], top_k=2000)
                assert len({match.metadata["version"] for match in found}) == 1
            assert await changing == 1100
