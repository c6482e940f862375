"""Indexes: which a store keeps, and that those of tables in use are made while others write, once, and again where a crash broke that off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.storage import open_store
from mastra_pg import Index, PostgresStore
from mastra_pg.tables import SCHEMA
from tests.servers.counting import PostgresProxy

TYPESCRIPTS = {
    "mastra_threads_resourceid_createdat_idx": '("resourceId", "createdAt" DESC)',
    "mastra_messages_thread_id_createdat_idx": '(thread_id, "createdAt" DESC)',
    "mastra_ai_spans_traceid_startedat_idx": '("traceId", "startedAt" DESC)',
    "mastra_ai_spans_parentspanid_startedat_idx": '("parentSpanId", "startedAt" DESC)',
    "mastra_scores_trace_id_span_id_created_at_idx": '("traceId", "spanId", "createdAt" DESC)',
    "mastra_ai_spans_name_idx": "(name)",
    "mastra_ai_spans_spantype_startedat_idx": '("spanType", "startedAt" DESC)',
    "mastra_workflow_snapshot_name_createdat_idx": '(workflow_name, "createdAt" DESC)',
}
BY_TITLE: Any = {"name": "idx_threads_title", "table": "mastra_threads", "columns": ["title"]}
INSERT = "INSERT INTO mastra_threads (id, \"resourceId\", title) VALUES (%s, 'u', 'x')"

OPENER = """
import asyncio, sys
from mastra_pg import PostgresStore

