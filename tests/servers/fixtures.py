"""Pytest fixtures that give a test a real server, and a place on it that is its own.

A conftest.py loads this module with `config.pluginmanager.import_plugin("tests.servers.fixtures")` in `pytest_configure`; it brings the
run of servers and the fixtures of Redis, which have modules of their own.

Knows pytest and how a test's own place is made on each server. Must not know mastra_core or a plugin.
"""

from __future__ import annotations

import contextlib
import functools
import os
import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pymongo
import pytest
from psycopg import sql

from . import dynamodb, redis_fixtures, run
from .mongodb import MongoDBServer
from .postgres import DURABLE, PostgresServer, binaries
from .process import MissingServerError, own_server
from .run import SERVERS, address_or_skip
from .shared import Address
from .sqld import Sql, SqldServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def pytest_configure(config: pytest.Config) -> None:
    """Bring the run of servers, and the fixtures that have a module of their own."""
    config.pluginmanager.register(run)
    config.pluginmanager.register(redis_fixtures)


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
    with own_server(functools.partial(PostgresServer, settings=settings, standby_of=standby_of), kind="postgres") as server:
        yield server


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
    with own_server(functools.partial(MongoDBServer, options=options), kind="mongodb") as server:
        yield server


@contextlib.contextmanager
def fresh_sqld(*options: str) -> Iterator[SqldServer]:
    """Give a libSQL server of one's own with an empty database for the length of the block; `options` go on its command line."""
    with own_server(functools.partial(SqldServer, options=options), kind="sqld") as server:
        yield server


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
