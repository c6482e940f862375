"""Every option of the stores: how one connects, and what is refused before anything is sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.storage import open_store
from mastra_core.storage.records.kinds import Thread
from mastra_pg import PgVector, PostgresStore
from mastra_pg.address import address_of

START = clock.from_text("2024-01-01T00:00:00.000Z")
URL = "postgresql://ada:s3cret@db.example/app"


def a_thread(*, title: str = "") -> Thread:
    """A thread as a test saves it."""
    return Thread(id="t", resource_id="u", title=title, created_at=START, updated_at=START)


def libpq(**given: Any) -> dict[str, Any]:
    """The parameters of libpq that options give."""
    parts = {name: given.get(name) for name in ("host", "port", "database", "user", "password")}
    url, mode = given.get("connection_string"), given.get("ssl")
    source = address_of(of="PostgresStore", connection_string=url, pool=None, ssl=mode, parts=parts).source
    assert isinstance(source, str)
    return dict(conninfo_to_dict(source))


def parts_of(url: str) -> dict[str, Any]:
    """A URL as host parameters."""
    found = urlsplit(url)
    return {"host": found.hostname, "port": found.port, "database": found.path[1:], "user": found.username, "password": found.password}


async def keeps_a_thread(store: PostgresStore) -> bool:
    """Whether what is saved is found."""
    async with store:
        thread = await store.memory.save_thread(a_thread())
        return await store.memory.get_thread_by_id(thread.id) == thread


async def test_a_connection_string_host_parameters_and_a_pool_reach_the_same_database(postgres_url: str) -> None:
    """Whatever way a program knows its database, that way is enough."""
    async with PostgresStore(**parts_of(postgres_url)) as store:
        thread = await store.memory.save_thread(a_thread())
    async with AsyncConnectionPool(postgres_url, min_size=1, open=False) as pool:
        for other in (PostgresStore(connection_string=postgres_url), PostgresStore(pool=pool), open_store(postgres_url)):
            async with other:
                assert await other.memory.get_thread_by_id(thread.id) == thread


async def test_a_pool_that_was_handed_in_stays_open_and_as_it_was(postgres_url: str) -> None:
    """The application that made it goes on with it, in transactions as it had set."""
    async with AsyncConnectionPool(postgres_url, min_size=1, max_size=1, open=False) as pool:
        assert await keeps_a_thread(PostgresStore(pool=pool))
        async with pool.connection() as connection:
            assert not connection.autocommit
            await connection.execute("SELECT 1")
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


async def test_the_pool_of_a_store_takes_sql_and_serves_its_vectors(postgres_url: str) -> None:
    """Seed: "Direct Database and Pool Access"; one pool is enough for a process."""
    store = PostgresStore(connection_string=postgres_url)
    with pytest.raises(ConfigurationError, match=r"await store\.init"):
        _ = store.pool
    async with store:
        thread = await store.memory.save_thread(a_thread(title="Hello"))
        async with store.pool.connection() as connection:
            rows = await (await connection.execute("SELECT title FROM mastra_threads WHERE id = %s", [thread.id])).fetchall()
        assert rows == [("Hello",)]
        vectors = PgVector(pool=store.pool)
        assert await vectors.list_indexes() == []
        await vectors.close()
        assert await store.memory.get_thread_by_id(thread.id) == thread
    assert store.pool.closed


@pytest.mark.parametrize("kind", [PostgresStore, PgVector])
@pytest.mark.parametrize(
    "given, text",
    [
        ({}, r"exactly one way to connect, of \['connection_string', 'host', 'pool'\]; found none\. For example"),
        ({"connection_string": ""}, "found none"),
        ({"connection_string": URL, "host": "h"}, "found connection_string and host"),
        (
            {"connection_string": URL, "password": "s3cret", "port": 5},
            "found connection_string, and port and password, which goes with host",
        ),
        ({"host": "h", "user": "u"}, "host is given without database"),
        ({"host": "h", "user": "u", "database": "d", "port": "5432"}, "port must be a number from 1 to 65535, found '5432'"),
        ({"host": "h", "user": "u", "database": "d", "password": 3}, "password must be a string, found int"),
        ({"database": "d", "user": "u"}, "found none"),
        ({"pool": "postgresql://…"}, "pool must be a psycopg_pool.AsyncConnectionPool, found builtins.str"),
        ({"pool": ConnectionPool(open=False)}, "pool must be a psycopg_pool.AsyncConnectionPool, found psycopg_pool.pool.ConnectionPool"),
        ({"connectionString": URL}, "there is no option 'connectionString'.*Did you mean 'connection_string'"),
        ({"connection_string": URL, "schemaName": "x"}, "Did you mean 'schema_name'"),
        ({"connection_string": URL, "max": 5}, "there is no option 'max'.*max_connections"),
        ({"connection_string": URL, "max_connections": 0}, "max_connections must be more than 0, found 0"),
        ({"connection_string": URL, "max_connections": True}, "max_connections must be more than 0, found True"),
        ({"connection_string": URL, "ssl": "on"}, r"ssl must be True \(as 'require'\), False or one of \['disable', .*found 'on'"),
        ({"connection_string": URL, "ssl": {"rejectUnauthorized": False}}, "ssl must be True"),
        ({"connection_string": f"{URL}?sslmode=require", "ssl": False}, "sslmode=require in connection_string and ssl=False"),
        ({"connection_string": f"{URL}?schema=x"}, "PostgreSQL knows no parameter 'schema'; leave it out, or name one of.*schema_name"),
        ({"connection_string": f"{URL}?schema_name=a", "schema_name": "b"}, "two schemas were given, 'a' in connection_string"),
        ({"connection_string": "s3cret"}, "it cannot be read"),
        ({"connection_string": "postgresql://ada:s3 cret@h/d"}, "percent-encoded"),
        ({"connection_string": "host=h password s3cret"}, "it cannot be read"),
        ({"connection_string": 5}, "connection_string must be a string, found int"),
        ({"connection_string": URL, "id": " "}, "id must be a non-empty string"),
    ],
)
def test_what_cannot_be_an_option_is_refused_with_the_mend_and_without_the_password(kind: Any, given: dict[str, Any], text: str) -> None:
    """A wrong configuration is told when the store is made, and never with a secret."""
    with pytest.raises(ConfigurationError, match=text) as caught:
        kind(**given)
    assert "s3" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "given, text",
    [
        ({"prepare_threshold": "never"}, "prepare_threshold must be a number from 0, None for never, or 'auto', found 'never'"),
        ({"skip_default_indexes": "yes"}, "skip_default_indexes must be True or False, found 'yes'"),
        ({"connection_string": f"{URL}?skip_default_indexes=yes"}, "skip_default_indexes must be True or False, found 'yes'"),
        ({"indexes": {"name": "x"}}, "indexes must be a list"),
        ({"indexes": "x"}, "indexes must be a list"),
    ],
)
def test_what_only_a_store_takes_is_refused_likewise(given: dict[str, Any], text: str) -> None:
    """The options that PgVector has not."""
    with pytest.raises(ConfigurationError, match=text):
        PostgresStore(**{"connection_string": URL, **given})


async def test_what_is_for_a_pool_of_ours_is_refused_beside_one_handed_in() -> None:
    """An option that would do nothing is not passed over."""
    pool: Any = AsyncConnectionPool(open=False)
    for given in ({"max_connections": 5}, {"prepare_threshold": None}, {"ssl": True}, {"host": "h"}):
        with pytest.raises(ConfigurationError, match=rf"{next(iter(given))}"):
            PostgresStore(pool=pool, **given)


def test_ssl_is_a_mode_of_libpq() -> None:
    """Seed: the option `ssl`; without it, libpq's default stands, which takes TLS where the server has it."""
    assert "sslmode" not in libpq(connection_string=URL)
    assert libpq(connection_string=URL, ssl=True)["sslmode"] == "require"
    assert libpq(connection_string=URL, ssl=False)["sslmode"] == "disable"
    for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
        assert libpq(host="h", database="d", user="u", ssl=mode)["sslmode"] == mode
    assert libpq(connection_string=f"{URL}?sslmode=verify-full", ssl="verify-full")["sslmode"] == "verify-full"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
