"""The option schema_name: several stores in one database, each in a schema of its own, whatever a session's search path."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kinds import Thread
from mastra_core.testing import MemoryContract
from mastra_pg import PgVector, PostgresStore
from mastra_pg.names import prefixed
from mastra_pg.tables import SCHEMA, layout
from tests.servers.counting import PostgresProxy

START = clock.from_text("2024-01-01T00:00:00.000Z")
ODD = "Tenant-1 é.x"
"""Every character that needs quotes, and a case that PostgreSQL would fold."""


@pytest.fixture
def behind(postgres_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of the operator's."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def a_thread(resource_id: str) -> Thread:
    """A thread of the same id everywhere."""
    return Thread(id="t", resource_id=resource_id, created_at=START, updated_at=START)


def relations(connection: psycopg.Connection[tuple[Any, ...]], schema: str) -> set[str]:
    """The tables and indexes of a schema."""
    rows = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'i')", [schema])
    return {name for (name,) in rows}


class TestMemoryInASchema(MemoryContract):
    """The memory domain in a schema, over connections whose search path has nothing of ours."""

    briefly = True

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.url = f"{postgres_url}?options=-csearch_path%3Dpg_catalog"

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[PostgresStore]:
        yield PostgresStore(connection_string=self.url, schema_name=ODD)


async def test_every_domain_is_in_the_schema(postgres_url: str, behind: Any) -> None:
    """No domain leaves anything in the first schema of the search path."""
    async with PostgresStore(connection_string=postgres_url, schema_name=ODD) as store:
        await store.workflows.persist_workflow_snapshot("w", run_id="r", snapshot={"status": "running", "context": {}})
        await store.workflows.update_workflow_state("w", run_id="r", opts={"status": "success"}, expected_status="running")
        assert [run.run_id for run in await store.workflows.list_workflow_runs(workflow_name="w", status="success")] == ["r"]
        assert (await store.observability.list_traces()).items == ()
        assert (await store.scores.list_scores_by_run_id("r")).items == ()
        assert (await store.erase(resource_id="nobody")).total == 0
    assert relations(behind, "public") == set()


async def test_stores_of_one_database_see_their_own_schema_alone(postgres_url: str, behind: Any) -> None:
    """Seed: `schemaName`; a schema a tenant keeps tenants apart, and nothing of theirs lies in the first schema."""
    for name in ("one", "two"):
        async with PostgresStore(connection_string=postgres_url, schema_name=name) as store:
            await store.memory.save_thread(a_thread(name))
    for name in ("one", "two"):
        async with PostgresStore(connection_string=postgres_url, schema_name=name) as store:
            assert [thread.resource_id for thread in await store.memory.list_threads()] == [name]
    assert relations(behind, "public") == set()


async def test_indexes_of_a_schema_have_its_name_before_theirs(postgres_url: str, behind: Any) -> None:
    """Seed: "When using custom schemas, index names are prefixed with the schema name"."""
    index: Any = {"name": "idx_threads_status", "table": "mastra_threads", "columns": ["metadata->>'status'"]}
    async with PostgresStore(connection_string=postgres_url, schema_name="custom_schema", indexes=[index]):
        pass
    assert {
        "custom_schema_idx_threads_status",
        "custom_schema_mastra_threads_resourceid_createdat_idx",
        "custom_schema_mastra_messages_thread_id_createdat_idx",
    } < relations(behind, "custom_schema")


async def test_the_schema_public_by_its_name_is_the_one_without(postgres_url: str, behind: Any) -> None:
    """TypeScript's default is `public`; who writes it out finds what is there, and no index twice."""
    async with PostgresStore(connection_string=postgres_url) as store:
        await store.memory.save_thread(a_thread("u"))
    before = relations(behind, "public")
    async with PostgresStore(connection_string=postgres_url, schema_name="public") as store:
        assert await store.memory.get_thread_by_id("t") == a_thread("u")
        assert (await store.records.inspect()).missing == ()
    assert relations(behind, "public") == before


@pytest.mark.parametrize("schema", ["s" * 50, "s" * 63, "é" * 31])
async def test_names_too_long_for_postgresql_stay_apart(postgres_url: str, behind: Any, schema: str) -> None:
    """A long schema leaves 63 bytes for an index's name too; every index is made, and found at the next start."""
    names = [index.name for index in layout(schema).schema.indexes]
    assert len(set(names)) == len(SCHEMA.indexes)
    assert all(len(name.encode()) <= 63 for name in names)
    async with PostgresStore(connection_string=postgres_url, schema_name=schema) as store:
        assert (await store.records.inspect()).missing == ()
    assert set(names) < relations(behind, schema)


