"""Pytest fixtures that give a test a place of its own on Redis: on a node, a Cluster, behind Sentinels, or with search.

Knows how such a place is made empty and kept from other tests. Must not know mastra_core or a plugin.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis
from redis.cluster import RedisCluster

from . import redis_sentinel
from .process import own_server
from .redis_cluster import RedisClusterServer
from .redis_sentinel import RedisSentinelServer
from .run import address_or_skip, taking_turns
from .shared import Address

# A master that a test has killed is missed soon.
QUICKLY_DOWN_MILLISECONDS = 500

# A lease outlives a run that was killed, and then ends by itself.
LEASE_SECONDS = 3600


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> Address:
    """The run's single-node Redis server; most tests want `redis_url`."""
    return address_or_skip(pytestconfig, "redis")


@pytest.fixture
def redis_url(redis_server: Address) -> Iterator[str]:
    """URL, with its number, of an empty database that only this test has; emptied after it.

    The stored keys have no prefix, so a key prefix could not keep tests apart. A database that holds anything is never taken.
    """
    with fresh_redis_database(redis_server) as url:
        yield url


@contextlib.contextmanager
def fresh_redis_database(server: Address) -> Iterator[str]:
    """Give the URL of an empty numbered database for the length of the block; for a test that needs a second one."""
    with redis.Redis.from_url(server.url, db=0) as leases:
        number = lease_redis_database(server, leases)
        try:
            yield urlsplit(server.url)._replace(path=f"/{number}").geturl()
        finally:
            with redis.Redis.from_url(server.url, db=number) as database:
                database.flushdb()
            leases.delete(lease_key(number))


def lease_redis_database(server: Address, leases: redis.Redis) -> int:
    """Take an empty database that nobody else has; the test fails when there is none."""
    databases = int(leases.config_get("databases")["databases"] or 0)
    for number in range(1, databases):
        if leases.set(lease_key(number), "taken", nx=True, ex=LEASE_SECONDS):
            with redis.Redis.from_url(server.url, db=number) as database:
                if database.dbsize() == 0:
                    return number
            leases.delete(lease_key(number))
    pytest.fail(
        f"no empty database among 1..{databases - 1} at the Redis server: give it more (`--databases 256`) or empty one", pytrace=False
    )


def lease_key(number: int) -> str:
    """Name the key in database 0 that says a test has database `number`."""
    return f"mastra-test-lease:{number}"


@pytest.fixture
def redis_prefix() -> str:
    """A text that no other test uses, for keys and ids."""
    return f"t{uuid.uuid4().hex}:"


@pytest.fixture(scope="session")
def redis_cluster_server(pytestconfig: pytest.Config) -> Address:
    """This worker's Redis Cluster; most tests want `redis_cluster_url`."""
    return address_or_skip(pytestconfig, "redis_cluster")


@pytest.fixture
def redis_cluster_url(pytestconfig: pytest.Config, redis_cluster_server: Address) -> Iterator[str]:
    """URL of an empty Redis Cluster that only this test has for its length; emptied after it.

    A cluster has no numbered databases: each worker has one, and of one that was configured tests of all workers take turns.
    """
    with taking_turns(pytestconfig, "redis_cluster", redis_cluster_server), RedisCluster.from_url(redis_cluster_server.url) as cluster:
        count = cluster.dbsize(target_nodes=RedisCluster.PRIMARIES)
        if count:
            pytest.fail(
                f"the Redis Cluster holds {count} keys: the tests take only an empty one, and empty it after each test", pytrace=False
            )
        try:
            yield redis_cluster_server.url
        finally:
            cluster.flushall(target_nodes=RedisCluster.PRIMARIES)


@pytest.fixture(scope="session")
def redis_search_server(pytestconfig: pytest.Config) -> Address:
    """This worker's Redis server that searches; most tests want `redis_search_url`."""
    return address_or_skip(pytestconfig, "redis_search")


@pytest.fixture
def redis_search_url(pytestconfig: pytest.Config, redis_search_server: Address) -> Iterator[str]:
    """URL of an empty Redis server that searches and that only this test has for its length; emptied after it, search indexes included.

    Redis searches in database 0 alone: each worker has a server, and of one that was configured tests of all workers take turns.
    """
    with taking_turns(pytestconfig, "redis_search", redis_search_server), redis.Redis.from_url(redis_search_server.url) as client:
        if client.dbsize():
            pytest.fail("the Redis server with search is not empty: the tests take only an empty one, and empty it", pytrace=False)
        try:
            yield redis_search_server.url
        finally:
            client.flushall()


@pytest.fixture(scope="session")
def redis_sentinel_server(pytestconfig: pytest.Config) -> Address:
    """The run's Redis master with a replica and three Sentinels; most tests want `redis_sentinel_url`."""
    return address_or_skip(pytestconfig, "redis_sentinel")


@pytest.fixture
def redis_sentinel_url(redis_sentinel_server: Address) -> Iterator[str]:
    """URL (`redis+sentinel://…/service/number`) of an empty database that only this test has; emptied after it."""
    with fresh_redis_sentinel_database(redis_sentinel_server) as url:
        yield url


@contextlib.contextmanager
def fresh_redis_sentinel_database(server: Address) -> Iterator[str]:
    """Give the URL of an empty numbered database for the length of the block; for a test that needs a second one."""
    master = dataclasses.replace(server, url=redis_sentinel.master_of(server.url))
    with fresh_redis_database(master) as url:
        yield f"{server.url}{urlsplit(url).path}"


@contextlib.contextmanager
def own_redis_sentinels(*, replicas: int = 1) -> Iterator[RedisSentinelServer]:
    """Give a master, its replicas and three Sentinels of one's own for the length of the block, to be killed; they start in 2 s."""
    start = functools.partial(RedisSentinelServer, replicas=replicas, down_after_milliseconds=QUICKLY_DOWN_MILLISECONDS)
    with own_server(start, kind="redis") as server:
        yield server


@contextlib.contextmanager
def own_redis_cluster(*, replicas: int = 1) -> Iterator[RedisClusterServer]:
    """Give a cluster of one's own for the length of the block, with `replicas` for each master, to be killed; it starts in 4 s."""
    with own_server(functools.partial(RedisClusterServer, replicas=replicas), kind="redis") as server:
        yield server