asyncio.run(PostgresStore(connection_string=sys.argv[1]).init())
"""


@pytest.fixture
def behind(postgres_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of the operator's."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def in_use(behind: psycopg.Connection[tuple[Any, ...]]) -> psycopg.Connection[tuple[Any, ...]]:
    """The same, after another program has made the tables, with none of our indexes."""
    for statement in SCHEMA.ddl():
        if statement.startswith("CREATE TABLE") and "mastra_migrations" not in statement:
            behind.execute(statement)
    return behind


def indexes(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, tuple[str, bool]]:
    """The definition of every index of ours, and whether it is whole."""
    rows = connection.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid), i.indisvalid FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid "
        "JOIN pg_class t ON t.oid = i.indrelid WHERE t.relname LIKE 'mastra\\_%'"
    )
    return {name: (text, valid) for name, text, valid in rows}


async def opened(url: str, **options: Any) -> None:
    """A start of a store, and its end."""
    async with PostgresStore(connection_string=url, **options):
        pass


async def test_a_fresh_database_has_typescripts_indexes_under_their_names_and_ours(postgres_url: str, behind: Any) -> None:
    """Seed: "Default Indexes"; contract §3.3 for those whose names changed since."""
    await opened(postgres_url)
    found = indexes(behind)
    for name, columns in TYPESCRIPTS.items():
        assert found[name][0].endswith(f"USING btree {columns}"), found[name]
    assert found["mastra_messages_thread_order_idx"][0].endswith('(thread_id, "createdAtZ" DESC, id COLLATE "C" DESC)')
    assert {index.name for index in SCHEMA.indexes} < found.keys()


async def test_skip_default_indexes_makes_tables_alone(postgres_url: str, behind: Any) -> None:
    """Seed: `skipDefaultIndexes`; keys stay, since nothing is right without them, and indexes that were asked for are made."""
    await opened(postgres_url, skip_default_indexes=True, indexes=[BY_TITLE])
    assert all(name.endswith(("_pkey", "_key")) for name in indexes(behind).keys() - {"idx_threads_title"})
    assert "idx_threads_title" in indexes(behind)


async def test_every_option_of_an_index_reaches_the_server(postgres_url: str, behind: Any) -> None:
    """Seed: "For advanced index types, you can specify additional options"."""
    given: list[Any] = [
        {"name": "idx_threads_metadata_type", "table": "mastra_threads", "columns": ["metadata->>'type'"]},
        {
            "name": "one",
            "table": "mastra_threads",
            "columns": ["resourceId", "title DESC NULLS LAST"],
            "unique": True,
            "where": "title <> ''",
            "concurrent": False,
            "tablespace": "pg_default",
        },
        {"name": "times", "table": "mastra_messages", "columns": ["createdAtZ"], "method": "brin", "storage": {"pages_per_range": 32}},
        {"name": "deep", "table": "mastra_resources", "columns": ["metadata"], "method": "gin", "opclass": "jsonb_path_ops"},
        {
            "name": "full",
            "table": "mastra_messages",
            "columns": ["role", "type"],
            "storage": {"fillfactor": 90, "deduplicate_items": False},
        },
        Index(name="likes", table="mastra_threads", columns=["title desc"], opclass="pg_catalog.text_pattern_ops"),
        Index(name="nested", table="mastra_threads", columns=["\"metadata\" -> 'a' ->> 'it is' asc nulls first"]),
    ]
    await opened(postgres_url, indexes=given)
    found = {name: text.partition(" USING ")[2] for name, (text, _) in indexes(behind).items()}
    assert found["idx_threads_metadata_type"] == "btree (((metadata ->> 'type'::text)))"
    assert found["one"] == "btree (\"resourceId\", title DESC NULLS LAST) WHERE (title <> ''::text)"
    assert indexes(behind)["one"][0].startswith("CREATE UNIQUE INDEX")
    assert found["times"] == "brin (\"createdAtZ\") WITH (pages_per_range='32')"
    assert found["deep"] == "gin (metadata jsonb_path_ops)"
    assert found["full"] == "btree (role, type) WITH (fillfactor='90', deduplicate_items=off)"
    assert found["likes"] == "btree (title text_pattern_ops DESC)"
    assert found["nested"] == "btree ((((metadata -> 'a'::text) ->> 'it is'::text)) NULLS FIRST)"


async def test_an_index_of_a_query_is_used(postgres_url: str, behind: Any) -> None:
    """An index of a place in metadata serves SQL that asks for that place."""
    await opened(postgres_url, indexes=[{"name": "by_type", "table": "mastra_threads", "columns": ["metadata->>'type'"]}])
    behind.execute("SET enable_seqscan = off")
    plan = behind.execute("EXPLAIN SELECT id FROM mastra_threads WHERE metadata->>'type' = 'support'").fetchall()
    assert any("by_type" in line for (line,) in plan), plan


async def test_a_start_with_indexes_of_ones_own_is_one_statement_once_they_are_there(postgres_url: str) -> None:
    """Issue: "start-up on a ready schema is one query", whatever options there are."""
    with PostgresProxy.before(postgres_url) as proxy:
        for _ in range(2):
            with proxy.counting() as counted:
                await opened(proxy.url, indexes=[BY_TITLE], schema_name="tenant")
        assert (len(counted.sent), counted.round_trips) == (1, 1), counted.sent


async def test_an_index_that_is_asked_for_later_is_made_then(postgres_url: str, behind: Any) -> None:
    """A new entry of the option is enough; nothing else has to be run."""
    await opened(postgres_url)
    await opened(postgres_url, indexes=[BY_TITLE])
    assert indexes(behind)["idx_threads_title"][1]


async def until(connection: Any, question: str) -> None:
    """Wait until *question* is answered by a row."""
    deadline = time.monotonic() + 60
    while not connection.execute(question).fetchall():
        assert time.monotonic() < deadline, question
        await asyncio.sleep(0.02)


# The server's views show every database, those of tests that run at the same time too.
BEING_MADE = "SELECT pid, relid FROM pg_stat_progress_create_index WHERE datname = current_database()"
WAITING = f"SELECT 1 FROM ({BEING_MADE}) p JOIN pg_class c ON c.oid = p.relid WHERE c.relname = 'mastra_threads'"


@asynccontextmanager
async def a_writer(url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """A transaction that has written, and goes on: the making of an index waits for its end."""
    async with await AsyncConnection.connect(url) as connection:
        await connection.execute(INSERT, ["slow"])
        yield connection


async def test_writers_go_on_while_an_index_of_a_table_in_use_is_made(postgres_url: str, in_use: Any) -> None:
    """Seed: `concurrent: true` is "non-blocking creation (default)"."""
    async with a_writer(postgres_url) as slow:
        opening = asyncio.create_task(opened(postgres_url))
        await until(in_use, WAITING)
        in_use.execute("SET lock_timeout = '5s'")
        in_use.execute(INSERT, ["quick"])
        assert not opening.done()
        await slow.commit()
        await asyncio.wait_for(opening, 60)
    assert all(valid for _, valid in indexes(in_use).values())
    assert indexes(in_use).keys() >= {index.name for index in SCHEMA.indexes}
    assert in_use.execute("SELECT count(*) FROM mastra_migrations").fetchone() == (1,)


async def test_processes_that_find_tables_without_indexes_make_them_once_and_all_start(postgres_url: str, in_use: Any) -> None:
    """N starts at once on a database of the TypeScript package: nobody waits for another who waits for him."""
    with PostgresProxy.before(postgres_url) as proxy:
        with proxy.counting() as counted:
            async with asyncio.timeout(120):
                await asyncio.gather(*(opened(proxy.url) for _ in range(6)))
        made = [text for text in map(str, counted.sent) if "INDEX CONCURRENTLY" in text]
    assert len(made) == len(SCHEMA.indexes)
    assert all(valid for _, valid in indexes(in_use).values())


async def test_a_role_whose_transactions_keep_their_snapshot_makes_indexes_too(postgres_url: str, in_use: Any) -> None:
    """`default_transaction_isolation` is the operator's affair, and no reason to wait for oneself."""
    async with asyncio.timeout(60):
        await opened(f"{postgres_url}?options=-cdefault_transaction_isolation%3Dserializable", max_connections=1)
    assert indexes(in_use).keys() >= {index.name for index in SCHEMA.indexes}


