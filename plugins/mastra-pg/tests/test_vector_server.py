"""PgVector and its server: round trips, plans, older tables, missing rights; what the kit cannot ask of every backend."""

from __future__ import annotations

import asyncio
import itertools
import random
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import pytest_asyncio

from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.storage import open_vector
from mastra_core.storage.vectors.conditions import ALWAYS
from mastra_core.storage.vectors.filters import parse
from mastra_pg.vector_filters import pushed
from mastra_pg.vector_layouts import Flat, Hnsw, IvfFlat, settings
from mastra_pg.vector_queries import nearest
from mastra_pg.vectors import PgVector
from tests.servers.counting import PostgresProxy

CHANCE = random.Random(6)
VECTORS = [[CHANCE.gauss(0, 1) for _ in range(8)] for _ in range(2000)]
METADATA = [{"owner": "rare" if number % 50 == 0 else "common", "n": number} for number in range(2000)]
IDS = [f"{number:04}" for number in range(2000)]
ASKED = [1.0, 0, 0, 0, 0, 0, 0, 0]


@pytest_asyncio.fixture
async def vectors(postgres_url: str) -> AsyncIterator[PgVector]:
    """A store in a database of its own."""
    async with PgVector(connection_string=postgres_url) as store:
        yield store


@contextmanager
def role(url: str) -> Iterator[str]:
    """The URL of a role that may use the database and its tables, and make nothing."""
    name = f"q_{urlsplit(url).path[-12:]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN")
        try:
            yield urlsplit(url)._replace(netloc=f"{name}@{urlsplit(url).netloc.rpartition('@')[2]}").geturl()
        finally:
            admin.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


