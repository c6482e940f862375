"""A libSQL server, certified by the kit: sqld, asked over HTTP."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager

import pytest

from mastra_core.storage.libsql.address import Address
from mastra_core.storage.libsql.remote import RemoteLibSQLEngine
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.testing import EngineContract, MemoryContract, ObservabilityContract, ScoresContract, WorkflowsContract
from tests.contract.rows import insert, on_disk, select
from tests.contract.test_libsql import SNAPSHOT
from tests.servers.sqld import Sql


class TestRemoteLibSQLEngine(EngineContract):
    """The port, one request a batch; what is stored is what a file holds."""

    snapshot = SNAPSHOT

    @pytest.fixture(autouse=True)
    def _server(self, sqld_url):
        self.url = sqld_url

    @asynccontextmanager
    async def open_engine(self):
        yield RemoteLibSQLEngine(Address.of_url(self.url))

    async def peek(self, engine, kind, key):
        return select(Sql(self.url), kind, key)

    async def on_disk(self, engine, kind, key):
        return on_disk(Sql(self.url), kind, key)

    def again(self, engine):
        return RemoteLibSQLEngine(engine.address)

    async def poke(self, engine, kind, document):
        try:
            return insert(Sql(self.url), kind, document)
        except sqlite3.IntegrityError:
            return False


class Remote:
    """On a server of the test's own. The port is certified whole above, and the same domains on a file, on every change."""

    briefly = True

    @pytest.fixture(autouse=True)
    def _server(self, sqld_url):
        self.url = sqld_url

    @asynccontextmanager
    async def open_store(self):
        yield LibSQLStore(url=self.url)


class TestRemoteMemory(Remote, MemoryContract):
    """Threads and messages."""


class TestRemoteWorkflows(Remote, WorkflowsContract):
    """Runs of workflows."""


class TestRemoteScores(Remote, ScoresContract):
    """Scores."""


class TestRemoteObservability(Remote, ObservabilityContract):
    """Spans and traces."""
