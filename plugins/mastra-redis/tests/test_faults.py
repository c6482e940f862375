"""What a user is told when Redis cannot be reached, refuses, or breaks off."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Connection, ConnectionPool, Redis

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.testing.samples import a_message, a_thread
from mastra_redis.plugin import mastra_stores
from mastra_redis.store import RedisStore, open_redis


@asynccontextmanager
async def losing_answers(url, word):
    """A proxy that passes everything on, but hangs up instead of delivering the answer to what holds *word*; counts those."""
    target, lost = urlsplit(url), []

    async def serve(reader, writer):
        upstream_reader, upstream = await asyncio.open_connection(target.hostname, target.port)

        async def answers():
            while data := await upstream_reader.read(65536):
                if breaking:
                    break
                writer.write(data)
            writer.close()

        breaking = []
        task = asyncio.create_task(answers())
        while data := await reader.read(65536):
            if word in data:
                breaking.append(True)
                lost.append(True)
            upstream.write(data)
        await task
        upstream.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"redis://127.0.0.1:{port}{target.path}", lost
    finally:
        server.close()


async def test_a_write_whose_answer_was_lost_is_not_sent_again(redis_url):
    """Nobody knows whether it was made (here it was), so it is the caller who decides, told to read first."""
    async with RedisStore(connection_string=redis_url) as store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m0")])
    async with losing_answers(redis_url, b"EVALSHA") as (url, lost):
        store = RedisStore(connection_string=url)
        with pytest.raises(StorageUnavailableError, match=r"may have been made or not.*Read before"):
            await store.memory.save_turn(thread=a_thread(), messages=[a_message("m1")])
        await store.close()
    assert len(lost) == 1
    async with Redis.from_url(redis_url) as client:
        assert await client.exists("mastra_messages:threadId:t:id:m1")


async def test_a_read_whose_answer_was_lost_is_tried_again(redis_url):
    """Reading twice is exact, so a broken connection is not the caller's business until it stays broken."""
    async with losing_answers(redis_url, b"GET") as (url, lost):
        store = RedisStore(connection_string=url)
        with pytest.raises(StorageUnavailableError, match="did not answer"):
            await store.memory.get_thread_by_id("t")
        await store.close()
    assert len(lost) == 4


async def test_a_server_that_is_not_there_is_an_error_with_the_mend(unused_tcp_port):
    """Never an empty page; the password is not shown."""
    for write in (False, True):
        store = open_redis(f"redis://user:secret-word@127.0.0.1:{unused_tcp_port}/0")
        with pytest.raises(StorageUnavailableError, match="is it running") as caught:
            await (store.memory.save_turn(thread=a_thread(), messages=[]) if write else store.memory.get_thread_by_id("t"))
        assert "secret-word" not in str(caught.value)
        await store.close()


async def test_a_wrong_password_is_an_error_that_says_so(redis_url):
    """What is wrong is the password, not the address."""
    store = open_redis(redis_url.replace("redis://", "redis://nobody:secret-word@"))
    with pytest.raises(StorageUnavailableError, match="user name or password") as caught:
        await store.memory.get_thread_by_id("t")
    assert "secret-word" not in str(caught.value)
    await store.close()


async def test_a_client_handed_in_stays_open(redis_url):
    """close() closes only what the store opened."""
    async with Redis.from_url(redis_url) as client:
        async with RedisStore(client=client) as store:
            await store.memory.save_turn(thread=a_thread(), messages=[a_message()])
        assert any(connection.is_connected for connection in client.connection_pool._available_connections)
        assert await client.exists("mastra_threads:id:t")


async def test_a_store_needs_exactly_one_way_to_connect(redis_url):
    """Two, none, another scheme or a client that decodes are refused with the choices, before anything is sent."""
    async with Redis.from_url(redis_url) as client, Redis.from_url(redis_url, decode_responses=True) as decoding:
        for options, said in (
            ({}, "exactly one of.*found none"),
            ({"connection_string": redis_url, "client": client}, "exactly one of.*found connection_string and client"),
            ({"host": "h", "client": client}, "exactly one of.*found host and client"),
            ({"connection_string": redis_url, "password": "secret-word"}, "password go with host"),
            ({"connection_string": " "}, "connection_string is required and cannot be empty"),
            ({"host": ""}, "host is required and cannot be empty"),
            ({"connection_string": "http://user:secret-word@h"}, "must begin with one of redis://"),
            ({"connection_string": "redis://user:secret/word@h"}, "cannot be read.*%-codes"),
            ({"connection_string": "redis://user:secret-word@h?colour=red"}, r"options \['colour'\]"),
            ({"connection_string": "redis+sentinel://user:secret-word@h"}, "names no service"),
            ({"connection_string": "redis+cluster://user:secret-word@h/3"}, "has one database"),
            ({"client": decoding}, "decode_responses=False"),
        ):
            with pytest.raises(ConfigurationError, match=said) as caught:
                RedisStore(**options)
            assert "secret-word" not in str(caught.value)


def test_the_plugin_describes_a_store_that_can_be_made():
    """The description's import path leads to a function that makes a store without connecting."""
    (described,) = mastra_stores()
    assert described.factory == f"{open_redis.__module__}:{open_redis.__name__}"
    for scheme in described.schemes:
        assert open_redis(f"{scheme}://127.0.0.1:1{'/service' if 'sentinel' in scheme else ''}").id == "redis"


class Torn(Connection):
    """A connection that is closed by another task at the moment of sending, as redis-py does when it looks at a cluster anew."""

    async def _send_packed_command(self, command):
        if any(word in part for part in command for word in (b"EVALSHA", b"mastra_threads:id:t")):
            await self.disconnect(nowait=True)
        await super()._send_packed_command(command)


async def test_a_connection_that_the_driver_closes_in_use_is_a_lost_connection(redis_url):
    """Issue: "callers see `StorageUnavailableError` or a retried success", never an AttributeError from within the driver."""
    pool = ConnectionPool.from_url(redis_url, connection_class=Torn)
    async with Redis(connection_pool=pool) as client, RedisStore(connection_string=redis_url) as opened:
        await opened.init()
        store = RedisStore(client=client)
        with pytest.raises(StorageUnavailableError, match="closed while it was in use"):
            await store.memory.get_thread_by_id("t")
        with pytest.raises(StorageUnavailableError, match=r"closed while it was in use.*Read before writing again"):
            await store.memory.save_turn(thread=a_thread(), messages=[a_message("m")])
        await store.close()
        await pool.disconnect()
