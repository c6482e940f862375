"""Where runs, scores and spans lie in Redis, what a look through the whole database finds, and moves between threads on a cluster."""

from __future__ import annotations

import asyncio
import json

import attrs
import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from mastra_core import clock
from mastra_core.errors import UnsupportedError
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Count, Get, Is, Query
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES, Score
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.testing.samples import a_message, a_thread, at
from mastra_core.testing.workflows.under_test import a_run
from mastra_redis import scanning
from mastra_redis.keys import Keyspace
from mastra_redis.store import RedisStore

RUN = "mastra_workflow_snapshot:namespace:workflows:workflow_name:w:run_id:r"
SCORE = Score(
    id="s", scorer_id="j", run_id="r", scorer={"id": "j"}, score=0.5, source="LIVE", entity_id="e", created_at=at(0), updated_at=at(0)
)
SPAN = Span(trace_id="T", span_id="S", name="n", span_type="generic", started_at=at(0), created_at=at(0))


@pytest.fixture
async def redis(redis_url):
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def store(redis_url):
    async with RedisStore(connection_string=redis_url) as store:
        yield store


@pytest.fixture
async def nodes(redis_cluster_url):
    async with RedisCluster.from_url(redis_cluster_url) as client:
        yield client


@pytest.fixture
async def wide(redis_cluster_url):
    async with RedisStore(connection_string=redis_cluster_url.replace("redis", "redis+cluster", 1)) as store:
        yield store


async def keys(client, **options):
    return {name.decode() for name in await client.keys("*", **options) if not name.startswith(b"mastra_index:")}


async def test_keys_and_values_are_those_of_the_typescript_package(redis, store):
    """The contract's table (§3.5), key by key: runs with and without a resource, and scores. Spans lie in keys of ours."""
    other = a_run(resource_id="ada", workflow_name="v")
    await store.records.apply(*(Save(kind, one) for kind, one in ((RUNS, a_run()), (RUNS, other), (SCORES, SCORE), (SPANS, SPAN))))
    suffixed = RUN.replace(":w:", ":v:") + ":resourceId:ada"
    assert await keys(redis) == {RUN, suffixed, "mastra_scorers:id:s", "mastra_ai_spans:traceId:T:spanId:S"}
    stored = json.loads(await redis.get(suffixed))
    assert {name: stored[name] for name in ("namespace", "workflow_name", "run_id", "resourceId")} == {
        "namespace": "workflows", "workflow_name": "v", "run_id": "r", "resourceId": "ada",
    }  # fmt: skip
    assert stored["snapshot"] == other.snapshot
    assert "resourceId" not in json.loads(await redis.get(RUN))
    assert json.loads(await redis.get("mastra_scorers:id:s"))["scorer"] == {"id": "j"}


async def test_a_run_that_changes_hands_changes_its_key(redis, store):
    """There is one key of a run at any time, and no list has it twice."""
    for owner in (None, "ada", "bob", "ada"):
        await store.records.apply(Save(RUNS, a_run(resource_id=owner)))
        assert await keys(redis) == {RUN if owner is None else f"{RUN}:resourceId:{owner}"}
        assert await store.records.fetch(Get(RUNS, ("w", "r"))) == (a_run(resource_id=owner),)
        for path, place in (("by_name", {"workflow_name": "w"}), ("by_run", {"run_id": "r"}), ("all", {})):
            assert await store.records.fetch(Query(RUNS, path, at=place)) == ([a_run(resource_id=owner)],)
        for name in ("ada", "bob"):
            assert await store.records.fetch(Count(RUNS, "by_resource", at={"resource_id": name})) == (int(name == owner),)