def test_the_schemes_of_other_programs_are_read(scheme: str) -> None:
    """A DATABASE_URL made for another library works as it stands."""
    found = libpq(connection_string=f"{scheme}://ada:{quote('p@ss/:', safe='')}@a,b:6/app?target_session_attrs=read-write&schema_name=x")
    assert found == {
        "user": "ada",
        "password": "p@ss/:",
        "host": "a,b",
        "port": ",6",
        "dbname": "app",
        "target_session_attrs": "read-write",
    }


def test_special_characters_need_no_escapes_in_host_parameters() -> None:
    """A password is a password, whatever is in it."""
    found = libpq(host="h", database="my db", user="o'neil", password="a b'c\\d@e%20", port=6)
    assert found == {"host": "h", "dbname": "my db", "user": "o'neil", "password": "a b'c\\d@e%20", "port": "6"}


def test_a_url_says_the_schema_and_whether_indexes_are_made() -> None:
    """So `mastra ddl URL` prints what an operator is to run."""
    tables = open_store(f"{URL}?schema_name=chat&skip_default_indexes=true").records.ddl()
    assert tables[0] == 'CREATE SCHEMA IF NOT EXISTS "chat";'
    assert any('"chat"."mastra_threads"' in statement for statement in tables)
    assert not any("INDEX" in statement for statement in tables)
    assert sum("INDEX" in statement for statement in open_store(URL).records.ddl()) > 30


def test_nothing_that_is_shown_of_a_store_holds_the_password() -> None:
    """Logs and tracebacks show a store by its class and id."""
    store = PostgresStore(connection_string=URL)
    for shown in (store, store.records, store.records.engine, vars(store), vars(store.records.engine)):
        assert "s3cret" not in repr(shown)
