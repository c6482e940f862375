"""What TypeScript writes beside us: found by lists where that is asked for, at the cost that is stated, and nowhere else."""

from __future__ import annotations

import json
import logging

import attrs
import pytest
from redis.asyncio import Redis

from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.testing.samples import a_message, a_thread, at
from mastra_redis import wire
from mastra_redis.keys import Keyspace
from mastra_redis.store import RedisStore
from tests.servers.redis import RedisNode

LOOKING = {"scan", "keys"}


@pytest.fixture
async def redis(redis_url):
    async with Redis.from_url(redis_url) as client:
        yield client


async def typescript_saves(client, *, thread=None, message=None):
    """As `@mastra/redis` does: its keys, and none of ours."""
    if thread is not None:
        await client.set(f"mastra_threads:id:{thread.id}", wire.written(THREADS, thread).text)
    if message is not None:
        await client.set(f"mastra_messages:threadId:{message.thread_id}:id:{message.id}", wire.written(MESSAGES, message).text)
        await client.set(f"msg-idx:{message.id}", message.thread_id)
        await client.zadd(f"thread:{message.thread_id}:messages", {message.id: round(message.created_at.timestamp() * 1000) * 1000})


async def calls(client):
    """How often the server has made each command, for every database of it."""
    return {name.removeprefix("cmdstat_"): told["calls"] for name, told in (await client.info("commandstats")).items()}


async def made(client, before):
    return {name for name, count in (await calls(client)).items() if count > before.get(name, 0)}


async def test_no_operation_of_daily_use_looks_through_the_keys(redis_server, tmp_path, every_domain):
    """Issue: "No SCAN or KEYS on any other path." Counted by a server that nobody else uses, from the second opening on."""
    with RedisNode(tmp_path) as node:
        async with RedisStore(connection_string=node.url):
            pass
        async with Redis.from_url(node.url) as client:
            before = await calls(client)
            async with RedisStore(connection_string=node.url) as store:
                await every_domain(store)
            seen = await made(client, before)
            assert "evalsha" in seen
            assert LOOKING.isdisjoint(seen)
            async with RedisStore(connection_string=node.url, typescript_writes=True) as store:
                await store.memory.list_threads()
            assert "scan" in await made(client, before), "the count sees what it should see"


async def test_lists_find_what_typescript_adds_changes_and_removes(redis, redis_url):
    """Issue: "with `typescript_writes=True` lists also find, by SCAN, what TypeScript adds later"."""
    async with RedisStore(connection_string=redis_url, typescript_writes=True) as store:
        await store.memory.save_turn(thread=a_thread("ours", created=1), messages=[a_message("m", thread_id="ours", resource_id="r")])
        await typescript_saves(redis, thread=a_thread("theirs"), message=a_message("x", thread_id="theirs", resource_id="r"))
        touched = attrs.evolve((await store.memory.get_thread_by_id("ours")), updated_at=at(10**9), title="renamed")
        await typescript_saves(redis, thread=touched)
        memory = store.memory
        found = await memory.list_threads(order_by={"field": "updated_at"}, include_total=True)
        assert ([(thread.id, thread.title) for thread in found], found.total) == ([("ours", "renamed"), ("theirs", a_thread().title)], 2)
        assert {thread.id for thread in await memory.list_threads(filter={"resource_id": "r"})} == {"ours", "theirs"}
        assert {message.id for message in await memory.list_messages_by_resource_id("r")} == {"m", "x"}
        assert [message.id for message in await memory.list_messages("theirs")] == ["x"]
        await redis.delete("mastra_threads:id:ours")
        assert [thread.id for thread in await memory.list_threads(per_page=1)] == ["theirs"]


async def test_without_the_option_what_typescript_adds_is_got_by_id_and_what_it_removes_leaves_no_gap(redis, redis_url):
    """The price of lists that look at nothing but their index: it is stated, and never a short page."""
    async with RedisStore(connection_string=redis_url) as store:
        for number in range(3):
            await store.memory.save_thread(a_thread(f"t{number}", created=number))
        await typescript_saves(redis, thread=a_thread("theirs", created=9))
        await redis.delete("mastra_threads:id:t2")
        assert [thread.id for thread in await store.memory.list_threads(per_page=2)] == ["t1", "t0"]
        assert (await store.memory.get_thread_by_id("theirs")) is not None


async def test_a_database_of_typescripts_is_repaired_once_at_first_open_with_progress(redis, redis_url, caplog):
    """Issue: "A database without our marker is repaired once at first open, with progress". The second opening reads the marker alone."""
    for number in range(1200):
        await typescript_saves(redis, thread=a_thread(f"t{number}", created=number))
    with caplog.at_level(logging.INFO, logger="mastra_redis"):
        async with RedisStore(connection_string=redis_url) as store:
            assert len(await store.memory.list_threads(per_page=None)) == 1200
    told = [record.message for record in caplog.records]
    assert ["500" in told[0], "1000" in told[1], "all 1200" in told[-1]] == [True, True, True]
    await typescript_saves(redis, thread=a_thread("later", created=10**6))
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="mastra_redis"):
        async with RedisStore(connection_string=redis_url) as store:
            assert len(await store.memory.list_threads(per_page=None)) == 1200
    assert caplog.records == []
    assert await redis.get(Keyspace(cluster=False).ready) == b"1"


async def test_what_typescript_wrote_twice_for_one_run_is_listed_once(redis, redis_url):
    """A run with its resource in the key, and again without: TypeScript makes both."""
    document = {"namespace": "workflows", "workflow_name": "w", "run_id": "run", "snapshot": {"status": "done"},
                "createdAt": "2024-01-01T00:00:00.000Z", "updatedAt": "2024-01-01T00:00:00.000Z"}  # fmt: skip
    name = "mastra_workflow_snapshot:namespace:workflows:workflow_name:w:run_id:run"
    await redis.set(name, json.dumps(document))
    await redis.set(f"{name}:resourceId:r", json.dumps({**document, "resourceId": "r"}))
    for typescript_writes in (False, True):
        async with RedisStore(connection_string=redis_url, typescript_writes=typescript_writes) as store:
            page = await store.workflows.list_workflow_runs()
            assert ([run.run_id for run in page], page.total) == (["run"], 1)
