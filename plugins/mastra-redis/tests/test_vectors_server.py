"""RedisVector and its server: what is stored, limits, commands, several processes; what the kit cannot ask of every backend."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from mastra_core.errors import ConfigurationError, IndexNotFoundError, InvalidInputError, StoredDataError, UnsupportedError
from mastra_core.storage import open_vector
from mastra_core.storage.vectors.filters import matches
from mastra_core.storage.vectors.port import IndexDescription
from mastra_core.testing.vectors.filter_cases import chance_filter, chance_metadata
from mastra_redis import RedisVector
from tests.servers.redis import RedisNode

FIELDS = ["a", "b.c", "tags"]


@pytest_asyncio.fixture
async def vectors(redis_url):
    """A store in a database of its own."""
    async with RedisVector(connection_string=redis_url) as store:
        yield store


@pytest_asyncio.fixture
async def raw(redis_url):
    """The same database, past the store."""
    async with Redis.from_url(redis_url) as client:
        yield client


async def names(raw):
    """All keys, without the generation that tells an index from another of its name."""
    found = sorted([name.decode() async for name in raw.scan_iter(count=1000)])
    return [":".join(part for part in name.split(":") if len(part) != 10 or not set(part) <= set("0123456789abcdef")) for name in found]


async def test_the_layout_is_that_of_the_readme(vectors, raw):
    """A hash a vector, sorted sets of ids, a mark for each plain value of an indexed field; other programs can rely on it."""
    await vectors.create_index("docs", dimension=2, metadata_indexes=["owner.name"])
    await vectors.upsert("docs", vectors=[[1, 0.1], [0, 0]], ids=["a", "z"], metadata=[{"owner": {"name": "Ada"}}, {}])
    held = {name.decode(): value.decode() for name, value in (await raw.hgetall("mastra_vectors:{docs}:index")).items()}
    generation = held.pop("generation")
    assert held == {"dimension": "2", "metric": "cosine", "fields": "owner.name", "ready": "owner.name"}
    root = f"mastra_vectors:{{docs}}:{generation}:"
    row = await raw.hgetall(f"{root}v:a")
    assert row == {b"vector": struct.pack("<2f", 1, 0.1), b"metadata": b'{"owner":{"name":"Ada"}}', b"marks": row[b"marks"]}
    assert await raw.hgetall(f"{root}v:z") == {b"aside": bytes(8), b"metadata": b"{}", b"marks": b""}
    mark = row[b"marks"].decode()
    assert await raw.zrange(f"{root}ids", 0, -1) == [b"a", b"z"]
    assert await raw.zrange(f"{root}aside", 0, -1) == [b"z"]
    assert await raw.zrange(f"{root}m:{mark}", 0, -1) == [b"a"]
    assert await raw.smembers("mastra_vectors:indexes") == {b"docs"}
    assert await raw.dbsize() == 7


async def test_changes_leave_nothing_behind(vectors, raw):
    """A vector that is changed, moved aside or removed leaves no mark of what it was; a removed index leaves no key at all."""
    await vectors.create_index("docs", dimension=1, metadata_indexes=["k"])
    before = await names(raw)
    await vectors.upsert("docs", vectors=[[1], [0]], ids=["a", "b"], metadata=[{"k": "x"}, {"k": ["y", "z"]}])
    await vectors.update_vector("docs", id="a", metadata={"k": "w"}, vector=[0])
    await vectors.update_vector("docs", id="b", vector=[2])
    await vectors.upsert("docs", vectors=[[3]], ids=["b"])
    row = "mastra_vectors:{docs}"
    assert [name for name in await names(raw) if ":m:" not in name and name not in before] == [
        f"{row}:{end}" for end in ("aside", "ids", "v:a", "v:b")
    ]
    assert len([name for name in await names(raw) if ":m:" in name]) == 1
    (aside,) = [name async for name in raw.scan_iter("*:aside")]
    assert await raw.zrange(aside, 0, -1) == [b"a"]
    assert [match.id for match in await vectors.query("docs", query_vector=[1], filter={"k": {"$in": ["x", "y", "z"]}})] == []
    assert await vectors.delete_vectors("docs", filter={"k": "w"}) == 1
    await vectors.delete_vector("docs", id="b")
    assert await names(raw) == before
    await vectors.upsert("docs", vectors=[[n] for n in range(1200)], metadata=[{"k": n % 7} for n in range(1200)])
    await vectors.delete_index("docs")
    assert await raw.dbsize() == 0


@pytest.mark.parametrize("seed", range(2))
async def test_marks_decide_nothing_that_the_filter_does_not_say(vectors, seed):
    """Whatever fields are indexed, each filter finds what `matches` says."""
    await chance_filters_agree(vectors, seed)


@pytest.mark.parametrize("seed", range(2))
async def test_marks_narrow_a_search_index_as_well(redis_search_url, seed):
    """The same along a search index."""
    async with RedisVector(connection_string=redis_search_url, search="native") as store:
        await chance_filters_agree(store, seed)


async def test_equal_numbers_have_one_mark(vectors):
    """1 is 1.0 and neither "1" nor true, in an indexed field as in any; whole numbers past 64 bits are told apart."""
    await vectors.create_index("docs", dimension=1, metadata_indexes=["k"])
    held = {"int": 1, "float": 1.0, "text": "1", "true": True, "huge": 2**70, "huger": 2**70 + 1}
    await vectors.upsert("docs", vectors=[[1]] * len(held), ids=list(held), metadata=[{"k": value} for value in held.values()])
    for asked, wanted in ((1, ["float", "int"]), (1.0, ["float", "int"]), ("1", ["text"]), (True, ["true"]), (2**70, ["huge"])):
        assert [match.id for match in await vectors.query("docs", query_vector=[1], filter={"k": asked})] == wanted


async def chance_filters_agree(store, seed):
    chance = random.Random(seed)
    documents = {f"{n:03}": chance_metadata(chance) for n in range(90)}
    near = {name: chance.randrange(20) for name in documents}
    await store.create_index("docs", dimension=1, metric="euclidean", metadata_indexes=FIELDS)
    await store.upsert("docs", vectors=[[n] for n in near.values()], metadata=list(documents.values()), ids=list(documents))
    for _ in range(60):
        asked, top_k = chance_filter(chance), chance.choice([1, 5, 90])
        expected = sorted((name for name in documents if matches(asked, documents[name])), key=lambda name: (near[name], name))
        found = [match.id for match in await store.query("docs", query_vector=[0], top_k=top_k, filter=asked)]
        assert found == expected[:top_k], asked


async def test_a_search_looks_at_no_more_than_it_may(redis_url):
    """Past the limit the error says the ways out; an indexed field is one of them, also when it is named afterwards."""
    async with RedisVector(connection_string=redis_url, exact_search_limit=50) as store:
        await store.create_index("docs", dimension=1, metric="euclidean")
        await store.upsert("docs", vectors=[[n] for n in range(1200)], metadata=[{"thread_id": f"t{n % 40}", "n": n} for n in range(1200)])
        for asked in (None, {"thread_id": "t1"}, {"n": {"$gt": 1190}}):
            with pytest.raises(UnsupportedError, match=r"more than 50\. Use one node of Redis 8.*metadata_indexes.*exact_search_limit"):
                await store.query("docs", query_vector=[0], filter=asked)
        await store.create_index("docs", dimension=1, metric="euclidean", metadata_indexes=["thread_id"])
        found = await store.query("docs", query_vector=[0], top_k=2, filter={"thread_id": "t1", "n": {"$gt": 50}})
        assert [match.metadata["n"] for match in found] == [81, 121]
        assert len(await store.query("docs", query_vector=[0], top_k=50, filter={"thread_id": "t1"})) == 30
        assert await store.update_vector("docs", filter={"n": {"$gte": 1190}}, metadata={"n": 0}) == 10


async def test_a_search_and_a_batch_are_one_command(redis_server, tmp_path):
    """What is known of an index is not asked for again: a search of up to 500 vectors is one script, and so is a batch of any size."""
    with RedisNode(tmp_path) as node:
        async with RedisVector(connection_string=node.url) as store, Redis.from_url(node.url) as client:
            await store.create_index("docs", dimension=1, metadata_indexes=["owner"])
            await store.upsert("docs", vectors=[[n] for n in range(1000)], metadata=[{"owner": f"u{n % 5}"} for n in range(1000)])

            async def sent(call):
                await client.config_resetstat()
                await call
                told = await client.info("commandstats")
                return {name: told[f"cmdstat_{name}"]["calls"] for name in ("evalsha", "eval", "hgetall") if f"cmdstat_{name}" in told}

            # The script of a search is sent once as a whole; from then on by its name.
            await store.query("docs", query_vector=[1], filter={"owner": "u1"})
            assert await sent(store.query("docs", query_vector=[1], filter={"owner": "u1"})) == {"evalsha": 1}
            assert await sent(store.upsert("docs", vectors=[[n] for n in range(2000)])) == {"evalsha": 1}
            assert await sent(store.query("docs", query_vector=[1], filter={"owner": "u1", "n": 1})) == {"evalsha": 1}


@pytest.mark.parametrize("part", ["v:b", "ids", "m:", "aside", "index"])
async def test_a_value_of_another_type_at_a_key_is_named_and_nothing_is_written(vectors, raw, part):
    """Another program's string at one of our keys: the error says so, and of a batch not even the first vector is there."""
    await vectors.create_index("docs", dimension=1, metadata_indexes=["k"])
    await vectors.upsert("docs", vectors=[[1]], ids=["b"], metadata=[{"k": "x"}])
    (row,) = [name async for name in raw.scan_iter("*:v:b")]
    root = row.removesuffix(b"v:b")
    key = b"mastra_vectors:{docs}:index" if part == "index" else root + part.encode()
    if part == "m:":
        key += await raw.hget(row, "marks")
    await raw.set(key, "something else")
    before = await raw.dbsize()
    for call in (
        lambda: vectors.upsert("docs", vectors=[[2], [3]], ids=["a", "b"], metadata=[{}, {"k": "x"}]),
        lambda: vectors.update_vector("docs", id="b", vector=[0], metadata={"k": "y"}),
    ):
        with pytest.raises(StoredDataError, match="value of another type at a key of ours"):
            await call()
    assert await raw.dbsize() == before
    assert not await raw.exists(root + b"v:a")


