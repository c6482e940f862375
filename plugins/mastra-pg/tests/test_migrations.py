"""How a database gets the schema of this release: once, by whoever comes first and may, and only by adding."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kinds import SCHEMA_VERSION
from mastra_pg.store import PostgresStore
from mastra_pg.tables import SCHEMA
from tests.schema_snapshots import RECORDED, difference
from tests.servers.counting import PostgresProxy

PROCESSES = 8

OPENER = """
import asyncio, sys
from psycopg import AsyncConnection
from mastra_pg.store import PostgresStore

execute, made = AsyncConnection.execute, []

async def counted(self, query, *arguments, **options):
    if query.startswith(("CREATE", "INSERT INTO")):
        made.append(query)
    return await execute(self, query, *arguments, **options)

AsyncConnection.execute = counted

async def main(url):
    print("ready", flush=True)
    sys.stdin.readline()
    async with PostgresStore(connection_string=url) as store:
        assert (await store.memory.list_threads()).total == 0
    print(len(made))

asyncio.run(main(sys.argv[1]))
"""

DYING = """
import asyncio, os, signal, sys
from psycopg import AsyncConnection
from mastra_pg.store import PostgresStore

execute, left = AsyncConnection.execute, int(sys.argv[2])

async def dying(self, query, *arguments, **options):
    global left
    left -= query.startswith(("CREATE", "INSERT"))
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return await execute(self, query, *arguments, **options)

AsyncConnection.execute = dying
asyncio.run(PostgresStore(connection_string=sys.argv[1]).init())
"""


@pytest.fixture
def behind(postgres_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of the operator's."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def role(behind: psycopg.Connection[tuple[Any, ...]], postgres_url: str) -> Iterator[str]:
    """The URL of a role that may read and write what it is granted, and create nothing."""
    name = f"app_{uuid.uuid4().hex[:12]}"
    behind.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'app'").format(sql.Identifier(name)))
    grant = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}"
    behind.execute(sql.SQL(grant).format(sql.Identifier(name)))
    parts = urlsplit(postgres_url)
    yield parts._replace(netloc=f"{name}:app@{parts.netloc.rpartition('@')[2]}").geturl()
    behind.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    behind.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def applied(connection: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The version and fingerprint of every migration."""
    return connection.execute("SELECT version, fingerprint FROM mastra_migrations ORDER BY version").fetchall()


def make(connection: psycopg.Connection[tuple[Any, ...]], *, but: str = "") -> None:
    """Run what `mastra ddl` prints, as an operator; without the statements that name *but*."""
    for statement in SCHEMA.ddl():
        if not but or but not in statement:
            connection.execute(statement)


def test_the_schema_of_postgresql_is_the_one_written_down() -> None:
    """Nobody adds a table, a column or an index to users' databases by accident, or forgets the version that refuses older releases."""
    (path,) = [path for path, schema in RECORDED.items() if schema is SCHEMA]
    assert difference(SCHEMA, path.read_text()) is None


async def test_a_start_on_a_ready_database_is_one_statement(postgres_url: str) -> None:
    """Issue: "one cheap check at start-up", counted on the wire."""
    with PostgresProxy.before(postgres_url) as proxy:
        for _ in range(2):
            with proxy.counting() as counted:
                async with PostgresStore(connection_string=proxy.url):
                    pass
        assert (len(counted.sent), counted.round_trips) == (1, 1), counted.sent


def test_of_eight_processes_that_open_a_fresh_database_one_prepares_it(postgres_url: str, behind: psycopg.Connection[Any]) -> None:
    """Issue: "safe with N processes starting at once": all can use it, and the work is done once."""
    pipe = subprocess.PIPE
    arguments = [sys.executable, "-c", OPENER, postgres_url]
    openers = [subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(PROCESSES)]
    try:
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n", opener.communicate(timeout=120)
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("go\n")
            opener.stdin.flush()
        made = []
        for opener in openers:
            out, errors = opener.communicate(timeout=120)
            assert opener.returncode == 0, errors
            made.append(int(out))
    finally:
        for opener in openers:
            opener.kill()
    assert sorted(made) == [0] * (PROCESSES - 1) + [len(SCHEMA.ddl())]
    assert applied(behind) == [(SCHEMA_VERSION, SCHEMA.fingerprint)]


@pytest.mark.parametrize("step", [1, 10, len(SCHEMA.ddl())])
def test_a_process_that_dies_while_it_prepares_leaves_a_database_that_opens(
    postgres_url: str, behind: psycopg.Connection[Any], step: int
) -> None:
    """kill -9 before any statement of the migration: nothing of it is kept, and the next start does it all."""
    died = subprocess.run([sys.executable, "-c", DYING, postgres_url, str(step)], capture_output=True, text=True, timeout=120, check=False)
    assert died.returncode == -9, died.stderr
    with PostgresStore(connection_string=postgres_url).sync as store:
        assert store.memory.list_threads().total == 0
    assert applied(behind) == [(SCHEMA_VERSION, SCHEMA.fingerprint)]


