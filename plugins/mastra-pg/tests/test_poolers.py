"""A store behind a pooler in transaction mode, as Supabase and many companies have one: nothing relies on a session.

Another pooler, PgBouncer for one, is tried as well when MASTRA_TEST_PGBOUNCER_URL names an empty database behind it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from mastra_core import clock
from mastra_core.storage.records.changes import Patch
from mastra_core.storage.records.kinds import THREADS, Message, Thread
from mastra_core.storage.records.query import Get
from mastra_pg import PgVector, PostgresStore
from tests.servers.fixtures import own_postgres
from tests.servers.postgres import FAST
from tests.servers.transaction_pooler import TransactionPooler

START = clock.from_text("2024-01-01T00:00:00.000Z")
OTHER = os.environ.get("MASTRA_TEST_PGBOUNCER_URL")
TURNS = 12
"""More than a statement runs before psycopg prepares it."""


@pytest.fixture(scope="module")
def pooler() -> Iterator[TransactionPooler]:
    """A pooler of ours before a server of its own."""
    with own_postgres(settings=FAST) as server, TransactionPooler(server.url) as running:
        yield running


async def use(url: str) -> None:
    """Everything that a store and a vector store do in transactions of their own, eight tasks at once."""

    async def converse(store: PostgresStore, name: str) -> None:
        thread = Thread(id=name, resource_id="u", created_at=START, updated_at=START)
        for turn in range(TURNS):
            found = await store.memory.read_turn(name, resource_id="u", last=10, with_resource=True)
            assert len(found.messages) == min(10, 2 * turn)
            messages = [Message(id=f"{name}-{turn}-{role}", thread_id=name, role=role) for role in ("user", "assistant")]
            await store.memory.save_turn(thread=thread, messages=messages)
            await store.records.decide([Get(THREADS, (name,))], lambda _: [Patch(THREADS, (name,), put={"title": name})])
        assert (await store.memory.list_messages(name, include_total=True)).total == 2 * TURNS
        await store.memory.delete_thread(name)

    async with PostgresStore(connection_string=url) as store, PgVector(connection_string=url) as vectors:
        await asyncio.gather(*(converse(store, f"t{number}") for number in range(8)))
        await vectors.create_index("pooled", dimension=3, metadata_indexes=["kind"])
        for _ in range(TURNS):
            await vectors.upsert("pooled", vectors=[[1, 0, 0], [0, 1, 0]], ids=["a", "b"], metadata=[{"kind": 1}, {"kind": 2}])
            assert [match.id for match in await vectors.query("pooled", query_vector=[1, 0, 0], top_k=1, filter={"kind": 1})] == ["a"]
        await vectors.delete_index("pooled")


async def test_a_store_relies_on_no_session(pooler: TransactionPooler) -> None:
    """Issue: "safe behind PgBouncer and Supavisor in transaction mode (`prepare_threshold`; no session state)"."""
    await use(pooler.url)
    assert pooler.violations == []
    assert pooler.transactions > 8 * TURNS * 3


async def test_statements_are_prepared_where_no_pooler_answers(postgres_url: str) -> None:
    """A connection to the server itself prepares what it says often, without having been told."""
    async with PostgresStore(connection_string=postgres_url) as store:
        for _ in range(TURNS):
            await store.memory.get_thread_by_id("t")
        async with store.pool.connection() as connection:
            (count,) = await (await connection.execute("SELECT count(*) FROM pg_prepared_statements")).fetchone()
            assert count > 0


# Nothing from a package registry is a PgBouncer, so this is no test where none is named.
if OTHER is not None:

    async def test_a_store_works_behind_another_pooler() -> None:
        """Issue: PgBouncer itself, in transaction mode."""
        assert OTHER is not None
        await use(OTHER)
