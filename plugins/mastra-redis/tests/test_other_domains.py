"""Workflows, scores, observability and retention in Redis, certified by the kit on one node, a cluster of three and a master that Sentinels name."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from mastra_core.testing import ObservabilityContract, RetentionContract, ScoresContract, WorkflowsContract
from mastra_redis.store import RedisStore


class Node:
    """In a database of the test's own."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.url = redis_url

    @asynccontextmanager
    async def open_store(self):
        yield RedisStore(connection_string=self.url)


class Cluster(Node):
    """On three nodes that were emptied before."""

    briefly = True

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url.replace("redis://", "redis+cluster://")


class Sentinel(Node):
    """On the master that Sentinels name."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_sentinel_url):
        self.url = redis_sentinel_url


class BesideTypeScript(Node):
    """Where lists look through all keys."""

    briefly = "only"

    @asynccontextmanager
    async def open_store(self):
        yield RedisStore(connection_string=self.url, typescript_writes=True)


class TestRedisWorkflows(Node, WorkflowsContract):
    """Runs of workflows."""


class TestRedisScores(Node, ScoresContract):
    """Scores."""


class TestRedisObservability(Node, ObservabilityContract):
    """Spans and traces."""


class TestRedisClusterWorkflows(Cluster, WorkflowsContract):
    """Runs of workflows."""


class TestRedisClusterScores(Cluster, ScoresContract):
    """Scores."""


class TestRedisClusterObservability(Cluster, ObservabilityContract):
    """Spans and traces."""


class TestRedisRetention(Node, RetentionContract):
    """Pruning and erasure."""


class TestRedisClusterRetention(Cluster, RetentionContract):
    """Pruning and erasure."""


@pytest.mark.scale
class TestRedisSentinelWorkflows(Sentinel, WorkflowsContract):
    """Runs of workflows."""


@pytest.mark.scale
class TestRedisSentinelScores(Sentinel, ScoresContract):
    """Scores."""


@pytest.mark.scale
class TestRedisSentinelObservability(Sentinel, ObservabilityContract):
    """Spans and traces."""


@pytest.mark.scale
class TestRedisSentinelRetention(Sentinel, RetentionContract):
    """Pruning and erasure."""


@pytest.mark.scale
class TestRedisWorkflowsBesideTypeScript(BesideTypeScript, WorkflowsContract):
    """Runs of workflows."""


@pytest.mark.scale
class TestRedisScoresBesideTypeScript(BesideTypeScript, ScoresContract):
    """Scores."""


@pytest.mark.scale
class TestRedisObservabilityBesideTypeScript(BesideTypeScript, ObservabilityContract):
    """Spans and traces."""


@pytest.mark.scale
class TestRedisRetentionBesideTypeScript(BesideTypeScript, RetentionContract):
    """Pruning and erasure."""
