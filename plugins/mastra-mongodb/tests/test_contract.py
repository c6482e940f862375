"""The MongoDB engine, certified by the kit on a replica set of one node, and with transactions turned off.

The other domains are certified in test_other_domains.py, vectors in test_vectors.py.
"""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pymongo
import pytest

from mastra_core import clock, testing
from mastra_core.storage.records.wire import dump_json
from mastra_core.testing import CompositeContract, EngineContract, MemoryContract
from mastra_mongodb.store import MongoDBStore
from tests.servers.fixtures import fresh_mongodb_database

KEYS = {"mastra_threads": ("id",), "mastra_messages": ("id",), "mastra_resources": ("id",), "mastra_scorers": ("id",)}
KEYS |= {"mastra_workflow_snapshot": ("workflow_name", "run_id"), "mastra_ai_spans": ("traceId", "spanId")}
"""Written out once more: what `@mastra/mongodb` calls its keys is not for our own code to say."""


class InDatabase:
    """A database of the test's own, looked into with the driver's other client."""

    snapshot = Path(__file__).parent / "snapshots" / "mongodb.txt"
    transactions: bool | None = None

    @pytest.fixture(autouse=True)
    def _server(self, mongodb_url):
        self.url = mongodb_url
        self.name = urlsplit(mongodb_url).path.strip("/")
        with pymongo.MongoClient(mongodb_url, tz_aware=True) as client:
            self.database = client[self.name]
            yield

    def made(self):
        return MongoDBStore(uri=self.url, transactions=self.transactions).records.engine

    @asynccontextmanager
    async def open_engine(self):
        self.database.client.drop_database(self.name)
        yield self.made()

    def again(self, engine):
        return self.made()

    async def peek(self, engine, kind, key):
        return self.database[kind.name].find_one(dict(zip(KEYS[kind.name], key, strict=True)))

    async def on_disk(self, engine, kind, key):
        found = self.database[kind.name].find_one(dict(zip(KEYS[kind.name], key, strict=True)))
        return {name: found[name] for name in sorted(found) if name != "_id"}

    async def poke(self, engine, kind, document):
        stored = {field.column: document[field.stored] for field in kind.fields if field.stored in document}
        for field in kind.fields:
            value = stored.get(field.column)
            if field.type == "time" and clock.is_stored_form(value or ""):
                stored[field.column] = clock.from_text(value)
            elif field.type == "json_text" and value is not None:
                stored[field.column] = dump_json(value, at="poke", any_unicode=True)
        self.database[kind.name].insert_one(stored)
        return True


class TestMongoDBEngine(InDatabase, EngineContract):
    """The port. Must hold: "The whole kit passes on the replica-set server (transactions)"."""


class TestMongoDBEngineWithoutTransactions(InDatabase, EngineContract):
    """The port. Must hold: "The whole kit passes … with transactions turned off"; what is left out on every change, `make test` runs."""

    briefly = True
    transactions = False


class OnServer:
    """In a database of the test's own."""

    transactions: bool | None = None

    @pytest.fixture(autouse=True)
    def _server(self, mongodb_url, mongodb_server):
        self.url, self.server = mongodb_url, mongodb_server

    @asynccontextmanager
    async def open_store(self):
        yield MongoDBStore(uri=self.url, transactions=self.transactions)


class TestMongoDBMemory(OnServer, MemoryContract):
    """The memory domain."""


@pytest.mark.scale
class TestMongoDBMemoryWithoutTransactions(OnServer, MemoryContract):
    """The memory domain, on a server that is asked for no transactions."""

    transactions = False


class TestMongoDBComposite(OnServer, CompositeContract):
    """Two databases of one server."""

    @asynccontextmanager
    async def open_stores(self):
        with fresh_mongodb_database(self.server) as other:
            made = [MongoDBStore(id=name, uri=uri, transactions=self.transactions) for name, uri in (("one", self.url), ("other", other))]
            yield tuple(made)


class TestMongoDBCompositeWithoutTransactions(TestMongoDBComposite):
    """Two databases of one server that is asked for no transactions."""

    transactions = False


async def test_the_whole_kit_is_run_with_transactions_and_without(mongodb_url):
    """Must hold: "The whole kit passes on the replica-set server (transactions) and with transactions turned off": no contract is left out."""
    tests = __name__.rpartition(".")[0]
    modules = [import_module(f"{tests}.{name}") for name in ("test_contract", "test_other_domains", "test_vectors")]
    certified = [held for module in modules for name, held in inspect.getmembers(module, inspect.isclass) if name.startswith("Test")]
    for contract in (getattr(testing, name) for name in testing.__all__ if name.endswith("Contract")):
        without = [_is_without(one) for one in certified if issubclass(one, contract)]
        assert set(without) == {False, True}, contract
    for transactions, level in ((None, "FULL"), (False, "EMULATED")):
        async with MongoDBStore(uri=mongodb_url, transactions=transactions) as store:
            assert store.records.engine.capabilities["atomic"].level == level


def _is_without(certified):
    """Whether a class asks for no transactions, or a server has none."""
    return getattr(certified, "transactions", None) is False or "Standalone" in certified.__name__
