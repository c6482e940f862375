"""What operations cost, counted by the server itself (commandstats): the same in a full database as in an empty one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mastra_core import clock
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.testing.samples import a_message, a_resource, a_thread
from mastra_redis import wire
from mastra_redis.keys import Keyspace, member_of
from mastra_redis.store import RedisStore
from mastra_redis.writing import Writer
from tests.servers.redis import RedisNode

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
KEYS = Keyspace(cluster=False)
SETTING_UP = {"info", "client|setinfo", "client|setname", "hello", "select", "config|resetstat", "client|maint_notifications"}


@pytest.fixture
def server(redis_server, tmp_path):
    """A server that nobody else uses, so that its counts are of this test."""
    with RedisNode(tmp_path) as node:
        yield node.url


async def made(client):
    """The commands made since the last reset, those within scripts too."""
    told = await client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in told.items()})


async def counted(client, call):
    await client.config_resetstat()
    answer = await call
    return {name: count for name, count in (await made(client)).items() if name not in SETTING_UP}, answer


async def load(client, records, *, at_once=2000):
    """Store records with their entries, by pipelines of the driver."""
    writer, pipe = Writer(KEYS), client.pipeline(transaction=False)
    for number, (kind, record) in enumerate(records):
        member = member_of(kind.key_of(record))
        pipe.set(KEYS.record(kind, member, place=KEYS.place_of(kind, record)), wire.written(kind, record).text)
        if KEYS.layout(kind).alias:
            pipe.set(KEYS.alias(kind, member), KEYS.place_of(kind, record))
        for entry in writer.entries(kind, record):
            pipe.zadd(entry.key, {entry.member: entry.milliseconds * 1000})
        if number % at_once == at_once - 1:
            await pipe.execute()
    await pipe.execute()


def exchange(number):
    return [a_message(clock.new_id(within="t"), created=10**9 + 2 * number + i) for i in range(2)]


async def a_turn(client, url):
    """What the read and the write of a turn cost, once everything is warm."""
    async with RedisStore(connection_string=url) as store:
        read = lambda: store.memory.read_turn("t", resource_id="r", last=10, with_resource=True)  # noqa: E731  # said twice
        write = lambda number: store.memory.save_turn(thread=a_thread(), messages=exchange(number), existed=True)  # noqa: E731  # likewise
        await read()
        await write(0)
        reading, turn = await counted(client, read())
        writing, _ = await counted(client, write(1))
        assert len(turn.messages) == 10
        return reading, writing


@pytest.mark.parametrize("messages, others", [(10, 0), pytest.param(100_000, 1_000_000, marks=pytest.mark.scale)])
async def test_a_turn_costs_the_same_commands_in_a_full_database(server, messages, others):
    """Must hold: "Commands per turn by MONITOR or commandstats: the budget of `semantics.md` §4, the same with 10 or 1,000,000 keys in the
    database and 10 or 100,000 messages in the thread." Those within scripts too.
    """
    async with Redis.from_url(server) as client:
        await load(client, [(THREADS, a_thread()), (RESOURCES, a_resource())])
        await load(client, ((MESSAGES, a_message(f"m{number:06}", created=number)) for number in range(messages)))
        for start in range(0, others, 10_000):
            await client.mset({f"somebody:{number}": "x" for number in range(start, start + 10_000)})
        await client.set("mastra_index:ready", "1")
        reading, writing = await a_turn(client, server)
        assert (reading["evalsha"], writing["evalsha"]) == (1, 1)
        within = {"reading": sum(reading.values()) - 1, "writing": sum(writing.values()) - 1}
        assert within == {"reading": 7, "writing": 30}, (reading, writing)


@pytest.mark.parametrize("threads", [100, pytest.param(10_000, marks=pytest.mark.scale)])
async def test_listing_a_users_threads_costs_one_command_among_many(server, threads):
    """Must hold: "Listing a user's 20 threads among 10,000: at most 3 commands": it is one script."""
    async with Redis.from_url(server) as client:
        await load(
            client,
            ((THREADS, a_thread(f"t{n}", resource_id=f"r{n % (threads // 20)}", created=n)) for n in range(threads)),
        )
        await client.set("mastra_index:ready", "1")
        async with RedisStore(connection_string=server) as store:
            ask = lambda: store.memory.list_threads(filter={"resource_id": "r1"}, per_page=20, include_total=False)  # noqa: E731  # said twice
            await ask()
            cost, page = await counted(client, ask())
        assert len(page) == 20
        assert cost.pop("evalsha") == 1
        assert sum(cost.values()) == 5, cost


@pytest.mark.scale
async def test_a_thousand_messages_take_the_memory_that_is_stated(server):
    """Issue: "memory per 1,000 messages measured and stated": what the README states, give or take a fifth for another allocator."""
    async with Redis.from_url(server) as client:
        before = (await client.info("memory"))["used_memory"]
        content = {"format": 2, "parts": [{"type": "text", "text": "x" * 350}]}
        await load(
            client,
            ((MESSAGES, a_message(clock.new_id(within="t"), created=n, resource_id="r", content=content)) for n in range(10_000)),
        )
        bytes_each = ((await client.info("memory"))["used_memory"] - before) / 10_000
    (stated,) = re.findall(r"^1,000 messages of 350 characters take (\S+) MB of memory", README, re.MULTILINE)
    assert bytes_each / 1000 == pytest.approx(float(stated), rel=0.2)
