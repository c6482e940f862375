"""The kit's contract on one node and on a cluster of three."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from mastra_core import clock
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.testing import CompositeContract, EngineContract, MemoryContract
from mastra_redis.engine import RedisEngine
from mastra_redis.keys import tags
from mastra_redis.store import RedisStore, connected
from tests.servers.fixtures import fresh_redis_database

RECORDS = {"mastra_threads": "mastra_threads:id:", "mastra_resources": "mastra_resources:"}
"""Written out once more: what `@mastra/redis` calls its keys is not for our own code to say."""
SNAPSHOTS = Path(__file__).parent / "snapshots"


class Changes:
    """What is new or other than at the last look."""

    async def changed(self, client, names):
        seen, self.seen = vars(self).get("seen", {}), {name.decode(): await held(client, name) for name in names}
        return {f"{form} {name}": value for name, (form, value) in sorted(self.seen.items()) if seen.get(name) != (form, value)}


async def held(client, name):
    """The type of a key, and its value."""
    form = (await client.type(name)).decode()
    if form == "string":
        return form, (await client.get(name)).decode()
    if form == "zset":
        return form, [(member.decode(), score) for member, score in await client.zrange(name, 0, -1, withscores=True)]
    if form == "hash":
        return form, {field.decode(): value.decode() for field, value in sorted((await client.hgetall(name)).items())}
    assert form == "set", f"a {form} is not shown here yet"
    return form, sorted(member.decode() for member in await client.smembers(name))


class TestRedisEngine(Changes, EngineContract):
    snapshot = SNAPSHOTS / "redis.txt"

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.url = redis_url

    @asynccontextmanager
    async def open_engine(self):
        async with Redis.from_url(self.url) as client:
            await client.flushdb()
        yield RedisEngine(lambda: connected(self.url))

    def again(self, engine):
        return RedisEngine(engine._connect)

    async def peek(self, engine, kind, key):
        async with Redis.from_url(self.url) as client:
            if kind.name == "mastra_messages":
                thread = await client.get(f"msg-idx:{key[0]}")
                name = b"mastra_messages:threadId:" + (thread or b"") + b":id:" + key[0].encode()
            else:
                name = RECORDS[kind.name] + key[0]
            return document(await client.get(name))

    async def on_disk(self, engine, kind, key):
        async with Redis.from_url(self.url) as client:
            return await self.changed(client, [name async for name in client.scan_iter(count=1000)])

    async def poke(self, engine, kind, stored):
        stored = dict(stored)
        async with Redis.from_url(self.url) as client:
            if kind.name == "mastra_messages":
                name = f"mastra_messages:threadId:{stored['threadId']}:id:{stored['id']}"
                await client.set(f"msg-idx:{stored['id']}", stored["threadId"])
                await client.set(name, json.dumps(stored | {"_index": 3}))
                return True
            await client.set(RECORDS[kind.name] + stored["id"], json.dumps(stored))
        return True


class TestRedisClusterEngine(Changes, EngineContract):
    snapshot = SNAPSHOTS / "redis_cluster.txt"

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url

    @asynccontextmanager
    async def open_engine(self):
        async with RedisCluster.from_url(self.url) as client:
            await client.flushall(target_nodes=RedisCluster.PRIMARIES)
        yield RedisEngine(lambda: connected(self.url.replace("redis://", "redis+cluster://")))

    def again(self, engine):
        return RedisEngine(engine._connect)

    def alias(self, name):
        return f"msg-idx:{name}"

    async def peek(self, engine, kind, key):
        async with RedisCluster.from_url(self.url) as client:
            if kind.name == "mastra_messages":
                thread = await client.get(self.alias(key[0]))
                return document(thread and await client.get(f"mastra_messages:threadId:{tag(thread.decode())}:id:{key[0]}"))
            return document(await client.get(RECORDS[kind.name] + tag(key[0])))

    async def on_disk(self, engine, kind, key):
        async with RedisCluster.from_url(self.url) as client:
            return await self.changed(client, [name async for name in client.scan_iter(count=1000)])

    async def poke(self, engine, kind, stored):
        async with RedisCluster.from_url(self.url) as client:
            if kind.name == "mastra_messages":
                await client.set(self.alias(stored["id"]), stored["threadId"])
                await client.set(f"mastra_messages:threadId:{tag(stored['threadId'])}:id:{stored['id']}", json.dumps(dict(stored)))
                return True
            await client.set(RECORDS[kind.name] + tag(stored["id"]), json.dumps(dict(stored)))
        return True


@pytest.mark.scale
class TestRedisClusterEngineByPlace(TestRedisClusterEngine):
    """The same again where ids tell the slots of two threads of the kit: their messages and entries are written as one, others claimed."""

    snapshot = SNAPSHOTS / "redis_cluster_by_place.txt"

    @pytest.fixture(autouse=True)
    def _ids_that_tell_a_slot(self, monkeypatch):
        monkeypatch.setattr(clock, "place_of", told)

    def alias(self, name):
        return f"msg-idx{{{tags()[told(name)]}}}:{name}"


class TestRedisMemory(MemoryContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.url = redis_url

    @asynccontextmanager
    async def open_store(self):
        yield RedisStore(connection_string=self.url)


class TestRedisClusterMemory(MemoryContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url.replace("redis://", "redis+cluster://")

    @asynccontextmanager
    async def open_store(self):
        yield RedisStore(connection_string=self.url)


class TestRedisComposite(CompositeContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url, redis_server):
        self.url, self.server = redis_url, redis_server

    @asynccontextmanager
    async def open_stores(self):
        with fresh_redis_database(self.server) as other:
            yield RedisStore(id="one", connection_string=self.url), RedisStore(id="other", connection_string=other)


class TestRedisClusterComposite(CompositeContract):
    """Beside a dictionary: a cluster has one database."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url.replace("redis://", "redis+cluster://")

    @asynccontextmanager
    async def open_stores(self):
        yield RedisStore(connection_string=self.url), InMemoryStore()


def told(name):
    """A slot that the kit's ids, which are no UUIDs, may be taken to tell: that of thread a or t."""
    return clock.place("at"[ord(name[-1]) % 2])


def document(text):
    return None if text is None else json.loads(text)


def tag(text):
    return "{" + text.replace("%", "%25").replace("{", "%7B").replace("}", "%7D") + "}"