async def test_what_cannot_be_read_is_named(vectors, raw):
    """A vector of another length, metadata that is no object, an index that is none: StoredDataError with the record, never a short answer."""
    await vectors.create_index("docs", dimension=2)
    await vectors.upsert("docs", vectors=[[1, 0], [2, 1]], ids=["a", "b"])
    (row,) = [name async for name in raw.scan_iter("*:v:b")]
    for field, value, said in (
        ("vector", b"1234", r"docs b: field vector has 4 bytes"),
        ("vector", struct.pack("<2f", float("nan"), 1), "field vector holds what is no finite number"),
        ("metadata", b"[1]", "field metadata is no JSON object"),
        ("metadata", b"\xff", "field metadata"),
    ):
        held = await raw.hget(row, field)
        await raw.hset(row, field, value)
        with pytest.raises(StoredDataError, match=said):
            await vectors.query("docs", query_vector=[1, 0])
        await raw.hset(row, field, held)
    await raw.hset("mastra_vectors:{other}:index", mapping={"dimension": "many"})
    with pytest.raises(StoredDataError, match=r"should describe a vector index.*delete_index\('other'\)"):
        await vectors.describe_index("other")
    await vectors.delete_index("other")


async def test_another_process_may_make_an_index_anew(vectors, redis_url):
    """What is known of an index is never older than the call: none is saved into an index that is gone, and one of a new dimension is taken."""
    async with RedisVector(connection_string=redis_url) as other:
        await vectors.create_index("docs", dimension=2)
        await vectors.upsert("docs", vectors=[[1, 2]])
        await other.delete_index("docs")
        for call in (lambda: vectors.describe_index("docs"), lambda: vectors.upsert("docs", vectors=[[1, 2]])):
            with pytest.raises(IndexNotFoundError):
                await call()
        await other.create_index("docs", dimension=2)
        await vectors.describe_index("docs")
        await other.delete_index("docs")
        await other.create_index("docs", dimension=3)
        assert await vectors.upsert("docs", vectors=[[1, 2, 3]], ids=["a"]) == ["a"]
        with pytest.raises(InvalidInputError, match="expects 3 dimensions but got 2"):
            await vectors.upsert("docs", vectors=[[1, 2]])
        assert [match.id for match in await vectors.query("docs", query_vector=[1, 2, 3])] == ["a"]


