"""LibSQLVector beside the kit: what lies in the file, other libraries, damage, death in the middle of a save, and plans."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import subprocess
import sys
import tracemalloc
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mastra_core.errors import ConfigurationError, InvalidInputError, StoredDataError
from mastra_core.storage.libsql import distances
from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.libsql.vector_filters import pushed
from mastra_core.storage.libsql.vectors import LibSQLVector
from mastra_core.storage.vectors.conditions import ALWAYS
from mastra_core.storage.vectors.filters import parse

GOLDEN = Path(__file__).parents[3] / "interop" / "golden" / "libsql" / "golden.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors.db"


@pytest.fixture
async def vectors(path: Path) -> AsyncIterator[LibSQLVector]:
    async with LibSQLVector(url=f"file:{path}") as store:
        await store.create_index("docs", dimension=2)
        await store.upsert("docs", vectors=[[1, 0], [0.1, 1]], metadata=[{"é": [1]}, None], ids=["a", "b"])
        yield store


def sql(path: Path, statement: str, *values: Any) -> list[Any]:
    """What a statement gives over a connection of its own."""
    connection = connect(Place(str(path)))
    rows = connection.execute(statement, values).fetchall()
    connection.close()
    return rows


# ------------------------------------------------------------------------------------------------------- what lies in the file


async def test_a_table_has_the_columns_of_typescripts(vectors: LibSQLVector, path: Path) -> None:
    """TypeScript finds the table by its text and reads it by its columns: names, types, defaults and keys are the same."""
    columns = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{}')"
    theirs = sql(GOLDEN, columns.format("memory_messages_384"))
    assert sql(path, columns.format("docs")) == [(name, kind.replace("384", "2"), *rest) for name, kind, *rest in theirs]
    assert sql(path, "SELECT id, vector_id, hex(embedding), typeof(metadata), metadata FROM docs") == [
        (None, "a", "0000803F00000000", "text", '{"é":[1]}'),
        (None, "b", "CDCCCC3D0000803F", "text", "{}"),
    ]


async def test_another_metric_is_a_comment_that_stays_with_the_table(vectors: LibSQLVector, path: Path) -> None:
    """The metric survives a VACUUM and a second opening, and goes with the index."""
    await vectors.create_index("far", dimension=2, metric="dotproduct")
    sql(path, "VACUUM")
    async with LibSQLVector(url=f"file:{path}") as again:
        assert (await again.describe_index("far")).metric == "dotproduct"
        assert (await again.describe_index("docs")).metric == "cosine"
        await again.delete_index("far")
    assert sql(path, "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%metric%'") == [(0,)]


async def test_a_metric_of_a_newer_release_is_not_taken_for_cosine(vectors: LibSQLVector, path: Path) -> None:
    """A metric that this release does not know is an error, not a guess."""
    sql(
        path,
        "CREATE TABLE odd (id SERIAL PRIMARY KEY, vector_id TEXT UNIQUE, embedding F32_BLOB(2) /* mastra metric: odd */, metadata TEXT)",
    )
    with pytest.raises(StoredDataError, match="'odd' says no dimension, or a metric we do not know"):
        await vectors.query("odd", query_vector=[1, 0])


async def test_a_store_and_its_vectors_share_a_file(path: Path) -> None:
    """One file for everything: neither list shows the other's tables."""
    url = f"file:{path}"
    async with LibSQLStore(url=url) as store, LibSQLVector(url=url) as vectors:
        assert await vectors.list_indexes() == []
        await asyncio.gather(
            *(vectors.create_index(f"i{n}", dimension=2) for n in range(4)), store.memory.update_resource("u", working_memory="w")
        )
        assert await vectors.list_indexes() == ["i0", "i1", "i2", "i3"]


@pytest.mark.parametrize("name, told", [("mastra_threads", "a table of this name that holds no vectors"), ("MASTRA_THREADS", "holds no"), ("sqlite_x", "keeps names that begin with 'sqlite_' to itself"), ("idx_threads_created_at", "a index of this name")])  # fmt: skip
async def test_a_name_that_the_file_uses_otherwise_is_refused(path: Path, name: str, told: str) -> None:
    """An index never takes, or drops, a table of something else."""
    async with LibSQLStore(url=f"file:{path}"), LibSQLVector(url=f"file:{path}") as vectors:
        with pytest.raises(InvalidInputError, match=told):
            await vectors.create_index(name, dimension=2)
        await vectors.delete_index(name)
    assert sql(path, "SELECT count(*) FROM mastra_threads") == [(0,)]


async def test_a_dimension_that_libsql_could_not_read_is_refused(vectors: LibSQLVector) -> None:
    """TypeScript must be able to open what we made."""
    with pytest.raises(InvalidInputError, match="at most 65536 dimensions, found 65537"):
        await vectors.create_index("wide", dimension=65537)


