"""Vectors in memory and in an SQLite file, certified by the kit."""

from __future__ import annotations

import sys
import tempfile
from contextlib import asynccontextmanager

import pytest

from mastra_core.storage.libsql.vectors import LibSQLVector
from mastra_core.storage.vectors.inmemory import InMemoryVector
from mastra_core.testing import VectorContract


class TestInMemoryVectors(VectorContract):
    """In a dictionary."""

    @asynccontextmanager
    async def open_vectors(self):
        yield InMemoryVector()


class TestLibSQLVectors(VectorContract):
    """In a file, searched by the functions of sqlite-vec."""

    @asynccontextmanager
    async def open_vectors(self):
        with tempfile.TemporaryDirectory() as folder:
            yield LibSQLVector(url=f"file:{folder}/vectors.db")


class TestLibSQLVectorsInMemory(VectorContract):
    """Over one connection for everything."""

    @asynccontextmanager
    async def open_vectors(self):
        yield LibSQLVector(url=":memory:")


class TestLibSQLVectorsWithoutSqliteVec(TestLibSQLVectorsInMemory):
    """Searched by functions in Python, where the extension cannot be loaded."""

    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sqlite_vec", None)
