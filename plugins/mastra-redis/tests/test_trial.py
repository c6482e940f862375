"""What the trial is for: "the trial engines meet their rows" of the budget of one agent turn, counted at the server's door."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mastra_core import clock
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Get, Is, Query, Window
from mastra_core.testing.samples import a_message, a_resource, a_thread, at
from mastra_redis import wire
from mastra_redis.keys import Keyspace
from mastra_redis.store import RedisStore
from tests.servers.counting import ClusterProxy, RespProxy

SIZES = [10, 1_000, pytest.param(100_000, marks=pytest.mark.scale)]


@asynccontextmanager
async def node(url):
    with RespProxy.before(url) as proxy:
        async with RedisStore(connection_string=proxy.url) as store:
            yield store, proxy


@asynccontextmanager
async def cluster(url):
    with ClusterProxy(url, hold_seconds=0.05) as proxy:
        client = RedisCluster.from_url(proxy.url, address_remap=proxy.address_remap, retry=Retry(NoBackoff(), 0))
        async with client, RedisStore(client=client) as store:
            yield store, proxy


async def load(client, size, *, keys):
    """A thread of *size* messages and its resource, by the driver's own pipelines."""
    layout = THREADS, MESSAGES, RESOURCES
    by_thread = MESSAGES.path("by_thread")
    pipe = client.pipeline(transaction=False)
    for kind, record in ((layout[0], a_thread()), (layout[2], a_resource(working_memory="# Ada"))):
        pipe.set(keys.record(kind, record.id, place=""), wire.written(kind, record).text)
    for number in range(size):
        message = a_message(f"m{number:06}", created=number)
        pipe.set(keys.record(MESSAGES, message.id, place="t"), wire.written(MESSAGES, message).text)
        pipe.set(keys.alias(MESSAGES, message.id), "t")
        pipe.zadd(keys.index(MESSAGES, by_thread, ["t"]), {message.id: round(message.created_at.timestamp() * 1000) * 1000})
        if number % 2000 == 1999:
            await pipe.execute()
    await pipe.execute()


def exchange(number, *, thread_id="t"):
    """A question and its answer, with ids as an agent makes them."""
    return [a_message(clock.new_id(within=thread_id), thread_id=thread_id, created=10**8 + 2 * number + i) for i in range(2)]


def ids(messages):
    return [message.id for message in messages]


async def read(store):
    return await store.memory.read_turn("t", resource_id="r", last=10, with_resource=True)


async def warm(store):
    """Both scripts known to every connection and node that is counted later; what was saved for it."""
    await read(store)
    saved = exchange(0)
    await store.memory.save_turn(thread=a_thread(), messages=saved, existed=True)
    await read(store)
    return ids(saved)


@pytest.mark.parametrize("size", SIZES)
async def test_a_turn_on_one_node_is_one_script_to_read_and_one_to_write(redis_url, size):
    """The trial engines meet their rows. Redis, one node: read 1 command (script), write 1 command (script), at any length of the thread."""
    async with Redis.from_url(redis_url) as client:
        await load(client, size, keys=Keyspace(cluster=False))
    async with node(redis_url) as (store, proxy):
        before, saved = await warm(store), exchange(1)
        with proxy.counting() as reading:
            turn = await read(store)
        with proxy.counting() as writing:
            await store.memory.save_turn(thread=a_thread(), messages=saved, existed=True)
        with proxy.counting() as opening:
            await store.memory.save_turn(thread=a_thread("new"), messages=exchange(0, thread_id="new"))
        assert (reading.commands, reading.round_trips) == ({"EVALSHA": 1}, 1)
        assert (writing.commands, writing.round_trips) == ({"EVALSHA": 1}, 1)
        assert (opening.commands, opening.round_trips) == ({"EVALSHA": 1}, 1)
        assert ids(turn.messages) == [*(f"m{number:06}" for number in range(size - 8, size)), *before]
        assert turn.thread is not None
        assert turn.resource is not None
        assert ids((await read(store)).messages[-2:]) == ids(saved)


@pytest.mark.parametrize("size", SIZES)
async def test_a_turn_on_a_cluster_is_two_commands_to_read_and_one_script_to_write(redis_cluster_url, size):
    """The trial engines meet their rows. Redis Cluster: read <= 2 commands, in parallel; write 1 command (script), at any length of the thread."""
    async with RedisCluster.from_url(redis_cluster_url) as client:
        await load(client, size, keys=Keyspace(cluster=True))
    async with cluster(redis_cluster_url) as (store, proxy):
        before, saved = await warm(store), exchange(1)
        with proxy.counting() as reading:
            turn = await read(store)
        with proxy.counting() as writing:
            await store.memory.save_turn(thread=a_thread(), messages=saved, existed=True)
        assert (reading.commands, reading.waits) == ({"EVALSHA": 1, "GET": 1}, 1)
        assert ids(turn.messages) == [*(f"m{number:06}" for number in range(size - 8, size)), *before]
        assert turn.resource is not None
        assert (writing.commands, writing.waits) == ({"EVALSHA": 1}, 1)
        assert ids((await read(store)).messages[-2:]) == ids(saved)
        for message in saved:
            assert await store.records.fetch(Get(MESSAGES, (message.id,))) == (message,)
        with proxy.counting() as again:
            await store.memory.save_turn(thread=a_thread(), messages=saved, existed=True)
        assert (again.commands, again.waits) == ({"EVALSHA": 2}, 2), "a message saved again is read first"


