"""Workflows and scores over PostgreSQL, certified by the kit on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mastra_core.testing import ScoresContract, WorkflowsContract
from mastra_pg.store import PostgresStore


class Postgres:
    """In a database of the test's own."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.url = postgres_url

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[PostgresStore]:
        yield PostgresStore(connection_string=self.url)


class TestPostgresWorkflows(Postgres, WorkflowsContract):
    """Runs of workflows."""


class TestPostgresScores(Postgres, ScoresContract):
    """Scores."""
