"""What users say to a RedisStore: every way to connect, and every option, does what it says."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.storage import open_store
from mastra_core.testing.samples import a_message, a_resource, a_thread
from mastra_redis.store import RedisStore
from mastra_redis.vectors import RedisVector
from tests.servers.redis import RedisNode

NEVER = Retry(NoBackoff(), 0)


async def remembers(store):
    """Whether a store keeps a turn."""
    async with store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m")])
        return [message.id for message in await store.memory.list_messages("t")] == ["m"]


async def test_a_node_is_reached_by_url_by_parts_and_by_unix_socket(tmp_path):
    """One way each: with a user, a password with any character in it, and the number of a database."""
    with RedisNode(tmp_path, options=("--unixsocket", str(tmp_path / "redis.sock"))) as node:
        async with Redis(port=node.port) as admin:
            await admin.execute_command("ACL", "SETUSER", "ada", "on", ">p@s:s/w%?#d", "~*", "&*", "+@all")
            await admin.execute_command("ACL", "SETUSER", "default", "off")
        word = "p%40s%3As%2Fw%25%3F%23d"
        for number, store in enumerate(
            (
                RedisStore(connection_string=f"redis://ada:{word}@127.0.0.1:{node.port}/1"),
                RedisStore(host="127.0.0.1", port=node.port, username="ada", password="p@s:s/w%?#d", db=2),
                RedisStore(connection_string=f"unix://ada:{word}@{tmp_path}/redis.sock?db=3"),
                open_store(f"redis://ada:{word}@127.0.0.1:{node.port}/4?socket_timeout=30"),
            )
        ):
            assert await remembers(store)
            async with Redis(port=node.port, username="ada", password="p@s:s/w%?#d", db=number + 1) as client:
                assert await client.exists("mastra_threads:id:t")


async def test_a_master_behind_sentinels_is_reached_by_url_and_by_a_client(redis_sentinel_url):
    """Sentinels name the master; a Sentinel that is not there is passed over."""
    netloc, path = urlsplit(redis_sentinel_url).netloc, urlsplit(redis_sentinel_url).path
    assert await remembers(RedisStore(connection_string=redis_sentinel_url))
    assert await remembers(RedisStore(connection_string=f"redis+sentinel://127.0.0.1:1,{netloc}{path}?socket_timeout=30"))
    sentinel = Sentinel([tuple(place.split(":")) for place in netloc.split(",")])
    async with sentinel, sentinel.master_for("mymaster", db=int(path.rpartition("/")[2]), retry=NEVER) as client:
        assert await remembers(RedisStore(client=client))
        assert await client.exists("mastra_threads:id:t"), "a client that was handed in stays open"


async def test_a_service_that_sentinels_do_not_know_is_an_error_that_names_it(redis_sentinel_url):
    """Never an empty page."""
    store = RedisStore(connection_string=redis_sentinel_url.replace("/mymaster/", "/another/"))
    with pytest.raises(StorageUnavailableError, match="another"):
        await store.memory.get_thread_by_id("t")
    await store.close()


async def test_a_cluster_is_reached_by_url_and_by_a_client(redis_cluster_url):
    """One node that answers is enough; the others are found."""
    netloc = urlsplit(redis_cluster_url).netloc
    assert await remembers(RedisStore(connection_string=f"redis+cluster://127.0.0.1:1,{netloc}"))
    async with RedisCluster.from_url(redis_cluster_url, retry=NEVER) as client:
        assert await remembers(RedisStore(client=client))
        assert await client.exists("mastra_threads:id:{t}")


async def test_the_client_can_be_had_for_commands_of_ones_own(redis_url):
    """TypeScript: `getClient()`. The store and its user share one."""
    async with RedisStore(connection_string=redis_url) as store:
        client = store.get_client()
        await store.memory.save_thread(a_thread())
        assert store.get_client() is client
        assert await client.exists("mastra_threads:id:t")
    async with Redis.from_url(redis_url) as mine:
        store = RedisStore(client=mine)
        assert store.get_client() is mine
        await store.close()
        assert await mine.ping()


@pytest.mark.parametrize("store", [RedisStore, RedisVector])
async def test_a_client_that_was_used_before_the_store_is_closed_with_it(redis_url, store):
    """Also where no method of the store was called."""
    opened = store(connection_string=redis_url)
    number = await opened.get_client().client_id()
    await opened.close()
    async with Redis.from_url(redis_url) as admin:
        assert str(number) not in {client["id"] for client in await admin.client_list()}


@pytest.mark.parametrize("cluster", [False, True])
async def test_two_prefixes_in_one_database_know_nothing_of_one_another(request, cluster):
    """Brief: "isolation of two prefixes in one database (erase/clear/scan included)"."""
    url = request.getfixturevalue("redis_cluster_url" if cluster else "redis_url")
    url = url.replace("redis://", "redis+cluster://") if cluster else url
    async with AsyncExitStack() as stack:
        prefixes = ("", "a", "a:", "mastra_threads")
        stores = [await stack.enter_async_context(RedisStore(connection_string=url, key_prefix=prefix)) for prefix in prefixes]
        for number, store in enumerate(stores):
            await store.memory.save_turn(
                thread=a_thread(title=f"of {number}"), messages=[a_message("m"), a_message(f"m{number}", created=1)]
            )
            await store.memory.save_resource(a_resource())
            await store.workflows.persist_workflow_snapshot("w", run_id="run", snapshot={"status": str(number)}, resource_id="r")
        await stores[0].memory.dangerously_clear_all()
        await stores[1].erase(resource_id="r")
        await stores[2].memory.delete_thread("t")
        (thread,) = await stores[3].memory.list_threads(filter={"resource_id": "r"})
        assert thread.title == "of 3"
        assert [message.id for message in await stores[3].memory.list_messages("t")] == ["m", "m3"]
        assert [len(await store.memory.list_threads()) for store in stores] == [0, 0, 0, 1]
        found = [await store.workflows.load_workflow_snapshot("w", run_id="run") for store in stores]
        assert found == [{"status": "0"}, None, {"status": "2"}, {"status": "3"}]
        assert await stores[2].memory.get_resource_by_id("r") is not None
        client = stores[0].get_client()
        keys = await client.keys("*", **({"target_nodes": RedisCluster.PRIMARIES} if cluster else {}))
        assert any(name.startswith(b"mastra_threadsmastra_threads:id:") for name in keys)


@pytest.mark.parametrize("prefix", ["{app}", "a}", "a\0", "mastra_threads:", "x:msg-idx:", "mastra_index:mine"])
def test_a_prefix_that_would_be_taken_for_something_else_is_refused(redis_url, prefix):
    """Before anything is sent, and the message says why."""
    with pytest.raises(ConfigurationError, match="key_prefix"):
        RedisStore(connection_string=redis_url, key_prefix=prefix)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"ttl": {"messages": 60}}, "no entity 'messages'.*Did you mean 'message'"),
        ({"ttl": {"message": 0}}, "above 0"),
        ({"ttl": {"message": True}}, "above 0"),
        ({"ttl": {"message": timedelta(days=40_000)}}, "100 years"),
        ({"ttl": {"message": float("nan")}}, "above 0"),
        ({"wait_replicas": -1}, "wait_replicas is -1"),
        ({"wait_replicas": 1, "wait_seconds": 0}, "wait_seconds is 0"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_the_mend(redis_url, options, said):
    """A mistake in the configuration is found when the program starts."""
    with pytest.raises(ConfigurationError, match=said):
        RedisStore(connection_string=redis_url, **options)


def test_times_to_live_of_older_releases_are_accepted(redis_url):
    """Semantics: "their TTL keys are accepted": what TypeScript calls spans, and evals, which are no longer written."""
    assert RedisStore(connection_string=redis_url, ttl={"trace": timedelta(days=1), "eval": 60, "thread": 60}).id == "redis"


async def test_a_url_carries_the_options_of_the_store(redis_url):
    """So that `mastra check URL` and other programs look at the same keys."""
    url = f"{redis_url}?key_prefix=app%3A&typescript_writes=true&wait_replicas=0"
    async with open_store(url) as store:
        await store.memory.save_thread(a_thread())
        found = await store.records.inspect()
        assert await store.get_client().exists("app:mastra_threads:id:t")
    assert any("typescript_writes is on" in note for note in found.notes)
    assert any("'app:'" in note for note in found.notes)
    with pytest.raises(ConfigurationError, match="typescript_writes in the URL is 'maybe'"):
        open_store(f"{redis_url}?typescript_writes=maybe")


async def test_typescript_cannot_be_said_to_write_to_a_cluster(redis_cluster_url):
    """@mastra/redis cannot run there, so lists that look for what it wrote would cost for nothing."""
    store = RedisStore(connection_string=redis_cluster_url.replace("redis://", "redis+cluster://"), typescript_writes=True)
    with pytest.raises(ConfigurationError, match="one Redis node"):
        await store.memory.get_thread_by_id("t")
    await store.close()


async def test_a_write_that_too_few_replicas_confirm_is_an_error_and_is_not_repeated(redis_url, redis_sentinel_url):
    """Issue: "narrowed by an optional `WAIT`". What was not confirmed is not acknowledged."""
    async with RedisStore(connection_string=redis_sentinel_url, wait_replicas=1, wait_seconds=10) as store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m")])
    async with RedisStore(connection_string=f"{redis_url}?wait_replicas=1", wait_seconds=0.05) as store:
        with pytest.raises(StorageUnavailableError, match=r"0 of 1 replicas confirmed it within 0.05 s.*Read before writing again"):
            await store.memory.save_turn(thread=a_thread(), messages=[a_message("m")])
