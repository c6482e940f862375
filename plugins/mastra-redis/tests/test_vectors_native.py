"""RedisVector on a server that searches: what its search indexes are made of, asked, and done without."""

from __future__ import annotations

import asyncio
import random

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from mastra_core.errors import StorageUnavailableError, UnsupportedError
from mastra_redis import RedisVector
from tests.servers.redis import RedisNode
from tests.servers.redis_search import module


@pytest_asyncio.fixture
async def vectors(redis_search_url):
    """A store on a server of its own, which may look at next to nothing one by one."""
    async with RedisVector(connection_string=redis_search_url, search="native", exact_search_limit=100) as store:
        yield store


@pytest_asyncio.fixture
async def raw(redis_search_url):
    """The same server, past the store."""
    async with Redis.from_url(redis_search_url) as client:
        yield client


def some(chance, count, dimension):
    return [[chance.gauss(0, 1) for _ in range(dimension)] for _ in range(count)]


async def once_built(query, *args, **asked):
    """What a query answers as soon as it does."""
    while True:
        try:
            return await query(*args, **asked)
        except StorageUnavailableError as error:
            if "still being built" not in str(error):
                raise


async def sent(raw, call):
    """The answer of *call* and how often each command of search was sent, a search script among them."""
    await raw.config_resetstat()
    answer = await call
    told = await raw.info("commandstats")
    counted = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in told.items()}
    # The module counts a command under its own name and, where it hands it on, under that of its inner one.
    return answer, {name: counted[name] for name in ("FT.SEARCH", "FT.INFO", "evalsha", "eval", "hgetall") if name in counted}


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dotproduct"])
async def test_the_nearest_are_found_along_the_index(vectors, metric):
    """Among 3,000, past what may be looked at: of the ten nearest at most one in a hundred is missed, and scores are exact."""
    chance = random.Random(3)
    rows = some(chance, 3000, 16)
    await vectors.create_index("docs", dimension=16, metric=metric)
    await vectors.upsert("docs", vectors=rows, ids=[str(n) for n in range(3000)])
    async with RedisVector(client=vectors.get_client(), search="exact") as exact:
        hit = 0
        for asked in some(chance, 20, 16):
            wanted = await exact.query("docs", query_vector=asked)
            found = await vectors.query("docs", query_vector=asked)
            assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)
            scores = {match.id: match.score for match in wanted}
            hit += sum(match.id in scores for match in found)
            assert all(scores[match.id] == match.score for match in found if match.id in scores)
    assert hit >= 198


async def test_a_search_is_one_time_to_the_server_and_back(vectors, raw):
    """The search, its index's state and the vectors that it cannot hold are asked for together; nothing else is."""
    await vectors.create_index("docs", dimension=2, metadata_indexes=["owner"])
    await vectors.upsert("docs", vectors=[[1, n] for n in range(400)], metadata=[{"owner": f"u{n % 2}"} for n in range(400)])
    await vectors.query("docs", query_vector=[1, 0])
    found, commands = await sent(raw, vectors.query("docs", query_vector=[1, 0], top_k=3, filter={"owner": "u1"}))
    assert [match.metadata for match in found] == [{"owner": "u1"}] * 3
    # What lies aside is asked for before and after: in between, a vector may go from one place to the other.
    assert commands == {"FT.SEARCH": 1, "FT.INFO": 1, "evalsha": 2}


async def test_a_rare_one_of_an_indexed_field_is_found_among_many(vectors, raw):
    """The far end of 2,000 vectors, which no search of the nearest would reach."""
    await vectors.create_index("docs", dimension=1, metric="euclidean", metadata_indexes=["kind"])
    rows = [{"kind": "rare" if n > 1990 else "common", "n": n} for n in range(2000)]
    await vectors.upsert("docs", vectors=[[n] for n in range(2000)], metadata=rows)
    for asked in ({"kind": "rare"}, {"kind": {"$in": ["never", "rare"]}}, {"kind": "rare", "n": {"$lt": 1995}}):
        found = await vectors.query("docs", query_vector=[0], top_k=2, filter=asked)
        assert [match.metadata["n"] for match in found] == [1991, 1992]
    _, commands = await sent(raw, vectors.query("docs", query_vector=[0], top_k=2, filter={"kind": "rare"}))
    assert commands == {"FT.SEARCH": 1, "FT.INFO": 1, "evalsha": 2}


