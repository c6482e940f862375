"""Workflows, scores, observability and retention in MongoDB, certified by the kit with transactions and without."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from mastra_core.testing import ObservabilityContract, RetentionContract, ScoresContract, WorkflowsContract
from mastra_mongodb.store import MongoDBStore


class OnServer:
    """In a database of the test's own."""

    transactions: bool | None = None

    @pytest.fixture(autouse=True)
    def _server(self, mongodb_url):
        self.url = mongodb_url

    @asynccontextmanager
    async def open_store(self):
        yield MongoDBStore(uri=self.url, transactions=self.transactions)


class TestMongoDBWorkflows(OnServer, WorkflowsContract):
    """Runs of workflows."""


class TestMongoDBScores(OnServer, ScoresContract):
    """Scores."""


class TestMongoDBObservability(OnServer, ObservabilityContract):
    """Spans and traces."""


class TestMongoDBRetention(OnServer, RetentionContract):
    """Pruning and erasure."""
