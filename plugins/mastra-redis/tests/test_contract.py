"""The kit's contract. Must hold: "The whole kit passes on standalone, Cluster and Sentinel": one node, three, and a master that Sentinels name."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from mastra_core import clock
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.records.kinds import KINDS
from mastra_core.testing import CompositeContract, EngineContract, MemoryContract
from mastra_redis.connections import Confirmation
from mastra_redis.engine import RedisEngine
from mastra_redis.keys import tags
from mastra_redis.setup import target
from mastra_redis.store import RedisStore
from tests.servers.redis_fixtures import fresh_redis_database
from tests.servers.redis_sentinel import master_of

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
    options = {}  # noqa: RUF012  # of the test class, not changed

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.address = self.url = redis_url

    @asynccontextmanager
    async def open_engine(self):
        async with Redis.from_url(self.url) as client:
            await client.flushdb()
        yield self.again(None)

    def again(self, engine):
        return RedisEngine(target(self.address).connect, **self.options)

    @property
    def prefix(self):
        return self.options.get("prefix", "")

    async def peek(self, engine, kind, key):
        async with Redis.from_url(self.url) as client:
            if kind.name == "mastra_messages":
                thread = await client.get(f"{self.prefix}msg-idx:{key[0]}")
                name = f"mastra_messages:threadId:{(thread or b'').decode()}:id:{key[0]}"
            else:
                name = RECORDS[kind.name] + key[0]
            return document(await client.get(self.prefix + name))

    async def on_disk(self, engine, kind, key):
        async with Redis.from_url(self.url) as client:
            found = await self.changed(client, [name async for name in client.scan_iter(count=1000)])
            return {name.replace(f" {self.prefix}", " ", 1): value for name, value in found.items()}

    async def poke(self, engine, kind, stored):
        stored = dict(stored)
        async with Redis.from_url(self.url) as client:
            if kind.name == "mastra_messages":
                name = f"mastra_messages:threadId:{stored['threadId']}:id:{stored['id']}"
                await client.set(f"{self.prefix}msg-idx:{stored['id']}", stored["threadId"])
                await client.set(self.prefix + name, json.dumps(stored | {"_index": 3}))
                return True
            await client.set(self.prefix + RECORDS[kind.name] + stored["id"], json.dumps(stored))
        return True


class TestRedisClusterEngine(Changes, EngineContract):
    briefly = True
    snapshot = SNAPSHOTS / "redis_cluster.txt"

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url

    @asynccontextmanager
    async def open_engine(self):
        async with RedisCluster.from_url(self.url) as client:
            await client.flushall(target_nodes=RedisCluster.PRIMARIES)
        yield RedisEngine(target(self.url.replace("redis://", "redis+cluster://")).connect)

    def again(self, engine):
        return RedisEngine(engine._caller._connect)

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

    briefly = "only"

    snapshot = SNAPSHOTS / "redis_cluster_by_place.txt"

    @pytest.fixture(autouse=True)
    def _ids_that_tell_a_slot(self, monkeypatch):
        monkeypatch.setattr(clock, "place_of", told)

    def alias(self, name):
        return f"msg-idx{{{tags()[told(name)]}}}:{name}"


@pytest.mark.scale
class TestRedisEngineWithAPrefix(TestRedisEngine):
    """The same again, every key beginning with a text of the user's; what lies behind it is the same."""

    briefly = "only"

    options = {"prefix": "my app:é\n"}  # noqa: RUF012  # of the test class, not changed


@pytest.mark.scale
class TestRedisEngineBesideTypeScript(TestRedisEngine):
    """The same again where lists look through all keys."""

    briefly = "only"

    options = {"typescript_writes": True}  # noqa: RUF012  # of the test class, not changed


@pytest.mark.scale
class TestRedisEngineWithLifetimes(TestRedisEngine):
    """The same again where every record has an end, far away."""

    briefly = "only"

    options = {"lifetimes": {kind.name: 10**9 for kind in KINDS}}  # noqa: RUF012  # of the test class, not changed


@pytest.mark.scale
class TestRedisSentinelEngine(TestRedisEngine):
    """The same again on the master that Sentinels name, each write confirmed by its replica."""

    options = {"confirmation": Confirmation(replicas=1, seconds=10)}  # noqa: RUF012  # of the test class, not changed

    @pytest.fixture(autouse=True)
    def _server(self, redis_sentinel_url):
        self.address, self.url = redis_sentinel_url, f"{master_of(redis_sentinel_url)}/{redis_sentinel_url.rpartition('/')[2]}"


class TestRedisMemory(MemoryContract):
    options = {}  # noqa: RUF012  # of the test class, not changed

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.url = redis_url

    @asynccontextmanager
    async def open_store(self):
        yield RedisStore(connection_string=self.url, **self.options)


class TestRedisClusterMemory(TestRedisMemory):
    briefly = True

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url):
        self.url = redis_cluster_url.replace("redis://", "redis+cluster://")


class TestRedisSentinelMemory(TestRedisMemory):
    briefly = True

    @pytest.fixture(autouse=True)
    def _server(self, redis_sentinel_url):
        self.url = redis_sentinel_url


@pytest.mark.scale
class TestRedisMemoryBesideTypeScript(TestRedisMemory):
    briefly = "only"
    options = {"typescript_writes": True}  # noqa: RUF012  # of the test class, not changed


@pytest.mark.scale
class TestRedisMemoryWithPrefixAndLifetimes(TestRedisMemory):
    briefly = "only"
    options = {"key_prefix": "app:", "ttl": {"thread": 10**6, "message": 10**6, "resource": 10**6}}  # noqa: RUF012  # of the test class


@pytest.mark.scale
class TestRedisClusterMemoryWithPrefixAndLifetimes(TestRedisClusterMemory):
    briefly = "only"
    options = TestRedisMemoryWithPrefixAndLifetimes.options


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
