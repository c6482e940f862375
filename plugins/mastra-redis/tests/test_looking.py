"""What a check finds on Redis, where nothing has to be prepared."""

from __future__ import annotations

from redis.asyncio import Redis

from mastra_redis.store import RedisStore


async def test_a_check_names_the_server_and_writes_no_key(redis_url) -> None:
    """`mastra check redis://…` says which Redis answers, and leaves the database empty."""
    store = RedisStore(connection_string=redis_url)
    found = await store.records.inspect()
    assert found.server.startswith("Redis ")
    assert found.server.endswith("(standalone)")
    assert (tuple(found.missing), tuple(store.records.ddl()), found.version) == ((), (), None)
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
    await store.close()


async def test_a_client_that_was_given_stays_open(redis_url) -> None:
    """A check closes what it opened, and nothing else."""
    async with Redis.from_url(redis_url) as client:
        connections = client.connection_pool
        store = RedisStore(client=client)
        await store.records.inspect()
        await store.close()
        assert client.connection_pool is connections
        assert await client.ping()


async def test_a_user_without_info_is_checked_all_the_same(redis_url) -> None:
    """A check needs no permission that a store does not."""
    async with Redis.from_url(redis_url) as client:
        await client.execute_command("ACL", "SETUSER", "app", "on", ">app", "~*", "+@all", "-info")
        try:
            found = await RedisStore(connection_string=redis_url.replace("redis://", "redis://app:app@")).records.inspect()
        finally:
            await client.execute_command("ACL", "DELUSER", "app")
    assert "does not tell this user its version" in found.server