async def test_a_filter_that_nothing_can_decide_quickly_is_refused(vectors):
    """Looked for among the nearest 10,000; past that the ways out are said, and no answer is short."""
    await vectors.create_index("docs", dimension=1, metric="euclidean")
    rows = [{"text": "rare" if n == 9000 or n > 10_990 else "common"} for n in range(11_000)]
    await vectors.upsert("docs", vectors=[[n] for n in range(11_000)], ids=[f"{n:05}" for n in range(11_000)], metadata=rows)
    found = await vectors.query("docs", query_vector=[0], top_k=1, filter={"text": "rare"})
    assert [match.id for match in found] == ["09000"]
    with pytest.raises(UnsupportedError, match=r"leaves more than 100 vectors to look at: name its fields in create_index\(metadata_ind"):
        await vectors.query("docs", query_vector=[0], top_k=2, filter={"text": "rare"})


async def test_vectors_without_a_direction_are_found_in_their_place(vectors):
    """Zeros have the cosine 0: after what is near, before what is opposite; a search index would break on them."""
    await vectors.create_index("docs", dimension=2)
    ids = ["near", "zero", "tiny", "far"]
    await vectors.upsert("docs", vectors=[[1, 0], [0, 0], [1e-30, 0], [-1, 0]], ids=ids)
    await vectors.upsert("docs", vectors=[[-1, 0.001 * n] for n in range(300)])
    assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], top_k=3)] == ["near", "tiny", "zero"]
    await vectors.update_vector("docs", id="zero", vector=[1, 0.1])
    assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], top_k=3)] == ["near", "tiny", "zero"]
    await vectors.delete_vectors("docs", ids=["tiny", "near"])
    assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], top_k=1)] == ["zero"]


async def test_an_index_made_without_search_is_noticed_and_mended(vectors, redis_search_url):
    """Made by looking, such as before a move to Redis 8: never an empty answer; create_index makes what is missing, of what is there."""
    async with RedisVector(connection_string=redis_search_url, search="exact") as plain:
        await plain.create_index("docs", dimension=1, metric="euclidean", metadata_indexes=["k"])
        await plain.upsert("docs", vectors=[[n] for n in range(500)], metadata=[{"k": n % 10} for n in range(500)])
        assert len(await plain.query("docs", query_vector=[1], top_k=500)) == 500
    assert len(await vectors.query("docs", query_vector=[1], filter={"k": 3})) == 10
    with pytest.raises(
        StorageUnavailableError, match=r"no search index of 'docs'.*create_index\('docs', dimension=1, metric='euclidean'\)"
    ):
        await vectors.query("docs", query_vector=[1])
    await vectors.create_index("docs", dimension=1, metric="euclidean")
    found = await once_built(vectors.query, "docs", query_vector=[0], top_k=2)
    assert [match.metadata["k"] for match in found] == [0, 1]


async def test_a_removed_index_takes_its_search_index_along(vectors, raw, redis_search_url):
    """Whoever removes it, nothing is left on the server."""
    for how in ("native", "exact"):
        await vectors.create_index("docs", dimension=1)
        assert len(await raw.execute_command("FT._LIST")) == 1
        async with RedisVector(connection_string=redis_search_url, search=how) as other:
            await other.delete_index("docs")
        assert list(await raw.execute_command("FT._LIST")) == []
        assert await raw.dbsize() == 0