async def test_a_newer_database_is_refused_with_the_mend(postgres_url: str, behind: psycopg.Connection[Any]) -> None:
    """Issue: "a newer schema refused with the mend": by whom it was made, and what to upgrade to."""
    make(behind)
    behind.execute(f"INSERT INTO mastra_migrations VALUES ({SCHEMA_VERSION + 1}, 'f', '', 'mastra-core 2.0.0')")
    store = PostgresStore(connection_string=postgres_url)
    text = rf"schema version {SCHEMA_VERSION + 1}, made by mastra-core 2\.0\.0; .* knows version {SCHEMA_VERSION} .*Upgrade to at least"
    with pytest.raises(ConfigurationError, match=text):
        await store.memory.list_threads()
    with pytest.raises(ConfigurationError, match=text):
        await store.records.inspect()
    await store.close()


async def test_columns_that_are_added_get_no_time_that_never_was(postgres_url: str, behind: psycopg.Connection[Any]) -> None:
    """Rows older than the columns with a time zone keep their times: the default, now, is for rows to come."""
    behind.execute(
        'CREATE TABLE mastra_ai_spans ("traceId" TEXT NOT NULL, "spanId" TEXT NOT NULL, name TEXT NOT NULL, "spanType" TEXT NOT NULL, '
        '"isEvent" BOOLEAN NOT NULL, "startedAt" TIMESTAMP NOT NULL, "endedAt" TIMESTAMP, "createdAt" TIMESTAMP NOT NULL, '
        'PRIMARY KEY ("traceId", "spanId"))'
    )
    behind.execute(
        "INSERT INTO mastra_ai_spans VALUES ('t', 's', 'n', 'agent_run', false, '2024-01-01 10:00:00', NULL, '2024-01-01 10:00:01')"
    )
    async with PostgresStore(connection_string=postgres_url):
        pass
    row = behind.execute(
        'SELECT "startedAtZ" = \'2024-01-01T10:00:00Z\', "endedAtZ", "createdAtZ" = \'2024-01-01T10:00:01Z\', "updatedAtZ" FROM mastra_ai_spans'
    ).fetchone()
    assert row == (True, None, True, None)
    assert behind.execute(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'mastra_ai_spans' AND column_default = 'now()'"
    ).fetchone() == (4,)


async def test_a_role_that_may_create_nothing_runs_on_what_an_operator_made(role: str, behind: psycopg.Connection[Any]) -> None:
    """Issue: `mastra ddl URL` prints: an application needs no right to create, and its start is one statement then."""
    make(behind)
    with PostgresProxy.before(role) as proxy, proxy.counting() as counted:
        async with PostgresStore(connection_string=proxy.url) as store:
            assert len(counted.sent) == 1, counted.sent
            await store.workflows.persist_workflow_snapshot("w", run_id="r", snapshot={"status": "running"})
            assert (await store.records.inspect()).missing == ()


@pytest.mark.parametrize("but", ["mastra_migrations", "mastra_ai_spans_name_idx"])
async def test_a_role_that_may_create_nothing_runs_without_an_index_or_the_record(
    role: str, behind: psycopg.Connection[Any], but: str
) -> None:
    """What is not needed to be right stops nobody; a check says what is missing."""
    make(behind, but=but)
    if but != "mastra_migrations":
        behind.execute("DELETE FROM mastra_migrations")
    async with PostgresStore(connection_string=role) as store:
        await store.workflows.persist_workflow_snapshot("w", run_id="r", snapshot={"status": "running"})
        assert any(but in statement for statement in (await store.records.inspect()).missing)


async def test_a_record_that_the_role_may_not_read_stops_nobody(role: str, behind: psycopg.Connection[Any]) -> None:
    """An operator who granted the tables one by one may have left out ours."""
    make(behind)
    behind.execute(sql.SQL("REVOKE ALL ON mastra_migrations FROM {}").format(sql.Identifier(urlsplit(role).username or "")))
    async with PostgresStore(connection_string=role) as store:
        assert (await store.memory.list_threads()).total == 0
        found = await store.records.inspect()
        assert (found.version, found.missing) == (None, ())


async def test_a_role_that_may_not_create_what_is_missing_is_told_what(role: str, behind: psycopg.Connection[Any]) -> None:
    """The error names the role, what is missing and the mend, and no password."""
    make(behind)
    behind.execute('DROP TABLE mastra_threads; ALTER TABLE mastra_messages DROP COLUMN "resourceId"')
    store = PostgresStore(connection_string=role)
    text = r"role 'app_\w+' may not add tables .*it lacks table mastra_threads, column mastra_messages\.resourceId\. .*`mastra check URL`"
    with pytest.raises(ConfigurationError, match=text) as caught:
        await store.memory.list_threads()
    assert ":app@" not in str(caught.value)
    await store.close()


async def test_a_read_only_database_that_is_complete_opens(postgres_url: str, behind: psycopg.Connection[Any]) -> None:
    """A standby, or a role with default_transaction_read_only, can be read."""
    make(behind, but="mastra_migrations")
    async with PostgresStore(connection_string=f"{postgres_url}?options=-cdefault_transaction_read_only%3Don") as store:
        assert (await store.memory.list_threads()).total == 0


async def test_looking_says_the_server_and_what_is_missing_and_makes_nothing(postgres_url: str, behind: psycopg.Connection[Any]) -> None:
    """A check needs no right to create, and leaves none of our tables behind."""
    store = PostgresStore(connection_string=postgres_url)
    found = await store.records.inspect()
    assert found.server.startswith("PostgreSQL 1")
    assert (found.version, tuple(found.missing)) == (None, SCHEMA.ddl())
    assert behind.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    await store.close()