async def test_a_field_indexed_while_others_write_finds_all(redis_url):
    """Vectors saved before, during and after a field is added are found by it, whichever process saved them."""
    late = RedisVector(connection_string=redis_url)
    async with (
        late,
        RedisVector(connection_string=redis_url) as one,
        RedisVector(connection_string=redis_url, exact_search_limit=400) as two,
    ):
        await one.create_index("docs", dimension=1)
        await late.create_index("docs", dimension=1)
        await one.upsert("docs", vectors=[[n] for n in range(1500)], metadata=[{"k": n % 5, "j": "a"} for n in range(1500)])

        async def save(number):
            await one.upsert("docs", vectors=[[number]], metadata=[{"k": number % 5, "j": "b"}])

        await asyncio.gather(
            two.create_index("docs", dimension=1, metadata_indexes=["k"]),
            one.create_index("docs", dimension=1, metadata_indexes=["j"]),
            *(save(n) for n in range(100)),
        )
        assert len(await two.query("docs", query_vector=[1], top_k=400, filter={"k": 3})) == 320
        assert len(await two.query("docs", query_vector=[1], top_k=400, filter={"j": "b"})) == 100
        # It has not heard of the fields.
        await late.upsert("docs", vectors=[[1]], metadata=[{"k": 3}])
        assert len(await two.query("docs", query_vector=[1], top_k=400, filter={"k": 3})) == 321


