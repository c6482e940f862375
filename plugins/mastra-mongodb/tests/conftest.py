"""Real servers for these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pymongo
import pytest
import pytest_asyncio

from mastra_mongodb import MongoDBVector


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
