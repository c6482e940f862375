"""Records that end by themselves: they are gone from every list, no page is short for it, and nothing else goes with them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Count, Query
from mastra_core.storage.records.span_kinds import Span
from mastra_core.testing.samples import a_message, a_resource, a_thread, at
from mastra_redis.store import RedisStore

DAY = timedelta(days=1)
FOR_ALL = {"thread": DAY, "message": 2 * DAY, "resource": 3 * DAY, "workflow_snapshot": 4 * DAY, "score": 5 * DAY, "span": 6 * DAY}

A_SPAN = Span(trace_id="T", span_id="S", name="n", span_type="generic", started_at=at(0), created_at=at(0))


@pytest.fixture
async def redis(redis_url):
    async with Redis.from_url(redis_url) as client:
        yield client


async def until(gone, client):
    """Wait until the server has let these keys go: it says so itself."""
    async with asyncio.timeout(60):
        while await client.exists(*gone):
            await asyncio.sleep(0.005)


async def days(client):
    """The whole days, rounded up, that each key has; None for ever."""
    found = {name.decode(): await client.pttl(name) for name in await client.keys("*")}
    return {name: None if left == -1 else -(-left // 86_400_000) for name, left in found.items()}


async def test_each_kind_of_record_has_its_own_end_index_entries_included(redis, redis_url):
    """Issue: "TTL per entity type as an option, index entries included"; a database that nobody uses any more becomes empty."""
    async with RedisStore(connection_string=redis_url, ttl=FOR_ALL) as store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m", resource_id="r")])
        await store.memory.save_resource(a_resource())
        await store.workflows.persist_workflow_snapshot("w", run_id="run", snapshot={"status": "done"}, resource_id="r")
    left = await days(redis)
    assert left.pop("mastra_index:ready") is None
    wanted = {
        "mastra_threads": 1,
        "mastra_messages": 2,
        "thread:t:messages": 2,
        "msg-idx": 2,
        "mastra_resources": 3,
        "mastra_workflow_snapshot": 4,
    }
    assert {name: next(day for head, day in wanted.items() if name.removeprefix("mastra_index:").startswith(head)) for name in left} == left
    assert len(left) == 16


@pytest.mark.parametrize("name", ["span", "trace"])
async def test_spans_have_an_end_by_either_of_their_names(redis, redis_url, name):
    """`trace` is what TypeScript's option calls them; `eval`, which is never written, may be said too."""
    async with RedisStore(connection_string=redis_url, ttl={name: 6 * DAY, "eval": DAY}) as store:
        await store.observability.create_span(A_SPAN)
        await store.memory.save_thread(a_thread())
    left = await days(redis)
    assert {day for key, day in left.items() if "mastra_ai_spans" in key} == {6}
    assert {day for key, day in left.items() if "mastra_ai_spans" not in key} == {None}


def test_two_times_of_spans_by_their_two_names_are_refused():
    """Before anything is connected to; the same time twice is one time."""
    with pytest.raises(ConfigurationError, match=r"'span' and 'trace' are two names of the same records, found 1 and 2; give one of them"):
        RedisStore(host="localhost", ttl={"span": 1, "trace": 2})
    RedisStore(host="localhost", ttl={"span": 86_400, "trace": DAY})


async def test_a_thread_that_is_used_lives_on_with_its_entries(redis, redis_url):
    """Every write begins the time anew: of the record, of its alias and of each set that names it."""
    async with RedisStore(connection_string=redis_url, ttl=FOR_ALL) as store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m", resource_id="r")])

        async def nearly_over():
            for name in await redis.keys("*"):
                await redis.pexpire(name, 100_000)

        async def renewed():
            return {name for name, day in (await days(redis)).items() if day and name.count("thread") and await redis.pttl(name) > 100_000}

        of_thread = {"mastra_threads:id:t"} | {
            f"mastra_index:mastra_threads:{path}" for path in ("all", "all_updated", "by_resource:r", "by_resource_updated:r")
        }
        for write in (
            lambda: store.memory.save_turn(thread=a_thread(), messages=[a_message("m2")], existed=True),
            lambda: store.memory.update_thread("t", title="new", metadata={}),
            lambda: store.records.apply(Patch(THREADS, ("t",), raise_to={"updated_at": at(0)})),
        ):
            await nearly_over()
            await write()
            assert of_thread <= await renewed()
        await nearly_over()
        await store.memory.update_messages([{"id": "m", "content": {"metadata": {"a": 1}}}])
        assert min(await redis.pttl("msg-idx:m"), await redis.pttl("thread:t:messages")) > 100_000


async def test_a_page_is_full_and_a_total_right_when_records_in_between_are_gone(redis, redis_url):
    """Brief: "expired index entries are not returned, and do not make pages short"; the dead entries are removed on the way."""
    ttl = {"thread": DAY, "message": DAY}
    async with RedisStore(connection_string=redis_url, ttl=ttl) as store:
        await store.records.apply(*(Save(THREADS, a_thread(f"t{n:03}", created=n)) for n in range(100)), atomic=False)
        await store.records.apply(
            *(Save(MESSAGES, a_message(f"m{n:03}", thread_id="t000", resource_id="r", created=n)) for n in range(100)), atomic=False
        )
        gone = [n for n in range(100) if n % 3]
        for n in gone:
            await redis.pexpire(f"mastra_threads:id:t{n:03}", 1)
            await redis.pexpire(f"mastra_messages:threadId:t000:id:m{n:03}", 1)
            await redis.pexpire(f"msg-idx:m{n:03}", 1)
        await until([f"mastra_threads:id:t{n:03}" for n in gone], redis)
        left = [f"{n:03}" for n in range(100) if n % 3 == 0]
        for kind, path, at in ((THREADS, "by_resource", {"resource_id": "r"}), (THREADS, "all", {}), (MESSAGES, "by_thread", {"thread_id": "t000"}),
                               (MESSAGES, "by_resource", {"resource_id": "r"})):  # fmt: skip
            (total,) = await store.records.fetch(Count(kind, path, at=at))
            assert total == len(left)
            for page in range(4):
                (found,) = await store.records.fetch(Query(kind, path, at=at, offset=page * 10, limit=10, descending=True))
                assert [record.id[1:] for record in found] == left[::-1][page * 10 : page * 10 + 10]
        page = await store.memory.list_threads(per_page=10, include_total=True)
        assert (page.total, page.has_more, len(page)) == (34, True, 10)
        assert await redis.zcard("thread:t000:messages") == 34