async def test_a_removal_that_was_cut_short_is_finished_by_the_next(vectors, raw):
    """A process dies after an index was removed and before its keys were: the next index of the name has none of them, and they go."""
    await vectors.create_index("docs", dimension=1)
    await vectors.upsert("docs", vectors=[[1]], ids=["old"])
    generation = await raw.hget("mastra_vectors:{docs}:index", "generation")
    await raw.sadd("mastra_vectors:{docs}:removed", generation)
    await raw.delete("mastra_vectors:{docs}:index")
    await vectors.create_index("docs", dimension=1)
    assert await vectors.describe_index("docs") == IndexDescription(dimension=1, count=0, metric="cosine")
    assert await raw.dbsize() == 2


async def test_eight_writers_and_a_reader_see_whole_batches(redis_url):
    """Eight stores save batches of ten over one another while a ninth searches: never a part of a batch, and nothing is lost."""
    await whole_batches(redis_url)


async def test_they_do_along_a_search_index(redis_search_url):
    """The writers and the reader on a server that searches: nothing is lost, nothing short."""
    await whole_batches(redis_search_url, native=True)


async def whole_batches(url, *, native=False):
    stores = [RedisVector(connection_string=url) for _ in range(9)]
    await stores[0].create_index("docs", dimension=2, metadata_indexes=["batch"])
    ids = [f"{n}" for n in range(10)]

    async def write(number):
        for round_ in range(20):
            stamp = f"{number}.{round_}"
            await stores[number].upsert("docs", vectors=[[1, number]] * 10, ids=ids, metadata=[{"stamp": stamp, "batch": "all"}] * 10)
            await stores[number].upsert("docs", vectors=[[1, round_]], ids=[f"own{stamp}"], metadata=[{"batch": number}])

    async def read():
        looks = 0
        while not done.is_set():
            found = await stores[8].query("docs", query_vector=[1, 0], filter={"batch": "all"})
            # The pages of a search along an index are not of one instant.
            assert native or len({match.metadata["stamp"] for match in found}) <= 1
            assert len(found) in {0, 10}
            looks += 1
        return looks

    done = asyncio.Event()
    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(number) for number in range(8)))
    done.set()
    assert await reader > 5
    assert (await stores[8].describe_index("docs")).count == 170
    for number in range(8):
        assert len(await stores[number].query("docs", query_vector=[1, 0], top_k=50, filter={"batch": number})) == 20
    await asyncio.gather(*(store.close() for store in stores))


async def test_changes_by_filter_lose_no_rival(redis_url):
    """What another changed between the look and the write is looked at again: a vector that no longer meets the filter is left alone."""
    stores = [RedisVector(connection_string=redis_url) for _ in range(8)]
    await stores[0].create_index("docs", dimension=1)
    await stores[0].upsert("docs", vectors=[[n] for n in range(40)], metadata=[{"state": "free"}] * 40)
    # All know the index, so that all look before one writes.
    await asyncio.gather(*(store.describe_index("docs") for store in stores))
    taken = await asyncio.gather(
        *(store.update_vector("docs", filter={"state": "free"}, metadata={"state": f"of {n}"}) for n, store in enumerate(stores))
    )
    assert sorted(taken) == [0] * 7 + [40]
    await asyncio.gather(*(store.close() for store in stores))