def rows(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the server answers, past the store."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def found(matches: Any) -> list[str]:
    """Ids, in order."""
    return [match.id for match in matches]


async def test_a_search_and_a_batch_of_vectors_are_one_round_trip_each(postgres_url: str) -> None:
    """A far database costs its distance once, filter or not."""
    with PostgresProxy.before(postgres_url) as proxy:
        async with PgVector(connection_string=proxy.url) as store:
            await store.create_index("docs", dimension=8, metadata_indexes=["owner"])
            with proxy.counting() as n:
                await store.upsert("docs", vectors=VECTORS[:500], metadata=METADATA[:500], ids=IDS[:500])
            assert n.round_trips == 1
            for asked in (None, {"owner": "rare"}, {"$or": [{"n": {"$gt": 3}}, {"owner": {"$ne": "rare"}}]}):
                with proxy.counting() as n:
                    assert len(await store.query("docs", query_vector=ASKED, filter=asked)) == 10
                assert n.round_trips == 1
            with proxy.counting() as n:
                await store.update_vector("docs", filter={"owner": "rare"}, metadata={"owner": "new"})
            assert n.round_trips == 1
            with proxy.counting() as n:
                await store.create_index("docs", dimension=8, metadata_indexes=["owner"])
            assert n.round_trips == 1


@pytest.mark.parametrize("kind", [Hnsw(m=24, ef_construction=100), IvfFlat(lists=20)], ids=["hnsw", "ivfflat"])
@pytest.mark.parametrize("vector_type", ["vector", "halfvec"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dotproduct"])
async def test_a_search_uses_the_nearest_neighbour_index(
    vectors: PgVector, postgres_url: str, kind: Any, vector_type: Any, metric: Any
) -> None:
    """The plan of the very statement has the index in it, and no look at the whole table is executed."""
    await vectors.create_index("docs", dimension=8, metric=metric, index=kind, vector_type=vector_type)
    await vectors.upsert("docs", vectors=VECTORS, metadata=METADATA, ids=IDS)
    plan = explained(vectors, postgres_url, await vectors._engine._table("docs"))
    assert "Index Scan using docs_vector_idx" in plan
    assert looked_at(plan) == 1
    near = found(await vectors.query("docs", query_vector=ASKED))
    scores = [score(metric, VECTORS[int(name)]) for name in near]
    assert all(one >= other - 0.01 for one, other in itertools.pairwise(scores)), "a half has three digits"
    exact = sorted(IDS, key=lambda name: -score(metric, VECTORS[int(name)]))[:10]
    # The lists of an IVFFlat index that is made before there are vectors have their centres by chance.
    assert len(near) == 10 if isinstance(kind, IvfFlat) else len(set(exact) & set(near)) >= 8


def explained(vectors: PgVector, url: str, table: Any) -> str:
    """How PostgreSQL runs a search; on tables as small as a test's it has to be told not to read them whole."""
    statement = nearest(table, array("f", ASKED), pushed(ALWAYS), limit=10, with_vector=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_sort = off")
        cursor = connection.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {statement.sql}", statement.values)
        return "\n".join(line for (line,) in cursor)


def looked_at(plan: str) -> int:
    """How often the table was gone through, by whatever way."""
    return sum(" on docs" in line and "never executed" not in line for line in plan.splitlines())


def score(metric: str, vector: list[float]) -> float:
    """How near a vector is to ASKED, up to what keeps the order."""
    if metric == "euclidean":
        return -sum((one - other) ** 2 for one, other in zip(vector, ASKED, strict=True))
    return vector[0] / (sum(one * one for one in vector) ** 0.5 if metric == "cosine" else 1)


async def test_a_search_starts_no_helpers_that_it_does_not_need(vectors: PgVector, postgres_url: str) -> None:
    """Where PostgreSQL would read a large table with several processes, a search along the index is one process's, and as fast."""
    await vectors.create_index("docs", dimension=8)
    await vectors.upsert("docs", vectors=VECTORS, metadata=METADATA, ids=IDS)
    table = await vectors._engine._table("docs")
    statement = nearest(table, array("f", ASKED), pushed(ALWAYS), limit=10, with_vector=False)
    eager = dict.fromkeys(("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"), "0")
    with psycopg.connect(postgres_url) as connection:
        for name, value in {**eager, **settings(Hnsw(), limit=10, iterative=True)}.items():
            connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        plan = connection.execute(f"EXPLAIN {statement.sql}", statement.values).fetchall()
    assert [line for (line,) in plan if "Workers" in line] == []


async def test_a_filtered_search_through_the_index_is_full(vectors: PgVector, postgres_url: str) -> None:
    """40 of 2,000 vectors meet the filter: all 40 are found though the index gives 100 at a time, and 10 are 10."""
    await vectors.create_index("docs", dimension=8)
    await vectors.upsert("docs", vectors=VECTORS, metadata=METADATA, ids=IDS)
    rows(postgres_url, f"ALTER DATABASE {urlsplit(postgres_url).path[1:]} SET enable_seqscan = off")
    async with PgVector(connection_string=postgres_url) as store:
        rare = {f"{number:04}" for number in range(0, 2000, 50)}
        assert set(found(await store.query("docs", query_vector=ASKED, top_k=100, filter={"owner": "rare"}))) == rare
        for asked in ({"owner": "rare"}, {"owner": {"$contains": "RARE"}}):
            nearest_rare = sorted(rare, key=lambda name: -score("cosine", VECTORS[int(name)]))
            assert found(await store.query("docs", query_vector=ASKED, top_k=10, filter=asked)) == nearest_rare[:10]


async def test_the_index_is_asked_again_while_a_filter_leaves_too_few(vectors: PgVector, postgres_url: str) -> None:
    """The last 20 of the 2,000 nearest are found by the index alone, also by the first search of a connection, which loads pgvector."""
    nearest_first = sorted(range(2000), key=lambda number: -score("euclidean", VECTORS[number]))
    await vectors.create_index("docs", dimension=8, metric="euclidean")
    await vectors.upsert(
        "docs", vectors=[VECTORS[number] for number in nearest_first], ids=IDS, metadata=[{"place": n} for n in range(2000)]
    )
    table = await vectors._engine._table("docs")
    assert table.nearness is not None
    statement = nearest(table, array("f", ASKED), pushed(parse({"place": {"$gte": 1980}})), limit=10, with_vector=False)
    with psycopg.connect(postgres_url) as connection:
        for name, value in {"enable_seqscan": "off", **settings(table.nearness.kind, limit=10, iterative=True)}.items():
            connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {statement.sql}", statement.values))
    assert "Index Scan using docs_vector_idx" in plan
    assert looked_at(plan) == 1


async def test_vectors_of_zeros_are_found_beside_the_index(vectors: PgVector, postgres_url: str) -> None:
    """The index knows none of them; they come between what is near and what is opposite, as on every backend."""
    await vectors.create_index("docs", dimension=8)
    await vectors.upsert("docs", vectors=[ASKED, [0] * 8, [-1, *ASKED[1:]]], ids=["near", "zeros", "opposite"])
    rows(postgres_url, f"ALTER DATABASE {urlsplit(postgres_url).path[1:]} SET enable_seqscan = off")
    async with PgVector(connection_string=postgres_url) as store:
        assert found(await store.query("docs", query_vector=ASKED, top_k=2)) == ["near", "zeros"]
        assert found(await store.query("docs", query_vector=ASKED, top_k=3)) == ["near", "zeros", "opposite"]


@pytest.mark.parametrize("dimension, expected", [(2000, "vector_cosine_ops"), (3072, "halfvec_cosine_ops"), (4001, None)])
async def test_long_vectors_are_indexed_as_far_as_pgvector_can(
    vectors: PgVector, postgres_url: str, dimension: int, expected: str | None
) -> None:
    """An embedding of 3,072 numbers is kept in 32 bits and found by an index of 16-bit copies; scores are of the 32 bits."""
    await vectors.create_index("docs", dimension=dimension)
    await vectors.upsert("docs", vectors=[[1.0001, *[0.0] * (dimension - 2), 0.0001 * n] for n in range(5)], ids=list("abcde"))
    classes = [
        name
        for (name,) in rows(
            postgres_url, "SELECT opcname FROM pg_index JOIN pg_opclass AS o ON o.oid = indclass[0] WHERE opcname LIKE '%%vec%%'"
        )
    ]
    assert classes == ([expected] if expected else [])
    rows(postgres_url, f"ALTER DATABASE {urlsplit(postgres_url).path[1:]} SET enable_seqscan = off")
    async with PgVector(connection_string=postgres_url) as store:
        matches = await store.query("docs", query_vector=[1.0, *[0.0] * (dimension - 1)], include_vector=True, top_k=3)
        assert found(matches)[0] == "a"
        assert matches[0].vector is not None
        assert matches[0].vector[0] == pytest.approx(1.0001, abs=1e-7)


async def test_an_index_of_another_kind_is_not_taken_for_the_one_asked_for(vectors: PgVector) -> None:
    """What create_index is told is what there is; told nothing, it takes whatever is there. A flat index keeps its metric."""
    await vectors.create_index("docs", dimension=2, metric="euclidean", index=Flat())
    await vectors.create_index("docs", dimension=2, metric="euclidean")
    assert (await vectors.describe_index("docs")).metric == "euclidean"
    with pytest.raises(InvalidInputError, match=r"there already, Flat over vector; asked for was Hnsw over vector.*delete_index"):
        await vectors.create_index("docs", dimension=2, metric="euclidean", index=Hnsw())
    with pytest.raises(InvalidInputError, match=r"index is Hnsw\(…\), IvfFlat\(…\) or Flat\(\).*found 'hnsw'"):
        await vectors.create_index("docs", dimension=2, index="hnsw")  # type: ignore[arg-type]  # the very thing to refuse


async def test_an_older_table_of_typescript_is_migrated(vectors: PgVector, postgres_url: str) -> None:
    """Unique by vector_id, without a namespace: it is found, searched, and written to, and ends as new ones begin."""
    for statement in (
        "CREATE EXTENSION vector",
        "CREATE TABLE docs (id SERIAL PRIMARY KEY, vector_id TEXT UNIQUE NOT NULL, embedding vector(2), metadata JSONB DEFAULT '{}'::jsonb)",
        "INSERT INTO docs (vector_id, embedding, metadata) VALUES ('old', '[1,0]', '{\"k\": 1}')",
    ):
        rows(postgres_url, statement)
    assert await vectors.list_indexes() == ["docs"]
    await vectors.upsert("docs", vectors=[[0, 1], [1, 1]], ids=["old", "new"], metadata=[{"k": 2}, None])
    assert found(await vectors.query("docs", query_vector=[0, 1])) == ["old", "new"]
    held = {
        definition.partition(" ON ")[2] for (definition,) in rows(postgres_url, "SELECT indexdef FROM pg_indexes WHERE tablename = 'docs'")
    }
    assert held == {"public.docs USING btree (id)", "public.docs USING btree (namespace, vector_id)"}


async def test_metadata_indexes_have_typescripts_names_and_are_used(vectors: PgVector, postgres_url: str) -> None:
    """TypeScript finds them made; a filter by such a field looks at its vectors alone. One left half made is made again."""
    await vectors.create_index("docs", dimension=8)
    await vectors.upsert("docs", vectors=VECTORS, metadata=METADATA, ids=IDS)
    rows(postgres_url, "CREATE INDEX docs_md_57d95f6b_idx ON docs ((metadata ->> 'thread_id'))")
    rows(postgres_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'docs_md_57d95f6b_idx'::regclass")
    await vectors.create_index("docs", dimension=8, metadata_indexes=["thread_id", "resource_id", "owner", "a.b"])
    held = dict(
        rows(
            postgres_url,
            "SELECT c.relname, i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE c.relname LIKE 'docs_md%%'",
        )
    )
    assert held["docs_md_57d95f6b_idx"] is True
    assert held["docs_md_5a823b81_idx"] is True
    assert len(held) == 4
    rows(postgres_url, "ANALYZE docs")
    statement = nearest(
        await vectors._engine._table("docs"), array("f", ASKED), pushed(parse({"owner": "rare"})), limit=10, with_vector=False
    )
    with psycopg.connect(postgres_url) as connection:
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {statement.sql}", statement.values))
    assert "docs_md_" in plan


async def test_without_the_extension_the_error_says_what_to_run(postgres_url: str) -> None:
    """A role that may not add pgvector gets the command for its operator, and goes on once that was run."""
    with role(postgres_url) as url:
        async with PgVector(connection_string=url) as store:
            assert await store.list_indexes() == []
            with pytest.raises(
                ConfigurationError, match=r"has no pgvector, and role .* may not add it .*run in that database: CREATE EXTENSION vector"
            ):
                await store.create_index("docs", dimension=2)
            rows(postgres_url, "CREATE EXTENSION vector")
            rows(postgres_url, f"GRANT CREATE ON SCHEMA public TO {urlsplit(url).username}")
            await store.create_index("docs", dimension=2)
            assert await store.list_indexes() == ["docs"]


async def test_nothing_in_a_name_or_a_filter_reaches_a_statement_as_sql(vectors: PgVector, postgres_url: str) -> None:
    """Names are refused, keys too, and values are values; a key of metadata is only data."""
    await vectors.create_index("docs", dimension=2)
    bad = "x'; DROP TABLE docs; --"
    await vectors.upsert("docs", vectors=[[1, 0]], ids=[bad], metadata=[{bad: bad, "k": bad, "pct": "%s %(x)s"}])
    for call in (
        lambda: vectors.create_index(bad, dimension=2),
        lambda: vectors.delete_index('docs" CASCADE; --'),
        lambda: vectors.create_index("docs", dimension=2, metadata_indexes=[bad]),
        lambda: vectors.query("docs", query_vector=[1, 0], filter={bad: 1}),
        lambda: vectors.query("docs", query_vector=[1, 0], filter={f"k.{bad}": {"$exists": True}}),
    ):
        with pytest.raises(InvalidInputError):
            await call()
    with pytest.raises(ConfigurationError):
        PgVector(connection_string=postgres_url, schema_name='public"; --')
    for asked in ({"k": bad}, {"k": {"$in": [bad]}}, {"k": {"$gte": bad}}, {"pct": "%s %(x)s"}):
        assert found(await vectors.query("docs", query_vector=[1, 0], filter=asked)) == [bad]
    assert await vectors.delete_vectors("docs", ids=["' OR true; --"]) == 0
    assert (await vectors.describe_index("docs")).count == 1


async def test_a_table_made_anew_by_another_process_is_noticed(vectors: PgVector, postgres_url: str) -> None:
    """Another metric or dimension under the same name gives the new index's answers, not wrong scores."""
    await vectors.create_index("docs", dimension=2)
    await vectors.upsert("docs", vectors=[[3, 4]], ids=["a"])
    async with PgVector(connection_string=postgres_url) as other:
        await other.delete_index("docs")
        await other.create_index("docs", dimension=2, metric="dotproduct")
        await other.upsert("docs", vectors=[[3, 4]], ids=["a"])
        assert [match.score for match in await vectors.query("docs", query_vector=[3, 4])] == [25]
        await other.delete_index("docs")
        await other.create_index("docs", dimension=3)
        await vectors.upsert("docs", vectors=[[3, 4, 0]], ids=["a"])
        assert found(await vectors.query("docs", query_vector=[3, 4, 0])) == ["a"]


async def test_a_schema_of_its_own_needs_no_search_path(postgres_url: str) -> None:
    """schema_name is made if need be, and the extension may be anywhere."""
    rows(postgres_url, "CREATE SCHEMA extensions")
    rows(postgres_url, "CREATE EXTENSION vector WITH SCHEMA extensions")
    async with PgVector(connection_string=postgres_url, schema_name="agents") as store:
        await store.create_index("docs", dimension=2, metadata_indexes=["k"])
        await store.upsert("docs", vectors=[[1, 0]], ids=["a"], metadata=[{"k": 1}])
        assert found(await store.query("docs", query_vector=[1, 0], filter={"k": 1})) == ["a"]
        assert rows(postgres_url, "SELECT vector_id FROM agents.docs") == [("a",)]
        await store.delete_index("docs")
        assert await store.list_indexes() == []


async def test_a_url_opens_it(postgres_url: str) -> None:
    """`open_vector("postgresql://…")` finds the plugin."""
    store = open_vector(postgres_url)
    assert isinstance(store, PgVector)
    await store.create_index("docs", dimension=2)
    await store.close()


async def test_an_index_can_be_made_while_the_field_of_another_is_being_indexed(postgres_url: str) -> None:
    """Two programs that set up at once never wait for each other without end."""
    async with PgVector(connection_string=postgres_url) as one, PgVector(connection_string=postgres_url) as other:
        await one.create_index("a", dimension=2)
        async with await psycopg.AsyncConnection.connect(postgres_url) as writer:
            await writer.execute("INSERT INTO a (vector_id, embedding) VALUES ('x', '[1,2]')")
            mending = asyncio.create_task(one.create_index("a", dimension=2, metadata_indexes=["owner"]))
            while not rows(postgres_url, "SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database()"):
                await asyncio.sleep(0.02)
            sessions = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query <> '' AND pid <> pg_backend_pid()"
            before = set(rows(postgres_url, sessions))
            making = asyncio.create_task(other.create_index("b", dimension=2))
            while set(rows(postgres_url, sessions)) <= before:
                await asyncio.sleep(0.02)
            await writer.commit()
            await asyncio.wait_for(asyncio.gather(mending, making), 60)
        assert sorted(await other.list_indexes()) == ["a", "b"]
