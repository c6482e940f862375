"""A database that `@mastra/redis` wrote is read as it reads it, and gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mastra_core.storage.records.kinds import MESSAGES
from mastra_core.testing.equality import assert_same
from mastra_redis.store import RedisStore
from tests.interop.readback import answers, expected

GOLDEN = Path(__file__).parent / "golden"
RUN = "mastra_workflow_snapshot:namespace:workflows:workflow_name:orderWorkflow:run_id:"


@pytest.fixture(scope="module")
def said():
    """What the TypeScript API answered to each call, by the name of the call."""
    return json.loads((GOLDEN / "readback.json").read_text())["results"]


@pytest.fixture
async def redis(redis_url):
    """The golden database."""
    async with Redis.from_url(redis_url) as client:
        for entry in json.loads((GOLDEN / "dump.json").read_text()):
            if entry["type"] == "zset":
                await client.zadd(entry["key"], {one["member"]: one["score"] for one in entry["members"]})
            else:
                await client.set(entry["key"], entry["value"])
        yield client


@pytest.fixture
async def store(redis, redis_url):
    """A store over the golden database."""
    async with RedisStore(connection_string=redis_url) as store:
        yield store


async def test_everything_reads_back_as_typescript_reads_it(store, said):
    """Threads, messages, resources, runs and scores of a TypeScript program are there from the first read on, in every list."""
    found, wanted = await answers(store, said), expected(said)
    assert set(found) == set(wanted)
    for name, answer in wanted.items():
        assert_same(found[name], answer)


async def test_opening_changes_nothing_that_typescript_wrote(redis, redis_url):
    """Every text stays, byte by byte, and the order of messages in one millisecond too; a second opening looks no more."""
    texts = {name: await redis.get(name) for name in await redis.keys("mastra_*")}
    lists = {name: await redis.zrange(name, 0, -1, withscores=True) for name in await redis.keys("thread:*")}
    for _ in range(2):
        async with RedisStore(connection_string=redis_url) as store:
            await store.records.ping()
    assert {name: await redis.get(name) for name in texts} == texts
    for name, entries in lists.items():
        assert entries == [entry for entry in await redis.zrange(name, 0, -1, withscores=True) if entry in entries]
    ours = {name for name in await redis.keys("*") if not name.startswith(b"mastra_index:")}
    assert ours - set(texts) - set(lists) == {name async for name in redis.scan_iter("msg-idx:*")}


@pytest.mark.parametrize("run_id, suffix", [("run-completed", ":resourceId:user-a"), ("run-suspended", "")])
async def test_a_run_of_typescript_is_gone_on_with_in_its_own_key(store, redis, run_id, suffix):
    """A run keeps the key that TypeScript gave it, with a resource or without, and there is never a second one."""
    await store.workflows.update_workflow_state("orderWorkflow", run_id=run_id, opts={"status": "running"})
    await store.workflows.update_workflow_results("orderWorkflow", run_id=run_id, step_id="more", result={"output": 1})
    assert [name.decode() async for name in redis.scan_iter(f"{RUN}{run_id}*")] == [f"{RUN}{run_id}{suffix}"]
    stored = json.loads(await redis.get(f"{RUN}{run_id}{suffix}"))
    assert (stored["namespace"], stored["snapshot"]["status"]) == ("workflows", "running")
    await store.workflows.delete_workflow_run_by_id(run_id, workflow_name="orderWorkflow")
    assert await redis.keys(f"{RUN}{run_id}*") == []
    assert await store.workflows.load_workflow_snapshot("orderWorkflow", run_id=run_id) is None


async def test_a_run_that_typescript_writes_beside_us_is_found(redis, redis_url):
    """Also a run that began after the database was opened, and whose key nobody but its resource would tell: by id and in lists."""
    async with RedisStore(connection_string=redis_url, typescript_writes=True) as store:
        await store.records.ping()
        await a_late_run_is_found(store, redis)


async def a_late_run_is_found(store, redis):
    document = json.loads(await redis.get(f"{RUN}run-completed:resourceId:user-a")) | {"run_id": "late*", "resourceId": "r:1"}
    await redis.set(f"{RUN}late*:resourceId:r:1", json.dumps(document))
    await redis.set(f"{RUN}later:resourceId:r:1", json.dumps({**document, "run_id": "later"}))
    assert await store.workflows.load_workflow_snapshot("orderWorkflow", run_id="late*") == document["snapshot"]
    await store.workflows.persist_workflow_snapshot("orderWorkflow", run_id="late*", snapshot={"status": "success"})
    assert [name.decode() for name in await redis.keys(f"{RUN}late[*]*")] == [f"{RUN}late*:resourceId:r:1"]
    listed = await store.workflows.list_workflow_runs(workflow_name="orderWorkflow", resource_id="r:1")
    assert {run.run_id for run in listed} == {"late*", "later"}


async def test_a_cleared_database_has_no_run_and_no_score(store, redis):
    """Clearing a domain takes what TypeScript wrote along, and leaves the other domains alone."""
    before = set(await redis.keys("mastra_threads:*"))
    await store.workflows.dangerously_clear_all()
    await store.scores.dangerously_clear_all()
    assert [*await redis.keys("mastra_workflow*"), *await redis.keys("mastra_scorers*"), *await redis.keys("mastra_index:*runs*")] == []
    assert set(await redis.keys("mastra_threads:*")) == before
    assert len([record async for _, record in store.records.scan(MESSAGES)]) == len(await redis.keys("mastra_messages:*"))
