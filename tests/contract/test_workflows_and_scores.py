"""Workflows and scores over the in-memory engine and over SQLite, certified by the kit."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager

from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.testing import ScoresContract, WorkflowsContract


class InMemory:
    """In a dictionary."""

    @asynccontextmanager
    async def open_store(self):
        yield InMemoryStore()


class LibSQL:
    """In a file."""

    @asynccontextmanager
    async def open_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield LibSQLStore(url=f"file:{folder}/domains.db")


class TestInMemoryWorkflows(InMemory, WorkflowsContract):
    """Runs of workflows."""


class TestInMemoryScores(InMemory, ScoresContract):
    """Scores."""


class TestLibSQLWorkflows(LibSQL, WorkflowsContract):
    """Runs of workflows."""


class TestLibSQLScores(LibSQL, ScoresContract):
    """Scores."""