async def test_sets_do_not_grow_without_end_where_nobody_reads(redis, redis_url):
    """Writes look at some entries at random: most of what is dead goes, though the set itself lives on."""
    async with RedisStore(connection_string=redis_url, ttl={"thread": timedelta(milliseconds=40)}) as store:
        for n in range(400):
            await store.memory.save_thread(a_thread(f"t{n:03}", created=n))
        await redis.persist("mastra_index:mastra_threads:all")
        await until([f"mastra_threads:id:t{n:03}" for n in range(400)], redis)
        for n in range(400, 800):
            await store.memory.save_thread(a_thread(f"t{n:03}", created=n))
        await until([f"mastra_threads:id:t{n:03}" for n in range(400, 800)], redis)
        assert await redis.zcard("mastra_index:mastra_threads:all") < 400


@pytest.mark.parametrize("first", [None, {"thread": DAY, "message": DAY, "workflow_snapshot": DAY}])
async def test_nothing_that_is_to_stay_goes_when_the_option_comes_or_goes(redis, redis_url, first):
    """A set names records with an end and without: it stays as long as one of them, whoever wrote last."""
    second = {"thread": DAY, "message": DAY, "workflow_snapshot": DAY} if first is None else None
    for number, ttl in enumerate((first, second)):
        async with RedisStore(connection_string=redis_url, ttl=ttl) as store:
            await store.memory.save_turn(thread=a_thread(f"t{number}"), messages=[a_message(f"m{number}", thread_id=f"t{number}")])
            await store.memory.save_turn(thread=a_thread("both"), messages=[a_message(f"b{number}", thread_id="both", created=number)])
            await store.workflows.persist_workflow_snapshot("w", run_id=f"run{number}", snapshot={"status": "done"}, resource_id="r")
    left = await days(redis)
    stays = "t1" if first else "t0"
    assert left[f"mastra_threads:id:{stays}"] is None
    shared = [name for name in left if name.startswith("mastra_index:") and not any(part in name for part in (":of:", ":by_run:"))]
    assert {name: left[name] for name in shared} == dict.fromkeys(shared), "a set outlives what has an end in it"
    assert left["thread:both:messages"] is None
    if first:
        async with RedisStore(connection_string=redis_url) as store:
            await redis.delete("mastra_messages:threadId:both:id:b0", "msg-idx:b0")
            assert [message.id for message in await store.memory.list_messages("both")] == ["b1"]
            await store.memory.update_messages([{"id": "m0", "content": {"metadata": {}}}])
        assert await redis.pttl("msg-idx:m0") == -1
        assert await redis.pttl("thread:t0:messages") == -1


async def test_a_set_that_typescript_writes_to_never_ends(redis, redis_url):
    """What TypeScript saves has no end, and stays in the thread's list beside messages of ours that have one."""
    async with RedisStore(connection_string=redis_url, ttl={"message": DAY}, typescript_writes=True) as store:
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m")])
    assert await redis.pttl("thread:t:messages") == -1
    assert await redis.pttl("mastra_messages:threadId:t:id:m") > 0


async def test_on_a_cluster_ended_records_leave_no_gap_either(redis_cluster_url):
    """Entries in other slots stay behind and are passed over; those beside their records end with them."""
    url = redis_cluster_url.replace("redis://", "redis+cluster://")
    async with RedisStore(connection_string=url, ttl={"thread": DAY, "message": DAY}) as store:
        client = store.get_client()
        for n in range(12):
            messages = [a_message(f"m{n}", thread_id=f"t{n:02}"), a_message(f"x{n}", thread_id=f"t{n:02}", created=1)]
            await store.memory.save_turn(thread=a_thread(f"t{n:02}", created=n), messages=messages)
            for name in (f"mastra_threads:id:{{t{n:02}}}", f"msg-idx:m{n}", f"thread:{{t{n:02}}}:messages"):
                assert await client.pttl(name) > 0
            await client.delete(f"mastra_messages:threadId:{{t{n:02}}}:id:m{n}")
            if n % 3:
                await client.delete(f"mastra_threads:id:{{t{n:02}}}")
        page = await store.memory.list_threads(filter={"resource_id": "r"}, per_page=3, include_total=True)
        assert ([thread.id for thread in page], page.total) == (["t09", "t06", "t03"], 4)
        assert [message.id for message in await store.memory.list_messages("t09", per_page=1)] == ["x9"]
        await client.pexpire("msg-idx:x9", 1000)
        await store.memory.update_messages([{"id": "x9", "content": {"metadata": {}}}])
        assert await client.pttl("msg-idx:x9") > 1000