async def test_a_server_that_starts_again_gives_no_short_answer(redis_search_server, tmp_path):
    """Its search indexes are built anew from what it saved: until then searches are refused or exact."""
    options = ("--loadmodule", str(module()), "--enable-debug-command", "local")
    with RedisNode(tmp_path, options=options) as node:
        async with RedisVector(connection_string=node.url, exact_search_limit=100) as store:
            await store.create_index("docs", dimension=32, metric="euclidean")
            await store.upsert("docs", vectors=[[n] * 32 for n in range(4000)], ids=[f"{n:04}" for n in range(4000)])
            before = await store.query("docs", query_vector=[0] * 32, top_k=5)
            await store.get_client().execute_command("DEBUG", "RELOAD")
            assert await once_built(store.query, "docs", query_vector=[0] * 32, top_k=5) == before


async def test_both_protocols_are_understood(redis_search_url):
    """RESP2 gives lists where RESP3 gives maps."""
    for protocol in (2, 3):
        async with RedisVector(connection_string=f"{redis_search_url}?protocol={protocol}", search="native") as store:
            await store.create_index("docs", dimension=2, metadata_indexes=["k"])
            await store.upsert("docs", vectors=[[1, 0], [0, 1]], ids=["a", "b"], metadata=[{"k": "x"}, {"k": "y"}])
            (match,) = await store.query("docs", query_vector=[1, 0], filter={"k": "y"}, include_vector=True)
            assert (match.id, match.vector, match.metadata) == ("b", (0.0, 1.0), {"k": "y"})
            assert (await store.describe_index("docs")).count == 2


async def test_a_large_batch_is_seen_whole_and_then_entered_into_the_index(vectors, raw):
    """Every search finds all 200 or none; the server is not kept waiting for the whole batch, and nothing stays aside."""
    await vectors.create_index("docs", dimension=2)
    seen = set()

    async def read():
        while not saved.done():
            seen.add(len(await vectors.query("docs", query_vector=[1, 0], top_k=100)))

    saved = asyncio.ensure_future(vectors.upsert("docs", vectors=[[1, n] for n in range(200)], ids=[str(n) for n in range(200)]))
    await asyncio.gather(saved, read())
    assert seen <= {0, 100}
    assert [name async for name in raw.scan_iter("*:aside")] == []
    async with RedisVector(client=raw, search="exact") as other:
        await other.upsert("docs", vectors=[[0, 1]] * 100)
    assert [name async for name in raw.scan_iter("*:aside")] == []


async def test_a_batch_whose_writer_died_is_found_and_entered_later(vectors, raw):
    """Saved and not yet in the search index: found nevertheless, and entered by the next create_index."""
    await vectors.create_index("docs", dimension=2)
    await vectors.upsert("docs", vectors=[[1, n] for n in range(150)], ids=[f"{n:03}" for n in range(150)])
    generation = (await raw.hget("mastra_vectors:{docs}:index", "generation")).decode()
    root = f"mastra_vectors:{{docs}}:{generation}:"
    for name in ("000", "149"):
        await raw.hset(f"{root}v:{name}", "aside", await raw.hget(f"{root}v:{name}", "vector"))
        await raw.hdel(f"{root}v:{name}", "vector")
        await raw.zadd(f"{root}aside", {name: 0})
    assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], top_k=2)] == ["000", "001"]
    await vectors.create_index("docs", dimension=2)
    assert not await raw.exists(f"{root}aside")
    assert [match.id for match in await vectors.query("docs", query_vector=[1, 0], top_k=2)] == ["000", "001"]
    assert await raw.hexists(f"{root}v:149", "vector")


async def test_more_than_a_page_aside_is_found_too(redis_search_url):
    """600 vectors of zeros between one that is near and 300 that are opposite: none of them is missed."""
    async with RedisVector(connection_string=redis_search_url, search="native", exact_search_limit=700) as store:
        await store.create_index("docs", dimension=2)
        await store.upsert("docs", vectors=[[0, 0]] * 600, ids=[f"{n:03}" for n in range(600)])
        await store.upsert(
            "docs", vectors=[[1, 0], *([-1, 0.001 * n] for n in range(300))], ids=["near", *(f"opposite{n}" for n in range(300))]
        )
        found = [match.id for match in await store.query("docs", query_vector=[1, 0], top_k=605)]
        assert found[:601] == ["near", *(f"{n:03}" for n in range(600))]
