"""What lies in Redis: texts and keys as `@mastra/redis` writes them, and what it wrote read back."""

from __future__ import annotations

import json
from datetime import datetime

import attrs
import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.crc import key_slot

from mastra_core import clock
from mastra_core.errors import ConflictError, StoredDataError, UnsupportedError
from mastra_core.storage.records.changes import Delete, Patch, Refused, Save
from mastra_core.storage.records.kind import Field, Kind, Path
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Between, Count, Cursor, Get, Is, Missing, Query
from mastra_core.testing.samples import a_message, a_resource, a_thread, at
from mastra_redis.keys import tags
from mastra_redis.store import RedisStore


@pytest.fixture
async def redis(redis_url):
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def store(redis_url):
    async with RedisStore(connection_string=redis_url) as store:
        yield store


def of_thread(**options):
    return Query(MESSAGES, "by_thread", at={"thread_id": "t"}, **options)


async def test_keys_and_values_are_those_of_the_typescript_package(redis, store):
    """The contract's table (§3.5), key by key: what we save is where `@mastra/redis` looks for it, in its encoding."""
    await store.records.apply(
        Save(THREADS, a_thread(metadata={})), Save(MESSAGES, a_message(created=1)), Save(RESOURCES, a_resource(metadata={"z": 1}))
    )
    ours = {name.decode() for name in await redis.keys("mastra_index:*")}
    assert {name.decode() for name in await redis.keys("*")} - ours == {
        "mastra_threads:id:t", "mastra_messages:threadId:t:id:m", "msg-idx:m", "thread:t:messages", "mastra_resources:r",
    }  # fmt: skip
    assert await redis.get("msg-idx:m") == b"t"
    assert await redis.zrange("thread:t:messages", 0, -1, withscores=True) == [(b"m", (at(1).timestamp() * 1000) * 1000)]
    assert json.loads(await redis.get("mastra_messages:threadId:t:id:m"))["_index"] == 0
    assert json.loads(await redis.get("mastra_resources:r"))["metadata"] == '{"z":1}'
    assert json.loads(await redis.get("mastra_threads:id:t"))["metadata"] == {}


async def test_a_touch_changes_the_time_and_no_other_byte(redis, store):
    """Raising updated_at leaves `[]`, long numbers, unknown names and a nested field of the same name as they were written."""
    text = (
        '{"id":"t","resourceId":"r","updatedAt":"2024-01-01T00:00:00.000Z","title":"","createdAt":"2024-01-01T00:00:00.000Z",'
        '"metadata":{"a":[],"b":{},"n":0.30000000000000004,"updatedAt":"never","big":12345678901234567890},"later":[]}'
    )
    await redis.set("mastra_threads:id:t", text)
    await store.records.apply(
        Save(THREADS, a_thread(), only=(), raise_to={"updated_at": at(0)}, when=(Is(("resource_id",), "r"),), answer=False)
    )
    assert (await redis.get("mastra_threads:id:t")).decode() == text.replace("2024-01-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z", 1)


async def test_a_touch_finds_the_time_of_the_thread_among_equal_ones_inside_it(redis, store):
    """Metadata that holds the very same name and value is not mistaken for the thread's own time."""
    time = '"updatedAt":"2024-01-01T00:00:00.000Z"'
    document = f'{{"id":"t","resourceId":"r","title":"","metadata":{{{time}}},"createdAt":"2024-01-01T00:00:00.000Z","updatedAt" : "2024-01-01T00:00:00.000Z"}}'
    for text in (document, document.replace('"updatedAt" : "2024', '"updatedAt":"2024')):
        await redis.set("mastra_threads:id:t", text)
        await store.records.apply(Patch(THREADS, ("t",), raise_to={"updated_at": at(0)}))
        stored = json.loads(await redis.get("mastra_threads:id:t"))
        assert stored["updatedAt"] == "2024-02-29T23:59:59.999Z"
        assert stored["metadata"] == {"updatedAt": "2024-01-01T00:00:00.000Z"}


async def test_names_that_only_typescript_knows_survive_an_update(redis, store):
    """A message keeps its `_index` and whatever else another program stored in it."""
    await redis.set("msg-idx:m", "t")
    await redis.set(
        "mastra_messages:threadId:t:id:m",
        '{"id":"m","threadId":"t","role":"user","createdAt":"2024-01-01T00:00:00.000Z","content":[],"_index":7,"x":[]}',
    )
    await redis.zadd("thread:t:messages", {"m": 1704067200000007})
    await store.records.apply(Patch(MESSAGES, ("m",), put={"role": "assistant"}))
    stored = json.loads(await redis.get("mastra_messages:threadId:t:id:m"))
    assert (stored["role"], stored["_index"], stored["x"]) == ("assistant", 7, [])
    assert await redis.zscore("thread:t:messages", "m") == 1704067200000007


