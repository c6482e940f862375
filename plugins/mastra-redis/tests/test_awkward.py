"""Names that look like syntax, keys that somebody else uses, and four processes that change one record at once."""

from __future__ import annotations

import asyncio
import sys

import pytest
from redis.asyncio import Redis

from mastra_core.errors import StoredDataError
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Get, Query
from mastra_core.testing.samples import a_message, a_resource, a_thread
from mastra_redis.store import RedisStore

NAMES = ["a:b:id:c", "{", "}", "{a}b", "}{", "{}", "a b", "a\nb\r\n", "*", "[a-z]?", "\\", "%1%", "'\"", "é" * 255, "🎉" * 225, "$1 {0}"]
"""225 of the last but one are 900 bytes, the most that an id may have."""


@pytest.mark.parametrize("cluster", [False, True], ids=["node", "cluster"])
@pytest.mark.parametrize("name", NAMES)
async def test_any_text_names_a_thread_a_resource_a_message_and_a_run(request, cluster, name):
    """Must hold: "Keys with `:`, `{`, spaces, newlines and 255 Unicode characters work": saved, listed, changed, deleted; nothing stays behind."""
    url = request.getfixturevalue("redis_cluster_url" if cluster else "redis_url")
    async with RedisStore(connection_string=url.replace("redis://", "redis+cluster://") if cluster else url) as store:
        memory = store.memory
        await memory.save_turn(thread=a_thread(name, resource_id=name), messages=[a_message(name, thread_id=name, resource_id=name)])
        await memory.save_resource(a_resource(name))
        await memory.update_thread(name, title="new", metadata={"a": 1})
        await memory.update_messages([{"id": name, "content": {"metadata": {"a": 1}}}])
        assert [thread.title for thread in await memory.list_threads(filter={"resource_id": name})] == ["new"]
        assert [message.content["metadata"] for message in await memory.list_messages(name)] == [{"a": 1}]
        assert [message.id for message in await memory.list_messages_by_id([name])] == [name]
        assert (await memory.get_resource_by_id(name)).id == name
        await store.workflows.persist_workflow_snapshot(name, run_id=name, snapshot={"status": "done"}, resource_id=name)
        assert [run.run_id for run in await store.workflows.list_workflow_runs(workflow_name=name, resource_id=name)] == [name]
        await store.workflows.delete_workflow_run_by_id(name, workflow_name=name)
        await memory.delete_thread(name)
        await store.erase(resource_id=name)
        client = store.get_client()
        left = await client.keys("*", **({"target_nodes": "primaries"} if cluster else {}))
        assert set(left) <= {b"mastra_index:ready"}


@pytest.mark.parametrize("command", [("RPUSH", "x"), ("HSET", "f", "x"), ("SADD", "x")])
async def test_a_value_of_another_type_at_a_key_of_ours_is_never_a_short_page(redis_url, command):
    """Must hold: "A value of another type at one of our keys gives `StoredDataError`": on every way to it, and it stays where it is."""
    async with RedisStore(connection_string=redis_url) as store, Redis.from_url(redis_url) as client:
        for number in range(3):
            await store.records.apply(
                Save(THREADS, a_thread(f"t{number}", created=number)), Save(MESSAGES, a_message(f"m{number}", thread_id="t0"))
            )
        ways = {
            "mastra_threads:id:t1": (
                Get(THREADS, ("t1",)),
                Query(THREADS, "by_resource", at={"resource_id": "r"}),
                Query(THREADS, "all", at={}),
            ),
            "mastra_messages:threadId:t0:id:m1": (Get(MESSAGES, ("m1",)), Query(MESSAGES, "by_thread", at={"thread_id": "t0"}, limit=2)),
            "thread:t0:messages": (Query(MESSAGES, "by_thread", at={"thread_id": "t0"}),),
            "msg-idx:m2": (Get(MESSAGES, ("m2",)),),
        }
        for name, reads in ways.items():
            await client.delete(name)
            await client.execute_command(command[0], name, *command[1:])
            for read in reads:
                with pytest.raises(StoredDataError, match="another type"):
                    await store.records.fetch(read)
            assert await client.type(name) not in {b"none", b"string"}


CHANGER = """
import asyncio, sys
from mastra_redis.store import RedisStore

async def main(url, me):
    async with RedisStore(connection_string=url) as store:
        memory, runs = store.memory, store.workflows
        for n in range(20):
            await memory.update_thread("t", title="x", metadata={f"{me}-{n}": n})
            await memory.update_resource("r", metadata={f"{me}-{n}": n})
            await memory.update_messages([{"id": "m", "content": {"metadata": {f"{me}-{n}": n}}}])
            await runs.update_workflow_results("w", run_id="run", step_id=f"{me}-{n}", result={"output": n})

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("cluster", [False, True], ids=["node", "cluster"])
async def test_four_processes_that_update_at_once_lose_nothing(request, cluster):
    """Must hold: "Concurrent `update_*` from four processes lose nothing": threads, resources, messages and results of workflows."""
    url = request.getfixturevalue("redis_cluster_url" if cluster else "redis_url")
    url = url.replace("redis://", "redis+cluster://") if cluster else url
    async with RedisStore(connection_string=url) as store:
        memory, runs = store.memory, store.workflows
        await memory.save_turn(thread=a_thread(), messages=[a_message("m")])
        await memory.save_resource(a_resource())
        await runs.persist_workflow_snapshot("w", run_id="run", snapshot={"status": "running", "context": {}})
        started = [await asyncio.create_subprocess_exec(sys.executable, "-c", CHANGER, url, str(me)) for me in range(4)]
        assert [await one.wait() for one in started] == [0, 0, 0, 0]
        wanted = {f"{me}-{n}" for me in range(4) for n in range(20)}
        (message,) = await memory.list_messages("t")
        assert wanted <= set((await memory.get_thread_by_id("t")).metadata)
        assert wanted <= set((await memory.get_resource_by_id("r")).metadata)
        assert wanted <= set(message.content["metadata"])
        assert wanted <= set((await runs.load_workflow_snapshot("w", run_id="run"))["context"])