@pytest.mark.parametrize("size", SIZES)
async def test_a_turn_on_a_cluster_whose_ids_were_made_elsewhere_is_one_script_and_one_set_a_message(redis_cluster_url, size):
    """An id that does not tell its thread's slot has its entry in another one: it is claimed there, in parallel, before the script."""
    async with RedisCluster.from_url(redis_cluster_url) as client:
        await load(client, size, keys=Keyspace(cluster=True))
    async with cluster(redis_cluster_url) as (store, proxy):
        await warm(store)
        for made in (["u1", "a1"], [clock.new_id(within="another"), clock.new_id(within="a third")]):
            messages = [a_message(name, created=10**9 + number) for number, name in enumerate(made)]
            # Known before: a connection to the node of either id.
            await store.records.fetch(*(Get(MESSAGES, (name,)) for name in made))
            with proxy.counting() as writing:
                await store.memory.save_turn(thread=a_thread(), messages=messages, existed=True)
            assert (writing.commands, writing.waits) == ({"SET": 2, "EVALSHA": 1}, 2)
            assert set(made) <= set(ids((await read(store)).messages))


async def test_the_other_operations_of_the_trial_cost_what_is_stated_on_one_node(redis_url):
    """A window is two scripts, a compare-and-set two (one tells what is stored), a list of a user's 20 threads among many one."""
    async with node(redis_url) as (store, proxy):
        await fill(store)
        with proxy.counting() as window:
            (found,) = await store.records.fetch(Window(MESSAGES, "by_thread", around=("m5",), before=2, after=1))
        with proxy.counting() as compared:
            await store.records.apply(Patch(THREADS, ("t",), put={"title": "new"}, when=(Is(("title",), ""),)))
        with proxy.counting() as listed:
            (threads,) = await store.records.fetch(Query(THREADS, "by_resource", at={"resource_id": "many"}, descending=True, limit=20))
        assert [message.id for message in found] == ["m3", "m4", "m5", "m6"]
        assert len(threads) == 20
        assert (window.commands, compared.commands, listed.commands) == ({"EVALSHA": 2}, {"EVALSHA": 2}, {"EVALSHA": 1})


async def test_the_other_operations_of_the_trial_cost_what_is_stated_on_a_cluster(redis_cluster_url):
    """A window whose thread is known is two commands; a list of a user's 20 threads is one and, in parallel, one a thread."""
    async with cluster(redis_cluster_url) as (store, proxy):
        await fill(store)
        for hint, expected in (
            ({"thread_id": "t"}, {"GET": 1, "EVALSHA": 1}),
            ({}, {"GET": 2, "EVALSHA": 1}),
            ({"thread_id": "no"}, {"GET": 3, "EVALSHA": 1}),
        ):
            with proxy.counting() as window:
                (found,) = await store.records.fetch(Window(MESSAGES, "by_thread", around=("m5",), before=2, after=1, hint=hint))
            assert [message.id for message in found] == ["m3", "m4", "m5", "m6"]
            assert window.commands == expected
        with proxy.counting() as compared:
            await store.records.apply(Patch(THREADS, ("t",), put={"title": "new"}, when=(Is(("title",), ""),)))
        with proxy.counting() as listed:
            (threads,) = await store.records.fetch(Query(THREADS, "by_resource", at={"resource_id": "many"}, descending=True, limit=20))
        assert compared.commands == {"EVALSHA": 2}
        assert (len(threads), listed.commands) == (20, {"EVALSHA": 1, "GET": 20})
        with proxy.counting() as opening:
            await store.memory.save_turn(thread=a_thread("new"), messages=exchange(0, thread_id="new"))
        # The script says that there is no such thread; it is listed for its owner and among all; then the script writes it.
        assert opening.commands == {"EVALSHA": 2, "ZADD": 2}
        with proxy.counting() as opening:
            await store.memory.save_turn(thread=a_thread("own"), messages=[a_message(f"n{i}", thread_id="own") for i in range(2)])
        assert opening.commands == {"SET": 2, "EVALSHA": 2, "ZADD": 2}


async def fill(store):
    threads = [a_thread(f"x{number:02}", resource_id="many", created=number) for number in range(20)]
    others = [a_thread(f"y{number:02}", resource_id="other", created=number) for number in range(20)]
    messages = [a_message(f"m{number}", created=number) for number in range(10)]
    await store.records.apply(
        *(Save(THREADS, t) for t in (a_thread(), *threads, *others)), *(Save(MESSAGES, m) for m in messages), atomic=False
    )
    await store.records.fetch(
        Query(MESSAGES, "by_thread", at={"thread_id": "t"}), Query(THREADS, "by_resource", at={"resource_id": "many"})
    )
    await store.records.apply(Patch(THREADS, ("t",), raise_to={"updated_at": at(1)}))