async def test_messages_that_typescript_saved_in_one_millisecond_are_ordered_by_id(redis, store):
    """TypeScript orders them by their place in the batch; our order is total, so a page is cut after sorting whole milliseconds."""
    ids = ["d", "b", "f", "a", "e", "c"]
    created = [0, 0, 0, 1, 1, 1]
    for index, (name, offset) in enumerate(zip(ids, created, strict=True)):
        message = a_message(name, created=offset)
        await store.records.apply(Save(MESSAGES, message))
        await redis.zadd("thread:t:messages", {name: round(message.created_at.timestamp() * 1000) * 1000 + index})
    ordered = ["b", "d", "f", "a", "c", "e"]

    async def names(**options):
        (found,) = await store.records.fetch(of_thread(**options))
        return [message.id for message in found]

    for limit in range(1, 7):
        for offset in range(6):
            assert await names(limit=limit, offset=offset) == ordered[offset : offset + limit]
            assert await names(limit=limit, offset=offset, descending=True) == ordered[::-1][offset : offset + limit]
    for place, name in enumerate(ordered):
        cursor = Cursor(at(0 if place < 3 else 1), (name,))
        assert await names(after=cursor, limit=2) == ordered[place + 1 : place + 3]
        assert await names(after=cursor, limit=2, descending=True) == ordered[:place][::-1][:2]
    assert await store.records.fetch(Count(MESSAGES, "by_thread", at={"thread_id": "t"})) == (6,)


async def test_two_ids_that_make_one_key_are_refused(store):
    """TypeScript's keys do not say where the thread's id ends; a message is never written over another."""
    await store.records.apply(Save(MESSAGES, a_message("c", thread_id="a:id:b")))
    with pytest.raises(ConflictError, match="same Redis key"):
        await store.records.apply(Save(MESSAGES, a_message("b:id:c", thread_id="a")))
    assert await store.records.fetch(Get(MESSAGES, ("c",))) == (a_message("c", thread_id="a:id:b"),)


@pytest.mark.parametrize("name", ["mastra_threads:id:t", "thread:t:messages", "msg-idx:m", "mastra_messages:threadId:t:id:m"])
async def test_a_value_of_another_type_stops_the_whole_batch(redis, store, name):
    """A key of ours that somebody uses for a list is an error that names the mend, and nothing of the turn is half written."""
    await redis.rpush(name, "mine")
    with pytest.raises(StoredDataError, match="another type"):
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m"), a_message("n")])
    assert {key.decode() for key in await redis.keys("*")} - {"mastra_index:ready"} == {name}


async def test_a_cluster_batch_over_two_threads_is_refused_and_writes_nothing(redis_cluster_url):
    """All or nothing cannot be kept over two slots, so it is not promised: the error says what to do instead."""
    async with RedisStore(connection_string=redis_cluster_url.replace("redis", "redis+cluster", 1)) as store:
        with pytest.raises(UnsupportedError, match="one thread at a time"):
            await store.records.apply(Save(MESSAGES, a_message("m1", thread_id="a")), Save(MESSAGES, a_message("m2", thread_id="b")))
        assert await store.records.fetch(Get(MESSAGES, ("m1",)), Get(MESSAGES, ("m2",))) == (None, None)


async def test_a_claim_that_a_refused_save_left_behind_does_no_harm(redis_cluster_url):
    """On a cluster a message's id is claimed before it is written; without the message it is not found, and any thread may save it."""
    async with (
        RedisStore(connection_string=redis_cluster_url.replace("redis", "redis+cluster", 1)) as store,
        RedisCluster.from_url(redis_cluster_url) as client,
    ):
        with pytest.raises(Refused):
            await store.records.apply(Save(THREADS, a_thread("a"), absent="refuse"), Save(MESSAGES, a_message("m", thread_id="a")))
        assert await client.get("msg-idx:m") == b"a"
        assert await store.records.fetch(Get(MESSAGES, ("m",))) == (None,)
        await store.records.apply(Save(MESSAGES, a_message("m", thread_id="b")))
        assert await store.records.fetch(Get(MESSAGES, ("m",))) == (a_message("m", thread_id="b"),)


@pytest.fixture
async def nodes(redis_cluster_url):
    async with RedisCluster.from_url(redis_cluster_url) as client:
        yield client


@pytest.fixture
async def wide(redis_cluster_url):
    async with RedisStore(connection_string=redis_cluster_url.replace("redis", "redis+cluster", 1)) as store:
        yield store


async def names(nodes, pattern="*"):
    return {name.decode() for name in await nodes.keys(pattern, target_nodes=RedisCluster.PRIMARIES)}


