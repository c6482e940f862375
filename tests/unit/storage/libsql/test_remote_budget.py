"""What a turn costs on a libSQL server: requests, counted by a proxy before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from mastra_core import clock
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import RESOURCES, Message, Resource, Thread
from tests.servers.counting import TcpProxy
from tests.servers.sqld import Sql

START = clock.from_text("2024-01-01T00:00:00.000Z")
THREAD = Thread(id="t", resource_id="u", created_at=START, updated_at=START)

LOAD_MESSAGES = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
INSERT INTO mastra_messages (id, thread_id, content, role, type, "createdAt", "resourceId")
SELECT printf('t-%07d', i), 't', json_object('format', 2, 'parts', json_array(), 'content', printf('%0600d', i)), 'user', 'v2',
       strftime('%Y-%m-%dT%H:%M:%fZ', 1704067200 + i / 3000.0, 'unixepoch'), 'u' FROM n
"""
LOAD_THREADS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
INSERT INTO mastra_threads (id, "resourceId", title, "createdAt", "updatedAt")
SELECT printf('thread-%07d', i), 'r' || (i % 500), '', '2024-01-01T00:00:00.000Z', '2024-01-01T00:00:00.000Z' FROM n
"""


@pytest.fixture
def proxy(sqld_url: str) -> Iterator[TcpProxy]:
    """A proxy that counts, before an empty database."""
    with TcpProxy.before(sqld_url) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: TcpProxy) -> AsyncIterator[LibSQLStore]:
    """A store that speaks through the proxy, with a thread and what is remembered of its owner."""
    async with LibSQLStore(url=proxy.url) as store:
        await store.memory.records.apply(Save(RESOURCES, Resource(id="u", created_at=START, updated_at=START)))
        await store.memory.save_thread(THREAD)
        yield store


async def check_budget(store: LibSQLStore, proxy: TcpProxy) -> None:
    """Semantics §4: one request to read a turn, one to write it."""
    with proxy.counting() as read:
        turn = await store.memory.read_turn("t", resource_id="u", last=10, with_resource=True)
    assert len(turn.messages) == 10
    messages = [Message(id=f"new-{role}", thread_id="t", role=role) for role in ("user", "assistant")]
    with proxy.counting() as written:
        await store.memory.save_turn(thread=THREAD, messages=messages, existed=True)
    assert (read.round_trips, read.connections) == (1, 0)
    assert (written.round_trips, written.connections) == (1, 0)


@pytest.mark.parametrize("count", [10, 1000, pytest.param(100_000, marks=pytest.mark.scale)])
async def test_a_turn_costs_one_request_to_read_and_one_to_write(store: LibSQLStore, proxy: TcpProxy, sqld_url: str, count: int) -> None:
    """Semantics §4: "libSQL remote: 1 request, 1 request", equal for a thread of 10, 1,000 and 100,000 messages."""
    Sql(sqld_url).execute(LOAD_MESSAGES, [count])
    await check_budget(store, proxy)


async def test_a_turn_costs_the_same_among_10_000_threads(store: LibSQLStore, proxy: TcpProxy, sqld_url: str) -> None:
    """The size of the store does not change what a turn costs."""
    Sql(sqld_url).execute(LOAD_THREADS, [10_000])
    Sql(sqld_url).execute(LOAD_MESSAGES, [10])
    await check_budget(store, proxy)


async def test_a_turn_that_creates_its_thread_costs_one_request(store: LibSQLStore, proxy: TcpProxy) -> None:
    """The first turn of a conversation costs no more than the next."""
    fresh = Thread(id="fresh", resource_id="u", created_at=START, updated_at=START)
    with proxy.counting() as written:
        await store.memory.save_turn(thread=fresh, messages=[Message(id="m", thread_id="fresh")])
    assert written.round_trips == 1


async def test_opening_a_ready_database_is_one_request(store: LibSQLStore, proxy: TcpProxy) -> None:
    """Start-up on a prepared database looks at it once and writes nothing."""
    await store.close()
    with proxy.counting() as opened:
        async with LibSQLStore(url=proxy.url):
            pass
    assert opened.round_trips == 1


async def test_savers_at_the_same_time_share_requests(store: LibSQLStore, proxy: TcpProxy) -> None:
    """32 agents that finish a turn at once wait for one trip to the server, not for 32."""
    saves = [store.memory.save_turn(thread=THREAD, messages=[Message(id=f"m{i}", thread_id="t")], existed=True) for i in range(32)]
    with proxy.counting() as written:
        await asyncio.gather(*saves)
    assert written.round_trips == 1
    assert len([message async for message in store.memory.iter_messages("t")]) == 32


async def test_a_step_of_a_workflow_costs_one_request_to_read_and_one_to_write(store: LibSQLStore, proxy: TcpProxy) -> None:
    """A compare-and-set over the network needs what was read, and no more."""
    await store.workflows.persist_workflow_snapshot("w", run_id="r", snapshot={"status": "running", "context": {}})
    with proxy.counting() as stepped:
        await store.workflows.update_workflow_results("w", run_id="r", step_id="s", result={"output": 1}, request_context={})
    assert stepped.round_trips == 2
