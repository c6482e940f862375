"""What the port trial promises of PostgreSQL: round trips, counted on the wire, whatever the length of the thread."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from mastra_core import clock
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import RESOURCES, Message, Resource, Thread
from mastra_pg.store import PostgresStore
from tests.scale_postgres import blocks, sent_by
from tests.servers.counting import PostgresProxy

START = clock.from_text("2024-01-01T00:00:00.000Z")
WARM = 6
"""psycopg prepares a statement at its sixth execution; what is counted afterwards is what goes on being sent."""


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[PostgresProxy]:
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
    """Must hold: "Round trips per turn counted at a proxy: 1 + 1, equal at 10 / 1,000 / 100,000 messages"."""
    await check_turn(memory, proxy, postgres_url, count)


@pytest.mark.scale
async def test_a_turn_of_a_thread_of_100_000_messages_costs_the_same(memory: MemoryDomain, proxy: PostgresProxy, postgres_url: str) -> None:
    """The same of "100,000 messages"."""
    await check_turn(memory, proxy, postgres_url, 100_000)


async def load_other_threads(url: str, count: int) -> None:
    """Threads of other resources, by COPY."""
    columns = '(id, "resourceId", title, "createdAt", "updatedAt", "createdAtZ", "updatedAtZ")'
    async with (
        await psycopg.AsyncConnection.connect(url) as connection,
        connection.cursor().copy(f"COPY mastra_threads {columns} FROM STDIN") as copy,
    ):
        for index in range(count):
            wall = START.replace(tzinfo=None)
            await copy.write_row((f"other-{index:06d}", f"r{index % 100}", "", wall, wall, START, START))


@pytest.mark.parametrize("count", [10, 10_000])
async def test_a_turn_costs_the_same_among_many_threads(memory: MemoryDomain, proxy: PostgresProxy, postgres_url: str, count: int) -> None:
    """Semantics: equal "for a store of 10 or 10,000 threads", with the working memory of the resource in the same read."""
    await memory.records.open()
    await load_other_threads(postgres_url, count)
    await check_turn(memory, proxy, postgres_url, 10)


def rows_read(plan: str) -> int:
    """How many rows of messages a plan read, those that it then left out included; the test fails where no index was used."""
    read = 0
    nodes = [json.loads(plan)]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node.get("Relation Name") == "mastra_messages":
            assert node["Node Type"] in {"Index Scan", "Index Only Scan"}, plan
            each = sum(node.get(name, 0) for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"))
            read += round(each * node["Actual Loops"])
    return read


async def check_index_rows(url: str, count: int) -> None:
    """The last ten are read by at most eleven rows of an index, a message with its neighbours by one more than are given each way."""
    async with PostgresStore(connection_string=url) as store:
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=START, updated_at=START))
        await load(url, count)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("VACUUM ANALYZE mastra_messages")
        turn = await sent_by(lambda: store.memory.read_turn("t", resource_id="u", last=10))
        around: Any = {"id": f"m{count // 2:06d}", "with_previous_messages": 3, "with_next_messages": 2}
        window = await sent_by(lambda: store.memory.list_messages("t", per_page=0, include=[around]))
    for statements, most in ((turn, 11), (window, 1 + 4 + 3)):
        plans = [(await blocks(url, statement))[1] for statement in statements]
        assert 0 < sum(rows_read(plan) for plan in plans) <= most, plans


async def test_the_last_ten_and_a_window_read_no_more_index_rows_than_they_give(postgres_url: str) -> None:
    """Must hold: "last-10 touches at most N+1 index rows (EXPLAIN, buffers)", of the statements that are sent, by the planner's own choice."""
    await check_index_rows(postgres_url, 5000)


@pytest.mark.scale
async def test_the_last_ten_and_a_window_of_100_000_messages_read_as_few(postgres_url: str) -> None:
    """The same of a thread of 100,000 messages."""
    await check_index_rows(postgres_url, 100_000)