async def test_an_index_whose_making_the_server_ended_is_made_at_the_next_start(postgres_url: str, in_use: Any) -> None:
    """Issue: "an invalid index left by a crash is found and mended"."""
    async with a_writer(postgres_url) as slow:
        opening = asyncio.create_task(opened(postgres_url, indexes=[BY_TITLE], skip_default_indexes=True))
        await until(in_use, WAITING)
        in_use.execute(f"SELECT pg_terminate_backend(pid) FROM ({BEING_MADE}) p")
        with pytest.raises(StorageUnavailableError):
            await asyncio.wait_for(opening, 60)
        await slow.commit()
    assert indexes(in_use)["idx_threads_title"][1] is False
    store = PostgresStore(connection_string=postgres_url, indexes=[BY_TITLE], skip_default_indexes=True)
    missing = (await store.records.inspect()).missing
    assert [text.partition(" IF ")[0] for text in missing[:2]] == ["DROP INDEX CONCURRENTLY", "CREATE INDEX CONCURRENTLY"], missing
    await store.init()
    assert indexes(in_use)["idx_threads_title"][1] is True
    assert (await store.records.inspect()).missing == ()
    await store.close()


async def test_a_process_killed_while_an_index_is_made_leaves_a_database_that_opens(postgres_url: str, in_use: Any) -> None:
    """kill -9 of an application at its first start: the server goes on making, and who starts next gets along with that."""
    async with a_writer(postgres_url) as slow:
        killed = subprocess.Popen([sys.executable, "-c", OPENER, postgres_url], stderr=subprocess.PIPE)
        await until(in_use, WAITING)
        killed.kill()
        killed.communicate(timeout=60)
        opening = asyncio.create_task(opened(postgres_url))
        await until(
            in_use,
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'"
            " HAVING count(*) > 1",
        )
        await slow.commit()
        await asyncio.wait_for(opening, 60)
    assert indexes(in_use).keys() >= {index.name for index in SCHEMA.indexes}
    assert all(valid for _, valid in indexes(in_use).values())


async def test_a_default_index_that_is_not_whole_is_made_again(postgres_url: str, in_use: Any) -> None:
    """Such an index slows writers and serves no reader, and its name keeps others from making it."""
    in_use.execute('CREATE INDEX mastra_messages_thread_order_idx ON mastra_messages (thread_id, "createdAtZ" DESC, id COLLATE "C" DESC)')
    in_use.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'mastra_messages_thread_order_idx'::regclass")
    await opened(postgres_url)
    assert indexes(in_use)["mastra_messages_thread_order_idx"][1]


