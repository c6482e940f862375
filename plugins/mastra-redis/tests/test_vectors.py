"""RedisVector, certified by the kit: by looking on a plain server, along search indexes, on a cluster and behind Sentinels."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest

from mastra_core.testing import VectorContract
from mastra_redis.vectors import RedisVector


class TestOnAPlainServer(VectorContract):
    """Every vector that the filter leaves is looked at."""

    options: dict[str, Any] = {}  # noqa: RUF012  # of the test class, not changed

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.url = redis_url

    @asynccontextmanager
    async def open_vectors(self):
        yield RedisVector(connection_string=self.url, **self.options)


class TestWithSearch(TestOnAPlainServer):
    """Along search indexes; the filter's fields are not named, so that the store decides the filters."""

    options = {"search": "native", "key_prefix": "my app:é\n"}  # noqa: RUF012  # of the test class, not changed

    @pytest.fixture(autouse=True)
    def _server(self, redis_search_url):
        self.url = redis_search_url


@pytest.mark.scale
class TestOnACluster(TestOnAPlainServer):
    """An index lies in one slot, and is looked at."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url.replace("redis://", "redis+cluster://")


@pytest.mark.scale
class TestBehindSentinels(TestOnAPlainServer):
    """On the master that they name; each write is confirmed by its replica."""

    options = {"wait_replicas": 1, "wait_seconds": 10}  # noqa: RUF012  # of the test class, not changed

    @pytest.fixture(autouse=True)
    def _server(self, redis_sentinel_url):
        self.url = redis_sentinel_url
