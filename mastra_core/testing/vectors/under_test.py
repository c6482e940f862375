"""The vector store under test: how it is opened, and what the contracts save."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest_asyncio

from mastra_core.storage.vectors.port import Metric, VectorMatch, VectorStore
from mastra_core.testing.contract import Contract

TOLERANCE = 1e-5
"""How far a score may lie from the exact one: backends compute in 32-bit floats."""


class VectorsUnderTest(Contract):
    """What a backend supplies, and the fixture made of it."""

    def open_vectors(self) -> AbstractAsyncContextManager[VectorStore]:
        """An async context manager: a VectorStore without indexes, over a database of its own; nothing of it is left on exit."""
        msg = f"{type(self).__name__} must define open_vectors(self): an async context manager that gives a VectorStore without indexes"
        raise NotImplementedError(msg)

    @pytest_asyncio.fixture
    async def vectors(self) -> AsyncIterator[VectorStore]:
        """A fresh vector store."""
        async with self.open_vectors() as store:
            try:
                yield store
            finally:
                await store.close()


async def filled(
    store: VectorStore,
    rows: Mapping[str, Sequence[float]],
    *,
    name: str = "docs",
    metric: Metric = "cosine",
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """An index of *rows*, vectors by id, with *metadata* by id where there is some."""
    await store.create_index(name, dimension=len(next(iter(rows.values()))), metric=metric)
    given = [(metadata or {}).get(row) for row in rows]
    await store.upsert(name, vectors=list(rows.values()), metadata=given, ids=list(rows))


async def every(store: VectorStore, name: str = "docs", *, like: Sequence[float], **options: Any) -> list[VectorMatch]:
    """All vectors of an index, the nearest to *like* first."""
    return await store.query(name, query_vector=like, top_k=10_000, **options)


def ids(matches: Sequence[VectorMatch]) -> list[str]:
    """The ids of *matches*, in order."""
    return [match.id for match in matches]


def assert_close(found: float, expected: float) -> None:
    """Assert that a score is what it should be, as far as 32-bit floats tell."""
    assert abs(found - expected) <= TOLERANCE * max(1.0, abs(expected)), f"score {found!r}, expected {expected!r}"


def in_32_bits(vector: Sequence[float] | None) -> list[float]:
    """*vector* as 32-bit floats keep it."""
    assert vector is not None, "the match carries no vector"
    return list(array("f", vector))