async def test_a_run_that_typescript_keeps_twice_is_its_plain_one(redis, redis_url):
    """Of two keys of one run TypeScript loads the plain one; so do we, and no list has both."""
    async with RedisStore(connection_string=redis_url) as store:
        await store.records.apply(Save(RUNS, a_run(resource_id="ada", snapshot={"n": 1})))
    text = await redis.get(f"{RUN}:resourceId:ada")
    await redis.flushdb()
    await redis.mset({f"{RUN}:resourceId:ada": text, RUN: text.replace(b'"n":1', b'"n":2').replace(b'"resourceId":"ada",', b"")})
    async with RedisStore(connection_string=redis_url) as store:
        assert await store.workflows.load_workflow_snapshot("w", run_id="r") == {"n": 2}
        assert [run.snapshot for run in await store.workflows.list_workflow_runs()] == [{"n": 2}]
        assert [run.snapshot async for _, run in store.records.scan(RUNS)] == [{"n": 2}]


async def test_a_database_that_was_left_half_way_is_completed(redis, redis_url, monkeypatch):
    """Whoever opens it next finishes what a process that died began; and of many that open it at once all succeed."""
    threads = [a_thread(f"t{number:02}", created=number) for number in range(9)]
    async with RedisStore(connection_string=redis_url) as store:
        await store.records.apply(*(Save(THREADS, thread) for thread in threads))
    await redis.delete(Keyspace(cluster=False).ready, *await redis.keys("mastra_index:*"))
    monkeypatch.setattr(scanning, "READ", 2)
    stores = [RedisStore(connection_string=redis_url) for _ in range(4)]
    await asyncio.gather(*(store.init() for store in stores))
    assert await redis.exists(Keyspace(cluster=False).ready)
    for store in stores:
        assert await store.records.fetch(Query(THREADS, "by_resource", at={"resource_id": "r"})) == (threads,)
        await store.close()


@pytest.mark.parametrize("where", ["node", "cluster"])
async def test_a_look_through_the_database_gives_each_record_once_in_the_order_of_names(request, monkeypatch, where):
    """However many names there are, only some are held at once; and it goes on behind any record though others came and went."""
    monkeypatch.setattr(scanning, "HELD", 7)
    monkeypatch.setattr(scanning, "READ", 3)
    url = request.getfixturevalue("redis_url" if where == "node" else "redis_cluster_url")
    async with RedisStore(connection_string=url if where == "node" else url.replace("redis", "redis+cluster", 1)) as store:
        names = [f"{number:03}" for number in range(50)]
        await store.records.apply(*(Save(THREADS, a_thread(name)) for name in names), Save(SCORES, SCORE), atomic=False)
        found = [(cursor, thread.id) async for cursor, thread in store.records.scan(THREADS)]
        assert [name for _, name in found] == names
        await store.records.apply(Save(THREADS, a_thread("000a")), Save(THREADS, a_thread("z")), atomic=False)
        rest = [thread.id async for _, thread in store.records.scan(THREADS, after=found[20][0])]
        assert rest == [*names[21:], "z"]
        assert [score async for _, score in store.records.scan(SCORES)] == [SCORE]


async def test_runs_and_spans_of_a_cluster_lie_with_their_workflow_and_trace(nodes, wide):
    """A workflow's runs and a trace's spans are in one slot, with their lists, so these are read by one command and are always right."""
    spans = [attrs.evolve(SPAN, span_id=name, parent_span_id="S") for name in "abc"]
    runs = [a_run(name, resource_id="ada", created=number) for number, name in enumerate("xyz")]
    await wide.records.apply(*(Save(SPANS, span) for span in spans), *(Save(RUNS, run) for run in runs), atomic=False)
    await wide.records.apply(*(Patch(SPANS, ("T", name), put={"name": "changed"}) for name in "abc"))
    for tag, head in (("T", "mastra_ai_spans:"), ("w", "mastra_workflow_snapshot:")):
        records = await nodes.keys(f"{head}*", target_nodes=RedisCluster.PRIMARIES)
        assert [nodes.keyslot(name) for name in records] == 3 * [nodes.keyslot(f"{{{tag}}}")]
    assert await wide.records.fetch(Query(RUNS, "by_name", at={"workflow_name": "w"}, limit=2)) == (runs[:2],)
    assert await wide.records.fetch(Query(SPANS, "by_trace", at={"trace_id": "T"})) == ([attrs.evolve(s, name="changed") for s in spans],)


