"""Vectors that the real TypeScript package wrote are described, searched and changed, in a file with its nearest-neighbour index."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mastra_core.errors import StorageUnavailableError
from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.vectors import LibSQLVector
from mastra_core.storage.vectors.port import VectorMatch
from tests.interop.embedding import ASKED, INDEX, embedded, in_order

GOLDEN = Path(__file__).parent / "golden" / "libsql"


@pytest.fixture(scope="session")
def said() -> Mapping[str, Any]:
    """What the TypeScript API answered to each call, by the name of the call."""
    return json.loads((GOLDEN / "readback.json").read_text())["results"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A copy of the golden database."""
    return Path(shutil.copy(GOLDEN / "golden.db", tmp_path / "golden.db"))


@pytest.fixture
async def vectors(path: Path) -> AsyncIterator[LibSQLVector]:
    """The vectors of the copy."""
    async with LibSQLVector(url=f"file:{path}") as store:
        yield store


async def test_indexes_are_described_as_typescript_describes_them(vectors: LibSQLVector, said: Mapping[str, Any]) -> None:
    """Issue: "the whole of `golden/libsql/` reads back equal to `readback.json`" (vectors); plain SQLite would count none."""
    assert await vectors.list_indexes() == list(said["vector.indexes"])
    for name, expected in said["vector.indexes"].items():
        found = await vectors.describe_index(name)
        assert {"dimension": found.dimension, "count": found.count, "metric": found.metric} == expected


async def test_a_query_finds_what_typescript_finds(vectors: LibSQLVector, said: Mapping[str, Any]) -> None:
    """The same ids and metadata, and the same scores to seven digits."""
    expected = in_order(said[f"vector.query.{INDEX}"])
    found = await vectors.query(INDEX, query_vector=ASKED, top_k=3)
    assert [(match.id, match.metadata) for match in found] == [(match["id"], match["metadata"]) for match in expected]
    assert [match.score for match in found] == pytest.approx([match["score"] for match in expected], abs=1e-7)


async def test_a_vector_is_the_embedding_of_its_text(vectors: LibSQLVector) -> None:
    """Every stored vector comes back as the embedder made it, and is the nearest to its own text."""
    every: list[VectorMatch] = await vectors.query(INDEX, query_vector=ASKED, top_k=100, include_vector=True)
    assert len(every) == 14
    for match in every:
        text = str(match.metadata["content"])
        assert match.vector == pytest.approx(embedded(text), abs=1e-7)
        nearest = await vectors.query(INDEX, query_vector=embedded(text), filter={"thread_id": match.metadata["thread_id"]}, top_k=1)
        assert nearest[0].score == pytest.approx(1, abs=1e-6)
        assert nearest[0].metadata["content"] == text


async def test_filters_work_on_what_typescript_wrote(vectors: LibSQLVector) -> None:
    """A resource's vectors, and those of a time, out of metadata that TypeScript wrote."""
    ours = await vectors.query(INDEX, query_vector=ASKED, top_k=100, filter={"resource_id": "user-b"})
    assert {match.metadata["thread_id"] for match in ours} == {"thread-wm"}
    assert len(ours) == 4
    later = await vectors.query(INDEX, query_vector=ASKED, top_k=100, filter={"role": "user", "created_at": {"$gt": "2000"}})
    assert len(later) == 7


async def test_what_typescript_recalled_is_what_we_find(vectors: LibSQLVector, said: Mapping[str, Any]) -> None:
    """The two messages of a resource nearest to a text are those that TypeScript's Memory recalled beside its page of two."""
    recalled = said["memory.recall.semantic"]["ids"]
    nearest = await vectors.query(INDEX, query_vector=embedded("weather in Lisbon"), top_k=2, filter={"resource_id": "user-a"})
    assert [match.metadata["message_id"] for match in nearest] == recalled[2:4]


async def test_reading_leaves_typescripts_index_where_it_is(path: Path) -> None:
    """Whoever only searches changes nothing, not even in a file that may not be written."""
    async with LibSQLVector(url=f"file:{path}?mode=ro") as vectors:
        assert len(await vectors.query(INDEX, query_vector=ASKED, filter={"role": {"$ne": "user"}})) == 7
        await vectors.create_index(INDEX, dimension=384)
        with pytest.raises(StorageUnavailableError, match="read-only"):
            await vectors.upsert(INDEX, vectors=[ASKED])
    assert len(indexes_of_libsql(path)) == 1


@pytest.mark.parametrize("way", ["upsert", "update", "delete", "delete_index"])
async def test_the_first_write_drops_the_index_that_plain_sqlite_cannot_maintain(path: Path, way: str) -> None:
    """The file is whole afterwards, with nothing left of the index, and every other row of it is still there."""
    async with LibSQLVector(url=f"file:{path}") as vectors:
        (first,) = await vectors.query(INDEX, query_vector=ASKED, top_k=1)
        if way == "upsert":
            await vectors.upsert(INDEX, vectors=[ASKED], ids=["new"])
            assert (await vectors.query(INDEX, query_vector=ASKED, top_k=1))[0].id == "new"
        elif way == "update":
            assert await vectors.update_vector(INDEX, id=first.id, metadata={"changed": True}) == 1
        elif way == "delete":
            assert await vectors.delete_vectors(INDEX, filter={"thread_id": first.metadata["thread_id"]}) == 4
        else:
            await vectors.delete_index(INDEX)
        count = {"upsert": 15, "update": 14, "delete": 10}.get(way)
        if count is not None:
            assert (await vectors.describe_index(INDEX)).count == count
    connection = connect(Place(str(path)))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE '%_vector_idx%'").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM libsql_vector_meta_shadow").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM mastra_messages").fetchone()[0] > 0
    connection.close()


def indexes_of_libsql(path: Path) -> list[str]:
    """libSQL's nearest-neighbour indexes in the file."""
    connection = connect(Place(str(path)))
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%libsql_vector_idx%'")]
    connection.close()
    return names