@pytest.mark.parametrize("concurrent", [True, False])
async def test_an_index_that_cannot_be_is_an_error_that_says_why_and_leaves_nothing(
    postgres_url: str, in_use: Any, *, concurrent: bool
) -> None:
    """Two rows agree where none may: told at the start by the name of the index, and right once the rows are."""
    for name in ("a", "b"):
        in_use.execute(INSERT, [name])
    unique = {**BY_TITLE, "unique": True, "concurrent": concurrent}
    with pytest.raises(
        ConfigurationError, match=r"index 'idx_threads_title' of the option indexes cannot be made: could not create unique"
    ):
        await opened(postgres_url, indexes=[unique])
    assert "idx_threads_title" not in indexes(in_use)
    in_use.execute("DELETE FROM mastra_threads WHERE id = 'b'")
    await opened(postgres_url, indexes=[unique])
    assert indexes(in_use)["idx_threads_title"][1]


async def test_a_wrong_condition_leaves_a_fresh_database_empty(postgres_url: str, behind: Any) -> None:
    """All or nothing: the next start, with the option mended, finds what it would have found."""
    with pytest.raises(ConfigurationError, match=r"'x' of the option indexes cannot be made: column \"nope\" does not exist"):
        await opened(postgres_url, indexes=[{"name": "x", "table": "mastra_threads", "columns": ["title"], "where": "nope = 1"}])
    assert indexes(behind) == {}
    await opened(postgres_url)


async def test_a_time_limit_of_the_role_is_told_with_the_mend(postgres_url: str, in_use: Any) -> None:
    """Hosted servers end statements that take long; the message has the statement for who may take longer."""
    async with a_writer(postgres_url):
        with pytest.raises(ConfigurationError, match=r"statement timeout.*CREATE INDEX CONCURRENTLY .*statement_timeout"):
            await opened(f"{postgres_url}?options=-cstatement_timeout%3D300", indexes=[BY_TITLE], skip_default_indexes=True)
    await opened(postgres_url, indexes=[BY_TITLE])
    assert indexes(in_use)["idx_threads_title"][1]


async def test_a_pool_of_one_is_told_that_indexes_take_two(postgres_url: str, in_use: Any) -> None:
    """Rather than waiting for itself."""
    from psycopg_pool import AsyncConnectionPool

    async with AsyncConnectionPool(postgres_url, min_size=1, max_size=1, open=False) as pool:
        with pytest.raises(ConfigurationError, match="max_size of 2"):
            await PostgresStore(pool=pool).init()
    async with AsyncConnectionPool(postgres_url, min_size=1, max_size=2, open=False) as pool:
        await PostgresStore(pool=pool).init()
    assert all(valid for _, valid in indexes(in_use).values())


@pytest.mark.parametrize(
    "changed, text",
    [
        ({"name": "a; DROP TABLE mastra_threads"}, "name must be letters"),
        ({"name": 'a"b'}, "name must be letters"),
        ({"name": ""}, "name must be letters"),
        ({"name": "n" * 64}, "longer than the 63 bytes"),
        ({"name": "mastra_threads_resource_order_idx"}, "the store has one itself"),
        ({"table": "users"}, r"for the table 'users', which no store has; the tables are \['mastra_threads'"),
        ({"table": "mastra_thread"}, "Did you mean 'mastra_threads'"),
        ({"columns": []}, "columns of 'x' must be a list"),
        ({"columns": "title"}, "columns of 'x' must be a list"),
        ({"columns": ["status"]}, "mastra_threads has no column 'status'; it has"),
        ({"columns": ["resource_id"]}, "Did you mean 'resourceId'"),
        ({"columns": ["title) WHERE true; DROP TABLE mastra_threads; --"]}, "has the column 'title"),
        ({"columns": ["lower(title)"]}, "has the column 'lower"),
        ({"columns": ["title COLLATE x"]}, "has the column"),
        ({"columns": ["metadata->>'a'';'"]}, "has the column"),
        ({"columns": ["metadata->>'a\\'"]}, "has the column"),
        ({"columns": ['"title']}, "has the column"),
        ({"columns": ["title->>'a'"]}, "title of mastra_threads is no JSONB column"),
        ({"columns": [5]}, "has the column 5"),
        ({"method": "btree (title); DROP TABLE mastra_threads; --"}, "method of 'x' must be one of"),
        ({"opclass": "text_ops) --"}, "opclass of 'x' must be the name"),
        ({"storage": {"fillfactor": "90); DROP TABLE mastra_threads"}}, "storage of 'x' must be"),
        ({"storage": {"fillfactor = 90) --": 1}}, "storage of 'x' must be"),
        ({"storage": ["fillfactor"]}, "storage of 'x' must be"),
        ({"tablespace": ""}, "tablespace of 'x' must be a text"),
        ({"where": 5}, "where of 'x' must be a text"),
        ({"unique": "yes"}, "unique of 'x' must be True or False, found 'yes'"),
        ({"concurrently": True}, "there is no option 'concurrently'.*Did you mean 'concurrent'"),
        ({"opClass": "x"}, "Did you mean 'opclass'"),
    ],
)
def test_what_is_no_index_is_refused_when_the_store_is_made(changed: dict[str, Any], text: str) -> None:
    """Must hold: "SQL injection through … index options: refused or harmless"."""
    index = {"name": "x", "table": "mastra_threads", "columns": ["title"], **changed}
    with pytest.raises(ConfigurationError, match=text):
        PostgresStore(connection_string="postgresql://h/d", indexes=[index])