@pytest.mark.parametrize(
    "made", ["m", clock.new_id(within="t"), clock.new_id(within="u")], ids=["a foreign id", "an id of its thread", "an id of the other"]
)
async def test_a_message_saved_under_another_thread_moves_on_a_cluster_and_both_threads_say_so(wide, made):
    """In two steps, but in the end it is in one thread only; one that was deleted is passed over."""
    await wide.records.apply(Save(THREADS, a_thread("t")), Save(MESSAGES, a_message(made)))
    await wide.memory.save_thread(a_thread("u"))
    start = clock.now()
    (moved,) = await wide.memory.save_messages([a_message(made, thread_id="u", created=9)])
    assert moved == a_message(made, thread_id="u")
    assert await wide.records.fetch(Get(MESSAGES, (made,))) == (moved,)
    assert [list(await wide.memory.list_messages(name)) for name in ("t", "u")] == [[], [moved]]
    for name in ("t", "u"):
        thread = await wide.memory.get_thread_by_id(name)
        assert thread.updated_at >= start
    await wide.memory.delete_thread("u")
    await wide.records.apply(Save(MESSAGES, moved))
    assert await wide.memory.save_messages([a_message(made)]) == (a_message(made),)
    assert await wide.memory.get_thread_by_id("u") is None


async def test_messages_of_two_threads_move_into_a_third_on_a_cluster(wide):
    """A turn that takes over messages of others is one call, whatever threads they come from."""
    for name in ("a", "b", "c"):
        await wide.memory.save_thread(a_thread(name))
    for name in ("a", "b"):
        await wide.memory.save_messages([a_message(f"m{name}", thread_id=name)])
    moved = [a_message(f"m{name}", thread_id="c") for name in ("a", "b")]
    assert await wide.memory.save_messages(moved) == tuple(moved)
    assert [len(await wide.memory.list_messages(name)) for name in ("a", "b", "c")] == [0, 0, 2]


async def test_what_a_move_leaves_is_changed_with_it_only_if_nothing_can_refuse_it(wide):
    """A condition on the thread that a message leaves could be refused after the message has gone, so such a batch is not begun."""
    await wide.records.apply(Save(THREADS, a_thread("u")), Save(MESSAGES, a_message("m", thread_id="u")))
    for left in (
        Patch(THREADS, ("u",), raise_to={"updated_at": at(1)}, missing="skip", when=(Is(("resource_id",), "r"),), answer=False),
        Patch(THREADS, ("u",), put={"title": "x"}, missing="skip", answer=False),
        Save(MESSAGES, a_message("n", thread_id="u")),
    ):
        with pytest.raises(UnsupportedError, match="one thread at a time"):
            await wide.records.decide(
                [Get(MESSAGES, ("m",))], lambda found, left=left: [Save(MESSAGES, attrs.evolve(found[0], thread_id="t")), left]
            )
    assert await wide.records.fetch(Get(MESSAGES, ("m",)), Get(MESSAGES, ("n",))) == (a_message("m", thread_id="u"), None)


async def test_messages_of_a_resource_are_found_on_a_cluster_by_reading_all(wide):
    """A list that has no index there is slow, and right: in its order, with its filters, pages and counts."""
    messages = [
        a_message(f"m{number:02}", thread_id=f"t{number % 4}", resource_id="ab"[number % 2], created=number) for number in range(20)
    ]
    await wide.records.apply(*(Save(MESSAGES, message) for message in messages), atomic=False)
    mine = Query(MESSAGES, "by_resource", at={"resource_id": "a"})
    ours = messages[::2]
    page = attrs.evolve(mine, offset=2, limit=3, descending=True, where=(Is(("thread_id",), "t0"),))
    found = await wide.records.fetch(mine, page, Count(MESSAGES, "by_resource", at={"resource_id": "b"}))
    assert found == (ours, [message for message in ours[::-1] if message.thread_id == "t0"][2:5], 10)
