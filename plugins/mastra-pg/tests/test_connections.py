"""Whose connections a store uses, and how they are kept alive."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from mastra_core import clock
from mastra_core.storage.records.kinds import THREADS, Thread
from mastra_core.storage.records.query import Get
from mastra_pg import PostgresStore
from tests.servers.counting import PostgresProxy

START = clock.from_text("2024-01-01T00:00:00.000Z")
THREAD = Thread(id="t", resource_id="u", created_at=START, updated_at=START)


async def test_a_pool_handed_in_is_used_as_it_is_and_given_back_as_it_was(postgres_url: str) -> None:
    """A program's own pool may open transactions, give dictionaries and bind on its own side; it stays so, and stays open."""
    kwargs: dict[str, Any] = {"row_factory": dict_row, "cursor_factory": psycopg.AsyncClientCursor}
    with PostgresProxy.before(postgres_url) as proxy:
        async with AsyncConnectionPool(proxy.url, kwargs=kwargs, min_size=1, max_size=1, open=False) as pool:
            async with PostgresStore(pool=pool) as store:
                assert store.pool is pool
                await store.memory.save_thread(THREAD)
                with proxy.counting() as counted:
                    found = await store.memory.get_thread_by_id("t")
                assert (found, counted.round_trips) == (THREAD, 1), counted.sent
            assert not pool.closed
            async with pool.connection() as connection:
                kept: list[Any] = [connection.autocommit, connection.row_factory, connection.cursor_factory]
                assert kept == [False, dict_row, psycopg.AsyncClientCursor]


async def test_a_change_that_is_given_up_leaves_no_transaction_open(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a program raises within a decision reaches it, and the connection serves the next batch, without a word in the log."""

    def give_up(_: list[Any]) -> list[Any]:
        raise ZeroDivisionError

    async with PostgresStore(connection_string=postgres_url, max_connections=1) as store:
        with pytest.raises(ZeroDivisionError):
            await store.records.decide([Get(THREADS, ("t",))], give_up)
        assert await store.memory.get_thread_by_id("t") is None
    assert caplog.messages == []


async def pids(url: str) -> set[int]:
    """The server's processes for connections of stores in this database."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mastra'"
        return {pid for (pid,) in await (await connection.execute(query)).fetchall()}


async def test_an_idle_connection_that_was_cut_is_replaced_before_anybody_needs_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue: "idle ones are checked in the background", and nothing goes on after the store is closed."""
    monkeypatch.setattr("mastra_pg.connections.IDLE_CHECK_SECONDS", 0.05)
    async with PostgresStore(connection_string=postgres_url):
        before = await pids(postgres_url)
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as other:
            for pid in before:
                await other.execute("SELECT pg_terminate_backend(%s)", [pid])
        async with asyncio.timeout(30):
            while not await pids(postgres_url) - before:
                await asyncio.sleep(0.02)
    assert "mastra-pg-idle" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_batch_asks_for_no_life_sign(postgres_url: str) -> None:
    """Issue: "no ping on checkout": what is sent is the batch, whichever connection takes it."""
    with PostgresProxy.before(postgres_url) as proxy:
        async with PostgresStore(connection_string=proxy.url) as store:
            await store.memory.get_thread_by_id("t")
            with proxy.counting() as counted:
                await store.memory.get_thread_by_id("t")
            assert (counted.round_trips, len(counted.sent)) == (1, 1), counted.sent


async def test_a_connection_names_its_program(postgres_url: str) -> None:
    """An operator sees who is connected: "mastra", or what the connection string says."""
    for given, seen in (("", "mastra"), ("?application_name=shop", "shop")):
        async with PostgresStore(connection_string=f"{postgres_url}{given}") as store, store.pool.connection() as connection:
            row = await (await connection.execute("SHOW application_name")).fetchone()
            assert row == (seen,)
