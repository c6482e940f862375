"""What the port trial promises of PostgreSQL: round trips, counted on the wire, whatever the length of the thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from mastra_core import clock
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import RESOURCES, Message, Resource, Thread
from mastra_pg.store import PostgresStore
from tests.servers.counting import PostgresProxy

START = clock.from_text("2024-01-01T00:00:00.000Z")
WARM = 6
"""psycopg prepares a statement at its sixth execution; what is counted afterwards is what goes on being sent."""


@pytest.fixture
def proxy(postgres_url: str) -> AsyncIterator[PostgresProxy]:
    """A proxy before the test's database."""
    with PostgresProxy.before(postgres_url) as running:
        yield running


@pytest.fixture
async def memory(proxy: PostgresProxy) -> AsyncIterator[MemoryDomain]:
    """The memory domain of a store behind the proxy."""
    async with PostgresStore(connection_string=proxy.url) as store:
        yield store.memory


async def load(url: str, count: int) -> None:
    """A thread of *count* messages, by COPY."""
    columns = '(id, thread_id, content, role, type, "createdAt", "createdAtZ", "resourceId")'
    async with (
        await psycopg.AsyncConnection.connect(url) as connection,
        connection.cursor().copy(f"COPY mastra_messages {columns} FROM STDIN") as copy,
    ):
        for index in range(count):
            at = START + timedelta(milliseconds=index // 3)
            await copy.write_row((f"m{index:06d}", "t", '{"format":2,"parts":[]}', "user", "v2", at.replace(tzinfo=None), at, "u"))


async def check_turn(memory: MemoryDomain, proxy: PostgresProxy, postgres_url: str, count: int) -> None:
    """One round trip to read a turn, with at most three statements, and one to write it, with at most four."""
    thread = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
    await memory.save_thread(thread)
    await memory.records.apply(Save(RESOURCES, Resource(id="u", created_at=START, updated_at=START)))
    await load(postgres_url, count)

    async def read() -> int:
        return len((await memory.read_turn("t", resource_id="u", last=10, with_resource=True)).messages)

    async def write(number: int) -> int:
        messages = [Message(id=f"{number}-{role}", thread_id="t", role=role) for role in ("user", "assistant")]
        return len(await memory.save_turn(thread=thread, messages=messages, existed=True))

    for number in range(WARM):
        await read()
        await write(number)
    with proxy.counting() as counted:
        assert await read() == 10
    assert (counted.round_trips, counted.connections) == (1, 0), counted.sent
    assert len(counted.sent) == 3, counted.sent
    with proxy.counting() as counted:
        assert await write(WARM) == 2
    assert (counted.round_trips, counted.connections) == (1, 0), counted.sent
    assert len(counted.sent) == 2, counted.sent


@pytest.mark.parametrize("count", [10, 1000])
async def test_a_turn_is_one_round_trip_to_read_and_one_to_write(
    memory: MemoryDomain, proxy: PostgresProxy, postgres_url: str, count: int
) -> None:
    """Issue: "the trial engines meet their rows" (PostgreSQL)."""
    await check_turn(memory, proxy, postgres_url, count)


@pytest.mark.scale
async def test_a_turn_of_a_thread_of_100_000_messages_costs_the_same(memory: MemoryDomain, proxy: PostgresProxy, postgres_url: str) -> None:
    """Issue: "the trial engines meet their rows" (PostgreSQL)."""
    await check_turn(memory, proxy, postgres_url, 100_000)


async def test_last_ten_of_a_long_thread_reads_eleven_index_rows_at_most(memory: MemoryDomain, postgres_url: str) -> None:
    """The newest messages are found along the index, not by sorting the thread."""
    await memory.records.open()
    await load(postgres_url, 5000)
    query = 'SELECT id FROM mastra_messages WHERE thread_id = %s ORDER BY "createdAtZ" DESC, id COLLATE "C" DESC LIMIT 10'
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute("ANALYZE mastra_messages")
        plan = "\n".join(row[0] for row in await (await connection.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {query}", ["t"])).fetchall())
    assert "mastra_messages_thread_order_idx" in plan, plan
    assert "Sort" not in plan, plan