def test_a_name_is_cut_where_typescript_cuts_it() -> None:
    """Contract §3.3: "truncated to 63"; the index that the TypeScript package made is found."""
    name = "mastra_workflow_snapshot_name_status_createdat_idx"
    assert prefixed([name], "a_schema_of_some_length") == {name: "a_schema_of_some_length_mastra_workflow_snapshot_name_status_cr"}


async def test_a_start_in_a_ready_schema_is_one_statement(postgres_url: str) -> None:
    """Issue: "start-up on a ready schema is one query"; the schema is not asked for by itself."""
    with PostgresProxy.before(postgres_url) as proxy:
        for _ in range(2):
            with proxy.counting() as counted:
                async with PostgresStore(connection_string=proxy.url, schema_name="chat"):
                    pass
        assert (len(counted.sent), counted.round_trips) == (1, 1), counted.sent


@pytest.fixture
def role(behind: psycopg.Connection[tuple[Any, ...]], postgres_url: str) -> Iterator[str]:
    """The URL of a role that may create nothing."""
    name = f"app_{uuid.uuid4().hex[:12]}"
    behind.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    yield urlsplit(postgres_url)._replace(netloc=f"{name}@{urlsplit(postgres_url).netloc.rpartition('@')[2]}").geturl()
    behind.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    behind.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


async def test_a_role_that_may_make_no_schema_uses_one_that_an_operator_made(role: str, behind: Any) -> None:
    """CREATE SCHEMA IF NOT EXISTS is refused to it even where the schema is there."""
    store = PostgresStore(connection_string=role, schema_name="chat")
    with pytest.raises(ConfigurationError, match=r"may not add tables .*it lacks schema chat, table mastra_threads"):
        await store.init()
    for statement in store.records.ddl():
        behind.execute(statement)
    user = sql.Identifier(urlsplit(role).username or "")
    behind.execute(sql.SQL("GRANT USAGE ON SCHEMA chat TO {}").format(user))
    behind.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chat TO {}").format(user))
    async with store:
        await store.memory.save_thread(a_thread("u"))
        assert (await store.records.inspect()).missing == ()


async def test_a_role_that_may_make_tables_in_its_schema_alone_needs_no_more(role: str, behind: Any) -> None:
    """A schema of the application's own, made by an operator: the store makes its tables there itself."""
    behind.execute(sql.SQL("CREATE SCHEMA chat AUTHORIZATION {}").format(sql.Identifier(urlsplit(role).username or "")))
    async with PostgresStore(connection_string=role, schema_name="chat") as store:
        await store.memory.save_thread(a_thread("u"))


@pytest.mark.parametrize("kind", [PostgresStore, PgVector])
@pytest.mark.parametrize("name", ["", " ", 'a"b', "a'b", "a\\b", "a$b", "a%sb", "{}", "a\nb", "a\0b", "é" * 32, "pg_chat", "\ud83d", 5])
def test_what_is_no_name_of_a_schema_is_refused(kind: Any, name: Any) -> None:
    """Issue: "SQL injection through … schema_name: refused or harmless": nothing is sent."""
    with pytest.raises(ConfigurationError, match="schema_name must be 1 to 63 bytes"):
        kind(connection_string="postgresql://h/d", schema_name=name)


@pytest.mark.parametrize(
    "name", ["a; DROP SCHEMA public CASCADE; --", "public.mastra_threads", "SELECT", "a b", "Übung", "--", "/*", "a)b(c"]
)
async def test_a_name_that_looks_like_sql_is_a_name(postgres_url: str, behind: Any, name: str) -> None:
    """Must hold: "SQL injection through … schema_name … refused or harmless"."""
    behind.execute("CREATE TABLE mastra_threads (witness int)")
    async with PostgresStore(connection_string=postgres_url, schema_name=name) as store:
        await store.memory.save_thread(a_thread("u"))
        assert await store.memory.get_thread_by_id("t") == a_thread("u")
        assert (await store.records.inspect()).missing == ()
    async with PgVector(connection_string=postgres_url, schema_name=name) as vectors:
        await vectors.create_index("docs", dimension=2, metadata_indexes=["owner"])
        await vectors.upsert("docs", vectors=[[1, 0]], ids=["a"], metadata=[{"owner": "u"}])
        assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], filter={"owner": "u"})] == ["a"]
    assert behind.execute("SELECT count(*) FROM pg_namespace WHERE nspname = %s", [name]).fetchone() == (1,)
    assert behind.execute("SELECT count(*) FROM mastra_threads").fetchone() == (0,)
