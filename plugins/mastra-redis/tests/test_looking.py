"""What a check finds on Redis, where nothing has to be prepared."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from mastra_redis.store import RedisStore
from tests.servers.redis import RedisNode


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


@pytest.fixture
def user() -> str:
    """The name of a user that only this test has: the users of a server are those of all its databases."""
    return f"app{uuid.uuid4().hex}"


async def test_a_user_without_info_is_checked_all_the_same(redis_url, user) -> None:
    """A check needs no permission that a store does not."""
    async with Redis.from_url(redis_url) as client:
        await client.execute_command("ACL", "SETUSER", user, "on", ">app", "~*", "+@all", "-info")
        try:
            found = await RedisStore(connection_string=redis_url.replace("redis://", f"redis://{user}:app@")).records.inspect()
        finally:
            await client.execute_command("ACL", "DELUSER", user)
    assert "does not tell this user its version" in found.server


async def noticed(client, url, **settings):
    """What a check notes and warns of under these settings."""
    for name, value in settings.items():
        await client.config_set(name.replace("_", "-"), value)
    store = RedisStore(connection_string=url)
    found = await store.records.inspect()
    await store.close()
    return " ".join(found.notes), " ".join(found.warnings)


async def test_a_check_warns_when_data_can_be_lost(redis_server, tmp_path) -> None:
    """Issue: "`mastra check` warns when persistence is off or the eviction policy can drop data", and says nothing when all is well."""
    with RedisNode(tmp_path) as node:
        async with Redis.from_url(node.url) as client:
            _, warnings = await noticed(client, node.url)
            assert "persistence is off" in warnings
            notes, warnings = await noticed(client, node.url, save="60 1000")
            assert ("save 60 1000" in notes, warnings) == (True, "")
            notes, warnings = await noticed(client, node.url, save="", appendonly="yes")
            assert ("append-only file is on" in notes, warnings) == (True, "")
            _, warnings = await noticed(client, node.url, maxmemory_policy="allkeys-lru")
            assert warnings == "", "without a limit nothing is evicted"
            _, warnings = await noticed(client, node.url, maxmemory="100mb")
            assert "allkeys-lru drops records" in warnings
            _, warnings = await noticed(client, node.url, maxmemory_policy="volatile-ttl")
            assert "volatile-ttl drops what has a time to live" in warnings
            await client.config_set("appendonly", "no")
            await client.execute_command("ACL", "SETUSER", "app", "on", ">app", "~*", "+@all", "-config")
            notes, warnings = await noticed(client, node.url.replace("redis://", "redis://app:app@"))
            assert ("CONFIG may not be asked" in notes, "persistence" in warnings) == (True, False)


async def test_a_check_says_which_mode_is_on(redis_url) -> None:
    """Issue: "`mastra check` says which mode is on"."""
    for typescript_writes, said in ((False, "typescript_writes is off"), (True, "typescript_writes is on")):
        store = RedisStore(connection_string=redis_url, typescript_writes=typescript_writes)
        found = await store.records.inspect()
        await store.close()
        assert any(said in note for note in found.notes)


async def test_the_command_prints_what_a_check_warns_of(redis_url) -> None:
    """`mastra check redis://…?typescript_writes=true` for an operator: mode and warnings, exit code 0, since nothing is missing."""
    asked = [sys.executable, "-c", "from mastra_core.cli.main import main; main()", "check", f"{redis_url}?typescript_writes=true"]
    ran = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "typescript_writes is on" in ran.stdout
    assert "persistence is off" in ran.stdout


async def test_every_master_of_a_cluster_is_looked_at(redis_cluster_url) -> None:
    """A warning about one of them is not missed."""
    async with RedisCluster.from_url(redis_cluster_url) as client:
        node = client.get_primaries()[-1]
        await client.config_set("maxmemory", "100mb", target_nodes=node)
        await client.config_set("maxmemory-policy", "allkeys-lfu", target_nodes=node)
        try:
            store = RedisStore(connection_string=redis_cluster_url.replace("redis://", "redis+cluster://"))
            found = await store.records.inspect()
            await store.close()
        finally:
            await client.config_set("maxmemory", "0", target_nodes=node)
            await client.config_set("maxmemory-policy", "noeviction", target_nodes=node)
    assert found.server.endswith("(cluster)")
    assert any("allkeys-lfu" in warning for warning in found.warnings)


LINE = re.compile(r"^\+ping .*$", re.MULTILINE)


@pytest.mark.parametrize("cluster", [False, True], ids=["node", "cluster"])
async def test_the_permissions_that_the_readme_lists_are_enough(request, cluster, every_domain, user) -> None:
    """A user with that line and no other permission opens the store, goes through every domain, and leaves."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    line = LINE.search(readme)
    assert line is not None
    words = [word for word in line[0].split() if word.startswith("+")]
    url = request.getfixturevalue("redis_cluster_url" if cluster else "redis_url")
    client = (RedisCluster if cluster else Redis).from_url(url)
    everywhere = {"target_nodes": RedisCluster.PRIMARIES} if cluster else {}
    async with client:
        await client.execute_command("ACL SETUSER", user, "reset", "on", ">app", "~*", *words, **everywhere)
        scheme = "redis+cluster" if cluster else "redis"
        try:
            async with RedisStore(
                connection_string=url.replace("redis://", f"{scheme}://{user}:app@"), ttl={"thread": 60, "message": 60}
            ) as store:
                await every_domain(store)
                await store.records.ping()
                await store.memory.dangerously_clear_all()
        finally:
            await client.execute_command("ACL DELUSER", user, **everywhere)
