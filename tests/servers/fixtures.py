"""Pytest fixtures that give a test a real server, and a place on it that is its own.

A conftest.py loads this module with `config.pluginmanager.import_plugin("tests.servers.fixtures")` in `pytest_configure`.
A server is started when the first test of a run asks for it and shared by all xdist workers. A server named by an environment
variable is used instead; when it does not answer, the test fails. When nothing is configured and the server is not
installed, the test is skipped with the mend, or fails where CI=true.

Knows pytest and how a test's own place is made on each server. Must not know mastra_core or a plugin.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pymongo
import pytest
import redis
from psycopg import sql
from redis.cluster import RedisCluster

from . import dynamodb, redis_sentinel, scratch
from .mongodb import MongoDBServer
from .postgres import DURABLE, PostgresServer, binaries
from .process import MissingServerError, ServerStartError
from .redis_cluster import RedisClusterServer
from .redis_sentinel import RedisSentinelServer
from .shared import KINDS, START_ATTEMPTS, Address, SharedServers, availability, new_run
from .sqld import Sql, SqldServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WORKER_KEY = "mastra_servers"
RUN: pytest.StashKey[contextlib.ExitStack] = pytest.StashKey()
SERVERS: pytest.StashKey[SharedServers] = pytest.StashKey()

OPTIONAL = {"mongodb_search": "mongodb_search_server"}
"""The fixture of each optional kind of server."""

# A master that a test has killed is missed soon.
QUICKLY_DOWN_MILLISECONDS = 500

# A lease outlives a run that was killed, and then ends by itself.
LEASE_SECONDS = 3600


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Open the run in its first process; a worker joins the run of its controller."""
    workerinput = getattr(config, "workerinput", {})
    if WORKER_KEY in workerinput:
        config.stash[SERVERS] = SharedServers(Path(workerinput[WORKER_KEY]), worker=workerinput["workerid"])
        return
    # Workers and servers inherit it.
    scratch.keep_in_memory()
    stack = contextlib.ExitStack()
    folder = stack.enter_context(new_run())
    config.stash[RUN] = stack
    config.stash[SERVERS] = SharedServers(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker the run that it belongs to."""
    node.workerinput[WORKER_KEY] = str(node.config.stash[SERVERS].folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of an optional server that is not installed; the summary says so."""
    missing = {OPTIONAL[kind] for kind in OPTIONAL if availability(kind).startswith("missing")}
    left_out = [item for item in items if missing.intersection(getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which servers the run reached, and which optional ones it did without."""
    for kind in OPTIONAL:
        if availability(kind).startswith("missing"):
            terminalreporter.write_line(f"server: no {kind}: {availability(kind)}")
    for address in config.stash[SERVERS].used():
        # Sentinels are several; the first stands for them.
        where = urlsplit(address.url.partition(",")[0])
        whose = "started for this run" if address.ours else "configured"
        terminalreporter.write_line(f"server: {address.name} {address.version} at {where.hostname}:{where.port} ({whose})")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run in its first process: its servers stop."""
    stack = config.stash.get(RUN, None)
    if stack is not None:
        stack.close()


def address_or_skip(config: pytest.Config, kind: str) -> Address:
    """Give the server of `kind`; skip where it is not installed, fail where it should be there."""
    try:
        return config.stash[SERVERS].address(kind)
    except MissingServerError as missing:
        reason = f"{missing} (or name a server in {KINDS[kind].variable})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Address:
    """The run's PostgreSQL server; most tests want `postgres_url`."""
    return address_or_skip(pytestconfig, "postgres")


@pytest.fixture
def postgres_url(postgres_server: Address) -> Iterator[str]:
    """URL of an empty database that only this test has; dropped after it, open connections included."""
    with fresh_postgres_database(postgres_server) as url:
        yield url


@contextlib.contextmanager
def fresh_postgres_database(server: Address) -> Iterator[str]:
    """Give the URL of a new empty database for the length of the block; for a test that needs a second one."""
    name = f"mastra_test_{uuid.uuid4().hex}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        # Copying files is the quick strategy for a small template when nothing waits for the disk.
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy").format(sql.Identifier(name)))
        try:
            yield urlsplit(server.url)._replace(path=f"/{name}").geturl()
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def own_postgres(*, settings: Sequence[str] = DURABLE, standby_of: str | None = None) -> Iterator[PostgresServer]:
    """Give a server of one's own for the length of the block, to be killed and started again; skips where none is installed."""
    try:
        binaries()
    except MissingServerError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    for attempt in range(1, START_ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="mastra-postgres-", ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
            # Who runs the server may be another user.
            Path(folder).chmod(0o711)
            try:
                server = stack.enter_context(PostgresServer(Path(folder), settings=settings, standby_of=standby_of))
            except ServerStartError:
                # Somebody else may have taken the port between asking for a free one and listening on it.
                if attempt == START_ATTEMPTS:
                    raise
                continue
            yield server
            return


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


def taking_turns(config: pytest.Config, kind: str, server: Address) -> contextlib.AbstractContextManager[None]:
    """Keep the tests of other workers off the server for the length of the block, unless it is this worker's own."""
    return contextlib.nullcontext() if server.ours else config.stash[SERVERS].exclusively(kind)


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
    with own_redis(functools.partial(RedisSentinelServer, replicas=replicas, down_after_milliseconds=QUICKLY_DOWN_MILLISECONDS)) as server:
        yield server


@contextlib.contextmanager
def own_redis_cluster(*, replicas: int = 1) -> Iterator[RedisClusterServer]:
    """Give a cluster of one's own for the length of the block, with `replicas` for each master, to be killed; it starts in 4 s."""
    with own_redis(functools.partial(RedisClusterServer, replicas=replicas)) as server:
        yield server


R = TypeVar("R", RedisSentinelServer, RedisClusterServer)


@contextlib.contextmanager
def own_redis(start: Callable[[Path], R]) -> Iterator[R]:
    """Give a server that only this block has; its files are thrown away."""
    for attempt in range(1, START_ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="mastra-redis-", ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
            try:
                server = stack.enter_context(start(Path(folder)))
            except ServerStartError:
                # Somebody else may have taken the port between asking for a free one and listening on it.
                if attempt == START_ATTEMPTS:
                    raise
                continue
            yield server
            return


@pytest.fixture(scope="session")
def dynamodb_endpoint(pytestconfig: pytest.Config) -> str:
    """URL of the run's DynamoDB Local; it takes any region and credentials."""
    return address_or_skip(pytestconfig, "dynamodb").url


@pytest.fixture(scope="session")
def dynamodb_client(dynamodb_endpoint: str) -> Iterator[DynamoDBClient]:
    """A boto3 client of the run's DynamoDB Local, without retries."""
    client = dynamodb.connect(dynamodb_endpoint)
    yield client
    client.close()


@pytest.fixture
def dynamodb_table(dynamodb_client: DynamoDBClient) -> Iterator[str]:
    """Name of an empty table (pk, sk, gsi1 to gsi7) that only this test has; deleted after it."""
    name = f"mastra-test-{uuid.uuid4().hex}"
    dynamodb.create_table(dynamodb_client, name)
    yield name
    dynamodb_client.delete_table(TableName=name)


@pytest.fixture(scope="session")
def mongodb_server(pytestconfig: pytest.Config) -> Address:
    """The run's server that speaks as MongoDB; most tests want `mongodb_url`."""
    return address_or_skip(pytestconfig, "mongodb")


@pytest.fixture
def mongodb_url(mongodb_server: Address) -> Iterator[str]:
    """URL, with its name, of an empty database that only this test has; dropped after it."""
    with fresh_mongodb_database(mongodb_server) as url:
        yield url


@contextlib.contextmanager
def fresh_mongodb_database(server: Address) -> Iterator[str]:
    """Give the URL of a new empty database for the length of the block; for a test that needs a second one."""
    name = f"mastra_test_{uuid.uuid4().hex}"
    where = urlsplit(server.url)
    # A user of a configured server is known in the database that the server's own URL names.
    source = where.path.strip("/") or "admin"
    query = where.query if where.username is None or "authSource=" in where.query else f"{where.query}&authSource={source}".strip("&")
    try:
        yield where._replace(path=f"/{name}", query=query).geturl()
    finally:
        client: pymongo.MongoClient[dict[str, Any]]
        with pymongo.MongoClient(server.url) as client:
            client.drop_database(name)


@pytest.fixture(scope="session")
def mongodb_search_server(pytestconfig: pytest.Config) -> Address:
    """The run's server that speaks as MongoDB with search indexes; most tests want `mongodb_search_url`."""
    return address_or_skip(pytestconfig, "mongodb_search")


@pytest.fixture
def mongodb_search_url(mongodb_search_server: Address) -> Iterator[str]:
    """URL, with its name, of an empty database that only this test has, on a server with search indexes; dropped after it."""
    with fresh_mongodb_database(mongodb_search_server) as url:
        yield url


@contextlib.contextmanager
def own_mongodb(*options: str) -> Iterator[MongoDBServer]:
    """Give a server of one's own for the length of the block, to be killed and started again; `options` go on its command line."""
    for attempt in range(1, START_ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="mastra-mongodb-", ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
            try:
                server = stack.enter_context(MongoDBServer(Path(folder), options=options))
            except ServerStartError:
                # Somebody else may have taken the port between asking for a free one and listening on it.
                if attempt == START_ATTEMPTS:
                    raise
                continue
            yield server
            return


@contextlib.contextmanager
def fresh_sqld(*options: str) -> Iterator[SqldServer]:
    """Give a libSQL server of one's own with an empty database for the length of the block; `options` go on its command line."""
    for attempt in range(1, START_ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="mastra-sqld-", ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
            try:
                server = stack.enter_context(SqldServer(Path(folder), options=options))
            except ServerStartError:
                # Somebody else may have taken the port between asking for a free one and listening on it.
                if attempt == START_ATTEMPTS:
                    raise
                continue
            yield server
            return


@pytest.fixture(scope="session")
def sqld_server(pytestconfig: pytest.Config) -> Address:
    """That there is a libSQL server for the run's tests: sqld, or the one that was configured."""
    return address_or_skip(pytestconfig, "sqld")


@pytest.fixture
def sqld(sqld_server: Address) -> Iterator[SqldServer]:
    """A libSQL server that only this test has, to be killed and started again; it starts in 50 ms."""
    with fresh_sqld() as server:
        yield server


@pytest.fixture
def sqld_url(pytestconfig: pytest.Config, sqld_server: Address) -> Iterator[str]:
    """URL of an empty libSQL database that only this test has: a server of its own, or the configured one, emptied before."""
    if sqld_server.ours:
        with fresh_sqld() as server:
            yield server.url
        return
    with pytestconfig.stash[SERVERS].exclusively("sqld"):
        empty_sqld(sqld_server.url)
        yield sqld_server.url
        empty_sqld(sqld_server.url)


def empty_sqld(url: str) -> None:
    """Drop every table of Mastra's."""
    sql_of = Sql(url)
    for (name,) in sql_of.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'mastra%'"):
        sql_of.execute(f'DROP TABLE "{name}"')
