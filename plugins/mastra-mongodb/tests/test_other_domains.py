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

    briefly = True


@pytest.mark.scale
class TestMongoDBWorkflowsWithoutTransactions(OnServer, WorkflowsContract):
    """Runs of workflows, on a server that is asked for no transactions."""

    transactions = False


class TestMongoDBScores(OnServer, ScoresContract):
    """Scores."""

    briefly = True


@pytest.mark.scale
class TestMongoDBScoresWithoutTransactions(OnServer, ScoresContract):
    """Scores, on a server that is asked for no transactions."""

    transactions = False


class TestMongoDBObservability(OnServer, ObservabilityContract):
    """Spans and traces."""

    briefly = True


@pytest.mark.scale
class TestMongoDBObservabilityWithoutTransactions(OnServer, ObservabilityContract):
    """Spans and traces, on a server that is asked for no transactions."""

    transactions = False


class TestMongoDBRetention(OnServer, RetentionContract):
    """Pruning and erasure."""

    briefly = True


@pytest.mark.scale
class TestMongoDBRetentionWithoutTransactions(OnServer, RetentionContract):
    """Pruning and erasure, on a server that is asked for no transactions."""

    transactions = False
