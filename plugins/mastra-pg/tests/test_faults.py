"""What a user is told when PostgreSQL refuses: what failed, how to mend it, and never the password."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError, MastraError, StorageUnavailableError
from mastra_core.storage.records.kinds import Message, Thread
from mastra_pg.connections import Connections
from mastra_pg.engine import PostgreSQLEngine
from mastra_pg.store import PostgresStore
from tests.servers.fixtures import own_postgres
from tests.servers.process import free_port

SECRET = "s3kr1t-Passw0rd"
START = clock.from_text("2024-01-01T00:00:00.000Z")

OUTAGE = """
import asyncio, logging, sys
import mastra_pg.connections
from mastra_core.errors import StorageUnavailableError
from mastra_pg import PostgresStore

async def main() -> None:
    async with PostgresStore(connection_string=sys.argv[1]) as store:
        await store.init()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        mastra_pg.connections.WAIT_SECONDS = 0.5
        try:
            await store.memory.get_thread_by_id("t")
        except StorageUnavailableError as error:
            print(error, flush=True)

if sys.argv[2] == "log":
    logging.basicConfig()
asyncio.run(main())
"""
"""A program whose server goes away while it runs."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a server that demands a password over the network, with one role `app` that has one; who asks is `app`."""
    with own_postgres(settings=("max_connections=20", "password_encryption=md5")) as running:
        with psycopg.connect(running.url, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE app LOGIN SUPERUSER PASSWORD '{SECRET}'")
            (hba,) = admin.execute("SHOW hba_file").fetchone() or ("",)
            rules = "host postgres postgres all trust\nhost all all all md5\n"
            admin.execute(f"COPY (SELECT unnest(string_to_array('{rules}', chr(10)))) TO '{hba}'")
            admin.execute("SELECT pg_reload_conf()")
        yield f"postgresql://app:{SECRET}@127.0.0.1:{running.port}/postgres"


@pytest.fixture
def admin(server: str) -> Iterator[psycopg.Connection]:
    """Somebody who sets the server up; what was set for `app` is reset afterwards."""
    with psycopg.connect(server, autocommit=True) as connection:
        yield connection
        connection.execute("ALTER ROLE app RESET ALL")
        connection.execute("ALTER ROLE app CONNECTION LIMIT -1")


async def refused(url: str) -> MastraError:
    """Save a turn in the store at *url*, and give the error, which nowhere says the password."""
    thread = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
    with pytest.raises(MastraError) as caught:
        async with PostgresStore(connection_string=url) as store:
            await store.memory.save_turn(thread=thread, messages=[Message(id="m", thread_id="t", role="user")])
    said = [*traceback.format_exception(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    assert [text for text in said if SECRET in text] == []
    return caught.value


def at(url: str, **parts: str) -> str:
    """The URL with other parts."""
    return urlsplit(url)._replace(**parts).geturl()


async def test_a_wrong_password_is_said_at_once(server: str) -> None:
    """Issue: wrong password: one clear error, with the mend."""
    error = await refused(server.replace(SECRET, f"{SECRET}-mistyped"))
    assert isinstance(error, StorageUnavailableError)
    assert 'password authentication failed for user "app"' in str(error)
    assert "check them in the connection string" in str(error)


async def test_no_password_is_said_at_once(server: str) -> None:
    """Who forgot the password is told so, and not to look after the server."""
    error = await refused(server.replace(f":{SECRET}", ""))
    assert "no password supplied: the server refused the user or password" in str(error)


async def test_an_unknown_database_is_said_at_once(server: str) -> None:
    """Issue: unknown database."""
    error = await refused(at(server, path="/nowhere"))
    assert isinstance(error, StorageUnavailableError)
    assert 'database "nowhere" does not exist: there is no such database; create it with CREATE DATABASE' in str(error)


async def test_a_port_where_nobody_listens_is_said_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Issue: unreachable host: our error alone, and nothing of the pool's on the terminal."""
    error = await refused(f"postgresql://app:{SECRET}@127.0.0.1:{free_port()}/postgres")
    assert isinstance(error, StorageUnavailableError)
    assert "Connection refused" in str(error)
    assert "check that the server runs and can be reached" in str(error)
    assert capfd.readouterr().err == ""


def test_an_outage_is_told_by_the_error_and_on_no_terminal() -> None:
    """A program that keeps no log sees our error alone; one that does finds in it what the pool says of each attempt."""
    with own_postgres() as running:
        programs = [
            subprocess.Popen(
                [sys.executable, "-c", OUTAGE, running.url, log],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for log in ("none", "log")
        ]
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "open\n"
        running.stop()
        said = [program.communicate("\n", timeout=60) for program in programs]
    for told, _ in said:
        assert told.startswith("PostgreSQL: "), said
        assert "check that the server runs and can be reached" in told, said
    assert said[0][1] == ""
    assert "error connecting in 'mastra-pg'" in said[1][1]


async def test_a_host_that_has_no_address_is_said_at_once() -> None:
    """Issue: unreachable host, by a name that nobody knows."""
    error = await refused(f"postgresql://app:{SECRET}@no-such-host.invalid/postgres")
    assert "no-such-host.invalid" in str(error)
    assert "check the host in the connection string" in str(error)


async def test_tls_where_the_server_has_none_is_said_with_the_mend(server: str) -> None:
    """Issue: TLS demanded where the server has none."""
    error = await refused(f"{server}?sslmode=require")
    assert "server does not support SSL, but SSL was required: the server has no TLS" in str(error)
    assert "sslmode=prefer" in str(error)


async def test_of_several_hosts_each_is_said(server: str) -> None:
    """Who names two hosts learns why neither would do."""
    where = urlsplit(server)
    netloc = f"app:{SECRET}@127.0.0.1:{where.port},127.0.0.1:{free_port()}"
    error = await refused(f"postgresql://{netloc}/postgres?target_session_attrs=standby")
    assert "not in hot standby mode" in str(error)
    assert "Connection refused" in str(error)
    assert "no server of the connection string is what its target_session_attrs asks for" in str(error)


async def test_too_many_connections_is_said_with_the_mend(server: str, admin: psycopg.Connection) -> None:
    """Issue: too many connections."""
    # Limits of roles do not bind a superuser.
    admin.execute("DROP ROLE IF EXISTS guest")
    admin.execute(f"CREATE ROLE guest LOGIN CONNECTION LIMIT 0 PASSWORD '{SECRET}'")
    error = await refused(server.replace("app:", "guest:"))
    assert isinstance(error, StorageUnavailableError)
    assert "too many connections for role" in str(error)
    assert "max_connections" in str(error)


async def test_a_server_that_takes_no_writes_is_said_with_the_mend(server: str, admin: psycopg.Connection) -> None:
    """Issue: read-only server."""
    await saved_once(server)
    admin.execute("ALTER ROLE app SET default_transaction_read_only = on")
    error = await refused(server)
    assert isinstance(error, StorageUnavailableError)
    assert "the server takes no writes" in str(error)
    assert "target_session_attrs=read-write" in str(error)


async def test_a_statement_timeout_is_said_with_the_mend(server: str, admin: psycopg.Connection) -> None:
    """Issue: statement timeout."""
    await saved_once(server)
    admin.execute("ALTER ROLE app SET statement_timeout = '200ms'")
    with admin.transaction():
        admin.execute("SELECT 1 FROM mastra_threads WHERE id = 't' FOR UPDATE")
        error = await refused(server)
    assert isinstance(error, StorageUnavailableError)
    assert "statement timeout" in str(error)
    assert "raise that timeout" in str(error)


async def test_a_full_disk_is_said_with_the_mend(server: str, admin: psycopg.Connection) -> None:
    """Issue: disk full class; the server says so from a trigger, in place of its disk."""
    await saved_once(server)
    admin.execute(
        "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
    )
    admin.execute("CREATE TRIGGER full_disk BEFORE INSERT ON mastra_messages FOR EACH ROW EXECUTE FUNCTION full_disk()")
    try:
        error = await refused(server)
    finally:
        admin.execute("DROP TRIGGER full_disk ON mastra_messages")
    assert isinstance(error, StorageUnavailableError)
    assert "No space left on device: the disk of the server is full; free space there, then save again" in str(error)


@pytest.mark.parametrize("text", [f"postgresql://app:{SECRET}%zz@127.0.0.1/x", f"host=127.0.0.1 password='{SECRET}", f"{SECRET} and more"])
async def test_a_connection_string_that_cannot_be_read_is_not_repeated(text: str) -> None:
    """libpq quotes what it stumbles over; the error says how one looks instead, and nothing was asked of any server."""
    error = await refused(text)
    assert isinstance(error, ConfigurationError)
    assert "cannot be read. It is written 'postgresql://user:password@host:5432/database'" in str(error)


async def test_a_pool_that_is_in_use_is_said_with_the_mend(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits in vain for a connection is told how many there are."""
    monkeypatch.setattr("mastra_pg.connections.WAIT_SECONDS", 0.2)
    store = PostgresStore(connection_string=postgres_url)
    store.records.engine = engine = PostgreSQLEngine(Connections(postgres_url, max_connections=1))
    async with store, engine.connections.connection():
        with pytest.raises(StorageUnavailableError, match=r"all 1 connections were in use for 0\.2 s: raise the store's max_connections"):
            await store.memory.get_thread_by_id("t")


async def saved_once(url: str) -> None:
    """A thread to collide with."""
    thread = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
    async with PostgresStore(connection_string=url) as store:
        await store.memory.save_thread(thread)
