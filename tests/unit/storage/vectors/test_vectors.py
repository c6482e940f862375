"""Vector stores in code without an event loop, in another loop, and before anything was opened; the evaluator of filters on its own."""

from __future__ import annotations

import asyncio
import random
from array import array

import pytest

from mastra_core.errors import ConfigurationError, IndexNotFoundError, InvalidInputError
from mastra_core.storage import InMemoryVector, LibSQLVector
from mastra_core.storage.vectors.checks import check_vector
from mastra_core.storage.vectors.filters import matches
from mastra_core.storage.vectors.nearest import Nearest
from mastra_core.testing.vectors.filter_cases import DOCUMENTS, FOUND, named


@pytest.mark.parametrize("store", [InMemoryVector, lambda: LibSQLVector(url=":memory:")], ids=["in memory", "libsql"])
def test_code_without_an_event_loop_does_everything_by_sync(store) -> None:
    """A script or a notebook saves, searches, changes and removes with the same names."""
    with store().sync as vectors:
        vectors.create_index("docs", dimension=2, metadata_indexes=["k"])
        assert vectors.list_indexes() == ["docs"]
        assert vectors.upsert("docs", vectors=[[1, 0], [0, 1]], ids=["a", "b"], metadata=[{"k": 1}, None]) == ["a", "b"]
        assert vectors.update_vector("docs", id="b", metadata={"k": 2}) == 1
        assert [match.id for match in vectors.query("docs", query_vector=[0, 1], filter={"k": {"$gte": 1}})] == ["b", "a"]
        vectors.delete_vector("docs", id="a")
        assert vectors.describe_index("docs").count == 1
        assert vectors.delete_vectors("docs", filter={"k": 2}) == 1
        vectors.delete_index("docs")
        with pytest.raises(IndexNotFoundError):
            vectors.query("docs", query_vector=[0, 1])


def test_a_store_of_another_event_loop_is_refused_with_the_mend(tmp_path) -> None:
    """A store belongs to the loop that used it first, as every store does."""
    vectors = LibSQLVector(url=f"file:{tmp_path}/v.db")
    asyncio.run(vectors.init())
    with pytest.raises(ConfigurationError, match="belongs to the event loop that used it first"):
        asyncio.run(vectors.list_indexes())


async def test_concurrent_first_calls_open_a_store_once(tmp_path, monkeypatch) -> None:
    """Using a store without init() just works, also by many at once; a failure is not remembered."""
    vectors = LibSQLVector(url=f"file:{tmp_path}/missing/v.db")
    with pytest.raises(Exception, match="the file cannot be opened"):
        await vectors.list_indexes()
    (tmp_path / "missing").mkdir()
    opened = []
    engine = vectors.guard.engine
    opening = engine.open

    async def count() -> None:
        opened.append(1)
        await opening()

    monkeypatch.setattr(engine, "open", count)
    assert await asyncio.gather(*(vectors.list_indexes() for _ in range(8))) == [[]] * 8
    assert len(opened) == 1
    await vectors.close()


def test_a_store_shows_its_id_and_never_where_it_connects_to() -> None:
    """A repr can be logged."""
    assert repr(LibSQLVector(url="file:./secret-place.db", id="v")) == "<LibSQLVector 'v'>"
    assert InMemoryVector().index_separator == "_"
    with pytest.raises(ConfigurationError, match="id must be a non-empty string"):
        InMemoryVector(id="")


def test_the_evaluator_can_be_asked_without_a_store() -> None:
    """`matches` is what the author of a backend compares with."""
    for asked, wanted in FOUND:
        assert {name for name, held in DOCUMENTS.items() if matches(asked, held)} == named(wanted), asked


class Number:
    """What numpy's 32-bit floats are to Python: a number that is no float."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return float(self.value)


def test_a_vector_is_any_sequence_of_numbers() -> None:
    """Lists, tuples, arrays, generators, and numbers of libraries."""
    for given in ([1, 2.5], (1, 2.5), array("d", [1, 2.5]), (number for number in (1, 2.5)), [Number(1), Number(2.5)]):
        assert check_vector(given, at="vector").tolist() == [1, 2.5]
    with pytest.raises(InvalidInputError, match=r"vector\[1\]"):
        check_vector([1, Number(float("nan"))], at="vector")


@pytest.mark.parametrize("wanted", [1, 3, 100])
def test_the_best_are_kept_however_they_come(wanted: int) -> None:
    """Of thousands the best are kept in order, by score and then by id, in memory for a few more."""
    chance = random.Random(wanted)
    given = [(chance.randrange(50) / 7, f"{number:04}") for number in range(3000)]
    chance.shuffle(given)
    nearest = Nearest[str](wanted)
    held = 0
    for score, name in given:
        if nearest.would_keep(score, name):
            nearest.add(score, name, name)
        held = max(held, len(nearest._held))
    assert nearest.best() == [name for _, name in sorted(given, key=lambda pair: (-pair[0], pair[1]))][:wanted]
    assert held <= 2 * wanted + 64