async def whereabouts(store, name):
    """The thread of the message by its id, and the threads that list it."""
    (found,) = await store.records.fetch(Get(MESSAGES, (name,)))
    pages = [(i, (await store.records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": i})))[0]) for i in ("t", "u")]
    return found and found.thread_id, [i for i, page in pages if [message.id for message in page] == [name]]


@pytest.mark.parametrize("thread_id", ["t", "user-7/chat-9", "Straße", "7", "7b9f0c1e-1d2c-7a00-8000-000000000001"])
async def test_an_id_made_within_a_thread_is_found_in_the_slot_of_the_thread(nodes, wide, thread_id):
    """So a cluster's server that has the thread can say by itself whether such an id is taken; another server is not asked."""
    made = clock.new_id(within=thread_id)
    await wide.records.apply(Save(MESSAGES, a_message(made, thread_id=thread_id)))
    (alias,) = await names(nodes, "msg-idx*")
    assert await nodes.get(alias) == thread_id.encode()
    assert {nodes.keyslot(name) for name in await names(nodes)} == {nodes.keyslot(alias)}
    assert await wide.records.fetch(Get(MESSAGES, (made,))) == (a_message(made, thread_id=thread_id),)


@pytest.mark.parametrize("name", ["m", "{t}", "7B9F0C1E-1D2C-7A00-8000-000000000001", "7b9f0c1e-1d2c-7a00-8000-000000000001"])
@pytest.mark.parametrize("thread_id", ["t", "a{b}c%", "{}", "}{"])
async def test_an_id_that_was_made_elsewhere_is_saved_found_and_deleted_as_well(nodes, wide, name, thread_id):
    """Any text may name a message, in any thread; only the number of commands differs."""
    message = a_message(name, thread_id=thread_id)
    await wide.records.apply(Save(MESSAGES, message))
    await wide.records.apply(Patch(MESSAGES, (name,), put={"role": "assistant"}))
    assert await wide.records.fetch(Get(MESSAGES, (name,))) == (attrs.evolve(message, role="assistant"),)
    await wide.records.apply(Delete(MESSAGES, (name,)))
    assert await wide.records.fetch(Get(MESSAGES, (name,))) == (None,)
    assert await names(nodes) == set()


def test_every_slot_of_a_cluster_has_a_tag_and_it_is_short():
    """What an id tells is always a slot that a key can be put into, by the driver's own count."""
    assert [key_slot(f"msg-idx{{{tag}}}:x".encode()) for tag in tags()] == list(range(16384))
    assert max(tags()) < 10**6


async def test_an_id_made_within_a_thread_is_never_claimed_without_its_message(nodes, wide):
    """Claim and message are written in one step, so a refused save, or a process that dies, leaves nothing behind."""
    made = clock.new_id(within="t")
    with pytest.raises(Refused):
        await wide.records.apply(Save(THREADS, a_thread("t"), absent="refuse"), Save(MESSAGES, a_message(made)))
    assert await names(nodes) == set()


async def test_a_message_that_is_stored_under_another_thread_is_not_overwritten_by_the_thread_of_its_id(nodes, wide):
    """The id says where its entry lies, not whose the message is: the entry decides, and a save with a condition is refused with what is stored."""
    made = clock.new_id(within="t")
    stored = a_message(made, thread_id="u")
    await wide.records.apply(Save(MESSAGES, stored))
    for condition in ((Is(("thread_id",), "t"),), (Is(("role",), "nobody"),)):
        with pytest.raises(Refused) as caught:
            await wide.records.apply(Save(MESSAGES, a_message(made), when=condition))
        assert caught.value.found == stored
    assert await whereabouts(wide, made) == ("u", ["u"])


async def test_a_message_goes_out_of_the_thread_of_its_id_and_back(nodes, wide):
    """Moving, changing and deleting work from either side, and leave no key of the other."""
    made = clock.new_id(within="t")
    for step in range(2):
        for home in ("t", "u"):
            await wide.records.apply(Save(MESSAGES, a_message(made, thread_id=home, created=step)))
            assert await whereabouts(wide, made) == (home, [home])
            await wide.records.apply(Patch(MESSAGES, (made,), put={"role": f"in {home}"}))
            assert len(await names(nodes)) == 3
    for home in ("t", "u"):
        await wide.records.apply(Patch(MESSAGES, (made,), put={"thread_id": home}))
        assert await whereabouts(wide, made) == (home, [home])
    await wide.records.apply(Delete(MESSAGES, (made,)))
    assert await names(nodes) == set()
    await wide.records.apply(Save(MESSAGES, a_message(made)), Patch(MESSAGES, ("none",), put={}, missing="skip"))
    await wide.records.apply(Delete(MESSAGES, (made,)))
    assert await names(nodes) == set()


@pytest.mark.parametrize("decided", [False, True])
async def test_a_claim_from_another_thread_without_a_message_does_no_harm(nodes, wide, decided):
    """A thread takes over its own id from a thread that claimed it and never wrote the message."""
    made = clock.new_id(within="t")
    with pytest.raises(Refused):
        await wide.records.apply(Save(THREADS, a_thread("u"), absent="refuse"), Save(MESSAGES, a_message(made, thread_id="u")))
    (alias,) = await names(nodes)
    assert await nodes.get(alias) == b"u"
    save = Save(MESSAGES, a_message(made))
    await (wide.records.decide([Get(MESSAGES, (made,))], lambda found: [save]) if decided else wide.records.apply(save))
    assert await nodes.get(alias) == b"t"
    assert await whereabouts(wide, made) == ("t", ["t"])


@pytest.mark.parametrize("source", ["t", "u", "v"])
@pytest.mark.parametrize("target", ["t", "u"])
async def test_a_decided_move_ends_in_one_thread(wide, nodes, source, target):
    """Also when what is stored was read before: the entry by id, the lists and the message say the same thread."""
    made = clock.new_id(within="t")
    await wide.records.apply(Save(MESSAGES, a_message(made, thread_id=source)))
    await wide.records.decide([Get(MESSAGES, (made,))], lambda found: [Save(MESSAGES, attrs.evolve(found[0], thread_id=target))])
    assert await whereabouts(wide, made) == (target, [target])
    assert len(await names(nodes)) == 3


@pytest.mark.parametrize("name", ["m", "7b9f0c1e-1d2c-7a00-8000-000000000001"])
async def test_a_move_that_is_refused_leaves_the_message_where_it_is(wide, name):
    """A batch over two threads writes nothing on a cluster, and what it would have moved is still found by its id."""
    await wide.records.apply(Save(THREADS, a_thread("u")), Save(MESSAGES, a_message(name, thread_id="u")))
    with pytest.raises(UnsupportedError, match="one thread at a time"):
        await wide.records.decide(
            [Get(MESSAGES, (name,))],
            lambda found: [Save(MESSAGES, attrs.evolve(found[0], thread_id="t")), Patch(THREADS, ("u",), raise_to={"updated_at": at(1)})],
        )
    assert await whereabouts(wide, name) == ("u", ["u"])


@attrs.frozen(kw_only=True)
class Step:
    group: str
    name: str
    parent: str | None = None
    ended_at: datetime | None = None


STEPS = Kind(
    "acme_steps",
    Step,
    key=("group", "name"),
    fields=(Field("group", "group", "id"), Field("name", "name", "id"), Field("parent", "parent", optional=True), Field("ended_at", "endedAt", "time", optional=True)),
    paths=(Path("roots", by=(), order="ended_at", only=(Missing(("parent",)),)), Path("by_group", by=("group",), order="ended_at")),
)  # fmt: skip
"""A kind that the plugin's key table has never heard of: two-part key, a partial path, a time that may be null."""


@pytest.mark.parametrize("where", ["node", "cluster"])
async def test_a_kind_the_plugin_does_not_know_works_by_default(request, where):
    """A new record type of the core needs no new release of the plugin: it gets keys, lists, partial lists and an order with nulls."""
    url = request.getfixturevalue("redis_url" if where == "node" else "redis_cluster_url")
    url = url if where == "node" else url.replace("redis", "redis+cluster", 1)
    steps = [Step(group=group, name=name) for group in ("a", "a:b") for name in ("x", "b:x")]
    open_root, child, ended, last = steps[0], attrs.evolve(steps[1], parent="x"), attrs.evolve(steps[2], ended_at=at(5)), steps[3]
    roots = [ended, open_root, last]
    async with RedisStore(connection_string=url) as store:
        await store.records.apply(*(Save(STEPS, step) for step in (open_root, child, ended, last)), atomic=False)
        listed = await store.records.fetch(
            Query(STEPS, "roots", at={}),
            Query(STEPS, "roots", at={}, descending=True, limit=2),
            Query(STEPS, "roots", at={}, after=Cursor(None, ("a", "x"))),
            Query(STEPS, "roots", at={}, span=Between(("ended_at",), low=at(0))),
            Query(STEPS, "by_group", at={"group": "a"}, omit=("parent",)),
        )
        assert listed == (roots, roots[:0:-1], [last], [ended], [attrs.evolve(child, parent=None), open_root])
        await store.records.apply(Patch(STEPS, ("a", "x"), put={"parent": "y"}, raise_to={"ended_at": at(1)}))
        assert await store.records.fetch(Query(STEPS, "roots", at={})) == ([ended, last],)
        assert await store.records.fetch(Get(STEPS, ("a", "x"))) == (Step(group="a", name="x", parent="y", ended_at=at(1)),)