async def test_an_index_of_a_cluster_lies_in_one_slot(redis_cluster_url):
    """Its name stands in braces, so that one script reaches all of it; several indexes lie on several nodes."""
    url = redis_cluster_url.replace("redis://", "redis+cluster://")
    async with RedisVector(connection_string=url, key_prefix="app:") as store, RedisCluster.from_url(redis_cluster_url) as raw:
        for name in ("docs", "notes", "mails"):
            await store.create_index(name, dimension=1, metadata_indexes=["k"])
            await store.upsert(name, vectors=[[1]], ids=["a"], metadata=[{"k": "{x}"}])
        keys = [name async for name in raw.scan_iter(count=1000)]
        slots = {name: {raw.keyslot(key) for key in keys if b"{%s}" % name in key} for name in (b"docs", b"notes", b"mails")}
        assert {len(found) for found in slots.values()} == {1}
        assert len(set().union(*slots.values())) == 3
        assert await store.list_indexes() == ["docs", "mails", "notes"]
    with pytest.raises(UnsupportedError, match="search is not used on a cluster"):
        async with RedisVector(connection_string=url, search="native"):
            pass


async def test_native_search_needs_a_server_that_has_it(redis_url, redis_server):
    """Asked for and not there, the error says why: no search module, or another database than 0."""
    with pytest.raises(UnsupportedError, match="searches in database 0 alone, and this is database"):
        async with RedisVector(connection_string=redis_url, search="native"):
            pass
    with pytest.raises(UnsupportedError, match=r"this server does not search.*unknown command"):
        async with RedisVector(connection_string=redis_server.url, search="native"):
            pass


async def test_a_client_that_was_handed_in_stays_open(raw):
    """Two stores of different prefixes share it, and see nothing of each other."""
    async with RedisVector(client=raw, key_prefix="a:") as one, RedisVector(client=raw, key_prefix="b:") as other:
        await one.create_index("docs", dimension=1)
        assert await other.list_indexes() == []
        assert one.get_client() is raw
    assert await raw.ping()


@pytest.mark.parametrize(
    "options, said",
    [
        ({}, "exactly one way to connect"),
        ({"connection_string": "redis://h", "host": "h"}, "exactly one way to connect"),
        ({"connection_string": "redis://h", "port": 1}, "RedisVector: port go with host"),
        ({"connection_string": "postgresql://u:secret@h/d"}, "RedisVector: the URL begins with 'postgresql'"),
        ({"connection_string": "redis://h?nonsense=1"}, r"RedisVector: redis-py does not know.*\['nonsense'\]"),
        ({"host": "h", "keyPrefix": "x"}, "no option 'keyPrefix'.*key_prefix"),
        ({"host": "h", "key_prefix": "{x}"}, "RedisVector: key_prefix '{x}' has a brace"),
        ({"host": "h", "search": "natve"}, "Did you mean 'native'"),
        ({"host": "h", "exact_search_limit": 0}, "exact_search_limit is a whole number"),
        ({"host": "h", "wait_replicas": -1}, "RedisVector: wait_replicas is -1"),
        ({"host": "h", "wait_replicas": 1, "wait_seconds": 0}, "wait_seconds is 0"),
        ({"client": Redis(decode_responses=True)}, "the client decodes responses"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_options_that_cannot_be_are_refused(options, said):
    """Before anything is connected, without a secret."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        RedisVector(**options)
    assert "secret" not in str(caught.value)


async def test_a_url_opens_it(redis_url):
    """`Memory(vector="redis://…")` finds the plugin by itself."""
    store = open_vector(f"{redis_url}?key_prefix=app:")
    assert isinstance(store, RedisVector)
    await store.create_index("docs", dimension=1)
    assert [name async for name in store.get_client().scan_iter("app:mastra_vectors:*")] != []
    await store.close()


def test_code_without_an_event_loop_uses_it_too(redis_url):
    """`.sync` has the same methods."""
    with RedisVector(connection_string=redis_url).sync as store:
        store.create_index("docs", dimension=1)
        store.upsert("docs", vectors=[[1]], ids=["a"])
        assert [match.id for match in store.query("docs", query_vector=[1])] == ["a"]