@pytest.mark.parametrize("lacking", ["name", "table", "columns"])
def test_an_index_without_its_name_table_or_columns_is_refused(lacking: str) -> None:
    """And the message says what it lacks."""
    with pytest.raises(ConfigurationError, match=f"lacks {lacking}"):
        Index.of({name: value for name, value in BY_TITLE.items() if name != lacking})


@pytest.mark.parametrize(
    "index",
    [
        {"tablespace": 'x"; DROP TABLE mastra_threads; --'},
        {"tablespace": 'pg_default" WHERE title <> $$$$ --'},
        {"where": "true; DROP TABLE mastra_threads"},
    ],
)
@pytest.mark.parametrize("there", [True, False])
async def test_text_of_an_index_is_no_second_statement(postgres_url: str, behind: Any, index: dict[str, Any], *, there: bool) -> None:
    """A name is a name, quotes in it included, and a condition ends with its statement, in a table that is new and in one that is in use."""
    if there:
        await opened(postgres_url)
    with pytest.raises(ConfigurationError, match="'idx_threads_title' of the option indexes cannot be made"):
        await opened(postgres_url, indexes=[{**BY_TITLE, **index}])
    await opened(postgres_url)
    assert behind.execute("SELECT count(*) FROM mastra_threads").fetchone() == (0,)


async def test_a_key_of_an_index_is_a_value(postgres_url: str, behind: Any) -> None:
    """Whatever stands between the quotes is looked for in the metadata."""
    await opened(postgres_url, indexes=[{**BY_TITLE, "columns": ["metadata->>'; DROP TABLE mastra_threads; --'"]}])
    assert "'; DROP TABLE mastra_threads; --'::text" in indexes(behind)["idx_threads_title"][0]


async def test_an_operator_makes_what_ddl_prints_and_the_store_finds_it_ready(postgres_url: str, behind: Any) -> None:
    """`mastra ddl URL` has the schema; a program's own `store.records.ddl()` its indexes too."""
    url = f"{postgres_url}?schema_name=my%20app"
    for statement in (*open_store(url).records.ddl(), *PostgresStore(connection_string=url, indexes=[BY_TITLE]).records.ddl()):
        behind.execute(statement)
    with PostgresProxy.before(postgres_url) as proxy:
        for options in ({}, {"indexes": [BY_TITLE]}):
            with proxy.counting() as counted:
                await opened(proxy.url, schema_name="my app", **options)
            assert len(counted.sent) == 1, counted.sent


async def test_indexes_are_managed_by_sql_through_the_pool(postgres_url: str) -> None:
    """Seed: "Managing Indexes via SQL", the three statements as they stand there."""
    async with PostgresStore(connection_string=postgres_url) as store, store.pool.connection() as db:
        listed = await db.execute("""
            SELECT indexname, indexdef
            FROM pg_indexes
            WHERE tablename = 'mastra_messages'
        """)
        assert "mastra_messages_thread_id_createdat_idx" in {row[0] for row in await listed.fetchall()}
        await db.execute("DROP INDEX IF EXISTS idx_my_custom_index")
        stats = await db.execute("""
            SELECT idx_scan, idx_tup_read
            FROM pg_stat_user_indexes
            WHERE indexrelname = 'mastra_messages_thread_id_createdat_idx'
        """)
        assert await stats.fetchone() == (0, 0)
