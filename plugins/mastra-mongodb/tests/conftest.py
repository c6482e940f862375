"""Real servers for these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient

from mastra_mongodb import MongoDBStore, MongoDBVector


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures that start a server."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
    config.pluginmanager.import_plugin("tests.briefly")


@pytest_asyncio.fixture
async def vectors(mongodb_url: str) -> AsyncIterator[MongoDBVector]:
    """A vector store in a database of its own."""
    async with MongoDBVector(uri=mongodb_url) as store:
        yield store


@pytest.fixture
def raw(mongodb_url: str) -> Iterator[pymongo.database.Database[dict[str, Any]]]:
    """The same database, past the store."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_url, tz_aware=True) as client:
        yield client.get_default_database()


@pytest.fixture(params=[True, False], ids=["mongodb-8", "before-8"])
def bulk(request: pytest.FixtureRequest) -> bool:
    """Whether the server is used with the bulk write of MongoDB 8."""
    return bool(request.param)


@pytest.fixture
def opened(mongodb_url: str, bulk: bool) -> Callable[..., AbstractAsyncContextManager[MongoDBStore]]:  # a fixture
    """Opens one store more on the test's database, without transactions."""

    @asynccontextmanager
    async def opening(*listeners: Any) -> AsyncIterator[MongoDBStore]:
        async with (
            AsyncMongoClient[dict[str, Any]](mongodb_url, event_listeners=listeners) as client,
            MongoDBStore(client=client, db_name=urlsplit(mongodb_url).path.strip("/"), transactions=False) as store,
        ):
            if not bulk:
                store.records.engine._connection.has_bulk_write = False
            yield store

    return opening


@pytest.fixture
def database(mongodb_url: str) -> Iterator[pymongo.database.Database[dict[str, Any]]]:
    """The test's database, past the store, with times as they are stored."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as client:
        yield client.get_default_database()
