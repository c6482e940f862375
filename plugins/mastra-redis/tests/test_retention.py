"""Pruning and erasure in Redis, certified by the kit on one node and on a cluster of three."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from mastra_core.testing.retention.contract import RetentionContract
from mastra_redis.store import RedisStore


class TestRedisRetention(RetentionContract):
    """In a database of the test's own."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.url = redis_url

    @asynccontextmanager
    async def open_store(self):
        yield RedisStore(connection_string=self.url)


class TestRedisClusterRetention(RetentionContract):
    """On three nodes that were emptied before."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url.replace("redis://", "redis+cluster://")

    @asynccontextmanager
    async def open_store(self):
        yield RedisStore(connection_string=self.url)
