"""InMemoryVector: vectors that are forgotten when the process ends, as strict as a database. Knows the vector port alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from mastra_core.storage.records.engine import Fault
from mastra_core.storage.records.wire import decode_json
from mastra_core.storage.vectors.checks import Row, Target, check_fits, check_no_twin, check_same_index
from mastra_core.storage.vectors.conditions import Path, met
from mastra_core.storage.vectors.engine import NoIndex, Search
from mastra_core.storage.vectors.floats import Packed, nearness
from mastra_core.storage.vectors.nearest import Nearest
from mastra_core.storage.vectors.port import IndexDescription, Metric, VectorMatch
from mastra_core.storage.vectors.vectors import Vectors


@attrs.frozen
class _Index:
    dimension: int
    metric: Metric
    rows: dict[str, Row] = attrs.Factory(dict)


class InMemoryVectorEngine:
    """Everything of the vector port, in this process; metadata is kept as JSON text, so that nothing is shared with callers."""

    driver_errors: tuple[type[BaseException], ...] = ()

    def __init__(self) -> None:
        self.indexes: dict[str, _Index] = {}

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to release; the vectors stay with the object."""

    async def create_index(self, name: str, *, dimension: int, metric: Metric, metadata_indexes: Sequence[Path]) -> None:
        """An empty index; every field is as quick to ask for as any."""
        held = self.indexes.get(name)
        if held is not None:
            check_same_index(name, dimension=dimension, metric=metric, held_dimension=held.dimension, held_metric=held.metric)
            return
        check_no_twin(name, known=self.indexes)
        self.indexes[name] = _Index(dimension, metric)

    async def list_indexes(self) -> list[str]:
        return list(self.indexes)

    async def describe_index(self, name: str) -> IndexDescription:
        index = self._index(name)
        return IndexDescription(dimension=index.dimension, count=len(index.rows), metric=index.metric)

    async def delete_index(self, name: str) -> None:
        self.indexes.pop(name, None)

    async def upsert(self, name: str, rows: Sequence[Row]) -> None:
        index = self._index(name)
        check_fits(name, dimension=index.dimension, vectors=(row.vector for row in rows))
        index.rows.update({row.id: row for row in rows})

    async def query(self, name: str, search: Search) -> list[VectorMatch]:
        index = self._index(name)
        check_fits(name, dimension=index.dimension, vectors=[search.vector])
        nearest, near = Nearest[tuple[Row, float]](search.top_k), nearness(index.metric, search.vector)
        for row in self._meant(index, Target(None, search.condition)):
            score = near(row.vector)
            nearest.add(score, row.id, (row, score))
        return [
            VectorMatch(
                id=row.id,
                score=score,
                metadata=_decoded(row),
                vector=tuple(row.vector) if search.include_vector else None,
            )
            for row, score in nearest.best()
        ]

    async def update(self, name: str, target: Target, *, vector: Packed | None, metadata: str | None) -> int:
        index = self._index(name)
        if vector is not None:
            check_fits(name, dimension=index.dimension, vectors=[vector])
        meant = self._meant(index, target)
        for row in meant:
            index.rows[row.id] = Row(row.id, row.vector if vector is None else vector, row.metadata if metadata is None else metadata)
        return len(meant)

    async def delete(self, name: str, target: Target) -> int:
        index = self._index(name)
        meant = self._meant(index, target)
        for row in meant:
            del index.rows[row.id]
        return len(meant)

    def diagnose(self, error: BaseException) -> Fault | None:
        """No driver, no driver errors."""
        _ = error
        return None

    def _index(self, name: str) -> _Index:
        index = self.indexes.get(name)
        if index is None:
            raise NoIndex(name)
        return index

    def _meant(self, index: _Index, target: Target) -> list[Row]:
        if target.ids is not None:
            return [index.rows[name] for name in target.ids if name in index.rows]
        return [row for row in index.rows.values() if met(target.condition, _decoded(row))]


def _decoded(row: Row) -> Any:
    return decode_json(row.metadata)


class InMemoryVector(Vectors):
    """Everything in this process, as strict as a database.

    Args:
        id: its name in errors and logs.
    """

    def __init__(self, *, id: str = "in-memory") -> None:  # the option's fixed name
        super().__init__(InMemoryVectorEngine(), id=id, product="inmemory")