# ------------------------------------------------------------------------------------------------------------ what is damaged


@pytest.mark.parametrize("asked", [None, {"k": {"$ne": 1}}, {"k": None}], ids=str)
@pytest.mark.parametrize("blob", [b"", b"abc", b"\0" * 12, b"\0\0\xc0\x7f\0\0\0\0"], ids=["empty", "cut", "long", "nan"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dotproduct"])
async def test_a_damaged_vector_is_named_not_passed_over(path: Path, asked: Any, blob: bytes, metric: Any) -> None:
    """A search that cannot compare a stored vector says which; it never answers without it."""
    async with LibSQLVector(url=f"file:{path}") as vectors:
        await vectors.create_index("docs", dimension=2, metric=metric)
        await vectors.upsert("docs", vectors=[[1, 0]] * 3, ids=["a", "b", "c"])
        sql(path, "UPDATE docs SET embedding = ? WHERE vector_id = 'b'", blob)
        with pytest.raises(StoredDataError, match="the vector 'b' of the index 'docs' cannot be compared: its blob is not 2 finite"):
            await vectors.query("docs", query_vector=[1, 0], filter=asked, top_k=1)
        await vectors.delete_vector("docs", id="b")
        assert len(await vectors.query("docs", query_vector=[1, 0], filter=asked)) == 2


@pytest.mark.parametrize("asked", [None, {"k": "x"}, {"k": {"$size": 1}}], ids=str)
@pytest.mark.parametrize("text", ["", "{", "nonsense"])
async def test_metadata_that_is_no_json_is_named(vectors: LibSQLVector, path: Path, text: str, asked: Any) -> None:
    """The error has the index and the id; nothing is guessed, and nothing removed."""
    sql(path, "UPDATE docs SET metadata = ? WHERE vector_id = 'a'", text)
    with pytest.raises(StoredDataError, match="the vector index docs a: field metadata is no JSON"):
        await vectors.query("docs", query_vector=[1, 0], filter=asked)
    with pytest.raises(StoredDataError, match="the vector index docs a: field metadata is no JSON"):
        await vectors.delete_vectors("docs", filter=asked or {"k": 1})
    assert (await vectors.describe_index("docs")).count == 2


async def test_metadata_that_is_no_object_is_named(vectors: LibSQLVector, path: Path) -> None:
    """A list where an object belongs is an error of that vector."""
    sql(path, "UPDATE docs SET metadata = '[1]' WHERE vector_id = 'a'")
    with pytest.raises(StoredDataError, match="docs a: field metadata is no JSON object"):
        await vectors.query("docs", query_vector=[1, 0])


async def test_a_search_that_failed_does_not_keep_its_connection_in_the_past(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the damaged vector is mended, the same store sees it, though the error is still held."""
    monkeypatch.setattr("mastra_core.storage.libsql.vectors.READERS", 1)
    async with LibSQLVector(url=f"file:{path}") as vectors:
        await vectors.create_index("docs", dimension=2)
        await vectors.upsert("docs", vectors=[[1, n] for n in range(5)], ids=list("abcde"))
        for asked in (None, {"k": {"$ne": 1}}):
            sql(path, "UPDATE docs SET metadata = '[]' WHERE vector_id = 'a'")
            with pytest.raises(StoredDataError) as held:
                await vectors.query("docs", query_vector=[1, 0], filter=asked)
            sql(path, "UPDATE docs SET metadata = '{}'")
            assert len(await vectors.query("docs", query_vector=[1, 0], filter=asked)) == 5
            assert held.value.operation == "query"


async def test_an_index_of_a_field_names_metadata_that_is_no_json(vectors: LibSQLVector, path: Path) -> None:
    """SQLite would only say that some JSON is malformed."""
    sql(path, "UPDATE docs SET metadata = '{' WHERE vector_id = 'a'")
    with pytest.raises(StoredDataError, match="docs a: field metadata is no JSON"):
        await vectors.create_index("docs", dimension=2, metadata_indexes=["k"])


async def test_rows_without_metadata_or_vector_are_read_as_typescript_reads_them(vectors: LibSQLVector, path: Path) -> None:
    """No metadata is an empty object; without a vector nothing is near."""
    sql(path, "UPDATE docs SET metadata = NULL WHERE vector_id = 'a'")
    sql(path, "UPDATE docs SET embedding = NULL WHERE vector_id = 'b'")
    for asked in (None, {"k": None}, {"k": {"$ne": 1}}):
        assert [(m.id, m.metadata) for m in await vectors.query("docs", query_vector=[1, 0], filter=asked)] == [("a", {})]
    assert (await vectors.describe_index("docs")).count == 2
    assert await vectors.delete_vectors("docs", filter={"k": None}) == 2


# ---------------------------------------------------------------------------------------------- libraries, numbers, processes


async def test_numbers_at_the_ends_of_32_bits_have_a_score(vectors: LibSQLVector) -> None:
    """What squares to more, or less, than 32 bits hold is compared all the same."""
    await vectors.create_index("ends", dimension=2)
    await vectors.upsert("ends", vectors=[[3e38, 3e38], [1e-30, 1e-30], [1, 0]], ids=["large", "small", "plain"])
    found = {match.id: match.score for match in await vectors.query("ends", query_vector=[1, 1])}
    assert found == pytest.approx({"large": 1, "small": 1, "plain": math.sqrt(0.5)})


@pytest.mark.parametrize("loaded", ["missing", "broken"])
def test_without_sqlite_vec_python_computes_the_same(path: Path, monkeypatch: pytest.MonkeyPatch, loaded: str) -> None:
    """Where the extension is not installed, or made for another processor, scores are the same to six digits."""
    place, vector = Place(str(path)), array("f", [math.sin(n) for n in range(384)])
    fast = connect(place)
    distances.prepare(fast)
    assert all("vec_distance" in distances.score(fast, metric) for metric in distances.METRICS)
    if loaded == "missing":
        monkeypatch.setitem(sys.modules, "sqlite_vec", None)
    else:
        (path.parent / "vec0.so").write_bytes(b"no library")
        monkeypatch.setattr("sqlite_vec.loadable_path", lambda: str(path.parent / "vec0"))
    slow = connect(place)
    distances.prepare(slow)
    assert not any("vec_distance" in distances.score(slow, metric) for metric in distances.METRICS)
    values = {**distances.parameters(vector), "held": distances.to_bytes(distances.from_bytes(bytes(range(64)) * 24))}
    for metric in distances.METRICS:
        one, other = (
            connection.execute(f"SELECT {distances.score(connection, metric)} FROM (SELECT :held AS embedding)", values).fetchone()[0]
            for connection in (fast, slow)
        )
        assert one == pytest.approx(other, rel=1e-5)
    fast.close()
    slow.close()


PROGRAM = """
import asyncio, sys
sys.modules["pysqlite3"] = None
from mastra_core.storage.libsql import driver
from mastra_core.storage.libsql.vectors import LibSQLVector

async def main(url):
    async with LibSQLVector(url=url) as vectors:
        name = "memory_messages_384"
        asked = [1 if place == 3 else 0.01 for place in range(384)]
        assert (await vectors.describe_index(name)).count == 14
        found = await vectors.query(name, query_vector=asked, top_k=3, filter={"resource_id": "user-b", "role": {"$ne": "user"}})
        assert [round(match.score, 6) for match in found] == [0.040065, 0.021944], found
        await vectors.upsert(name, vectors=[asked], metadata=[{"resource_id": "user-b"}], ids=["new"])
        assert (await vectors.query(name, query_vector=asked, top_k=1, filter={"resource_id": "user-b"}))[0].id == "new"
        assert await vectors.delete_vectors(name, filter={"resource_id": "user-b"}) == 5
    connection = driver.connect(driver.Place(url.removeprefix("file:")))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    print(driver.library())

asyncio.run(main(sys.argv[1]))
"""


def test_the_standard_librarys_sqlite_searches_and_writes_typescripts_file(path: Path) -> None:
    """Where pysqlite3 has no wheel, everything works, only slower."""
    path.write_bytes(GOLDEN.read_bytes())
    done = subprocess.run([sys.executable, "-c", PROGRAM, f"file:{path}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sqlite3 (SQLite ")


DYING = """
import asyncio, os, signal, sys
from mastra_core.storage.libsql import vectors as module
from mastra_core.storage.libsql.vectors import LibSQLVector

left = 10_000
prepare = module.distances.prepare

def dying(connection):
    def count(sql):
        global left
        left -= sql.startswith("INSERT INTO \\"docs\\"")
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    prepare(connection)
    connection.set_trace_callback(count)

module.distances.prepare = dying

async def main(path):
    async with LibSQLVector(url=f"file:{path}") as vectors:
        await vectors.create_index("docs", dimension=2)
        for batch in range(100):
            await vectors.upsert("docs", vectors=[[1, n] for n in range(300)], metadata=[{"batch": batch}] * 300)
            print(batch, flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_process_killed_in_the_middle_of_a_batch_leaves_it_out_whole(path: Path) -> None:
    """What was acknowledged is there, and of the batch under way nothing."""
    done = subprocess.run([sys.executable, "-c", DYING, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    acknowledged = len(done.stdout.split())
    assert acknowledged == 33
    async with LibSQLVector(url=f"file:{path}") as vectors:
        assert (await vectors.describe_index("docs")).count == 300 * acknowledged
        assert await vectors.query("docs", query_vector=[1, 0], filter={"batch": acknowledged}) == []


# ---------------------------------------------------------------------------------------------------------------------- plans


@pytest.mark.parametrize("asked, left", [({"owner": "u"}, False), ({"owner": "u", "n": 1}, True), ({"$and": [{"owner": "u"}, {"done": False}, {"x": None}]}, False), ({"owner": {"$eq": "u"}, "a.b": True}, False), ({"owner": ["u"]}, True), ({"owner": {"$ne": "u"}}, True), ({"owner": "a\0b"}, True), ({"owner": "\ud800"}, True)], ids=ascii)  # fmt: skip
def test_sqlite_decides_equality_with_texts_booleans_and_null(asked: Any, left: bool) -> None:
    """The plain filters of Memory, by thread or resource, cost Python nothing."""
    assert (pushed(parse(asked)).rest != ALWAYS) is left


async def test_an_indexed_field_is_found_by_its_index(vectors: LibSQLVector, path: Path) -> None:
    """One resource's vectors among millions: those are looked at, not all; and removed likewise."""
    await vectors.create_index("docs", dimension=2, metadata_indexes=["owner.id"])
    part = pushed(parse({"owner.id": "u"}))
    for statement in (
        f"SELECT vector_id FROM docs WHERE embedding IS NOT NULL{part.sql}",
        f"SELECT rowid FROM docs WHERE rowid > 1{part.sql} ORDER BY rowid",
    ):
        connection = connect(Place(str(path)))
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", part.values))
        connection.close()
        assert "USING INDEX docs.owner.id (<expr>=?" in plan
        assert "TEMP B-TREE" not in plan


async def test_a_search_holds_no_more_than_it_answers_with(path: Path) -> None:
    """A filter that Python decides is decided row by row: 20 MB of metadata pass through a few."""
    async with LibSQLVector(url=f"file:{path}") as vectors:
        await vectors.create_index("docs", dimension=2, metric="euclidean")
        for start in range(0, 10_000, 1000):
            numbers = range(start, start + 1000)
            await vectors.upsert("docs", vectors=[[1, n] for n in numbers], metadata=[{"n": n, "text": "x" * 2000} for n in numbers])
        tracemalloc.start()
        found = await vectors.query("docs", query_vector=[1, 10_000], filter={"n": {"$lt": 5000}})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [match.metadata["n"] for match in found] == list(range(4999, 4989, -1))
    assert peak < 2_000_000


# -------------------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    "given, told",
    [
        ({}, "exactly one way to connect"),
        ({"url": "file:x.db", "auth_token": "t0ps3cret"}, "auth_token is for a server, and a file has no login; leave it out"),
        ({"url": "libsql://t0ps3cret@host"}, "opens 'file:PATH' and ':memory:', found libsql://…"),
        ({"url": 7}, "found int"),
        ({"url": "vectors.db"}, "file:vectors.db"),
        ({"url": ":memory:", "authToken": "t0ps3cret"}, "no option 'authToken'.*Did you mean 'auth_token'"),
        ({"url": ":memory:", "id": " "}, "id must be a non-empty string"),
    ],
    ids=str,
)
def test_a_vector_store_is_opened_in_one_way(given: dict[str, Any], told: str) -> None:
    """A slip in an option is put right in the message, which never shows a token."""
    with pytest.raises(ConfigurationError, match=told) as caught:
        LibSQLVector(**given)
    assert "t0ps3cret" not in str(caught.value)


async def test_two_processes_make_and_fill_one_index(path: Path) -> None:
    """Programs that start together on a fresh file all succeed, and nothing is lost."""
    code = """
import asyncio, sys
from mastra_core.storage.libsql.vectors import LibSQLVector

async def main(path, name):
    async with LibSQLVector(url=f"file:{path}") as vectors:
        await vectors.create_index("docs", dimension=2, metadata_indexes=["by"])
        await asyncio.gather(*(vectors.upsert("docs", vectors=[[1, 2]] * 10, metadata=[{"by": name}] * 10) for _ in range(10)))

asyncio.run(main(*sys.argv[1:]))
"""
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)], stderr=subprocess.PIPE, text=True) for n in range(3)]
    for process in running:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    async with LibSQLVector(url=f"file:{path}") as vectors:
        assert (await vectors.describe_index("docs")).count == 300
        assert len(await vectors.query("docs", query_vector=[1, 2], filter={"by": "1"}, top_k=200)) == 100


def test_json_of_the_benchmark_is_json() -> None:
    """Figures can be taken by a program."""
    command = [sys.executable, "benchmarks/vectors.py", "--vectors", "200", "--dimension", "8", "--rounds", "1", "--json"]
    root = Path(__file__).parents[4]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"upserts_per_second", "all", "filter", "filter, indexed", "residual"}
