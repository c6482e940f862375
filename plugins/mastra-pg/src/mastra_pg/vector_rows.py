"""Rows of a vector table as matches. Knows JSON and pgvector's text; must not know statements."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from mastra_core.errors import StoredDataError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import load_json, undecodable
from mastra_core.storage.vectors.port import VectorMatch
from mastra_pg.vector_queries import score
from mastra_pg.vector_tables import Table


def match(table: Table, row: Sequence[Any]) -> VectorMatch:
    """The match of a row of id, distance, metadata and vector as text.

    Raises:
        StoredDataError: the metadata is no object, or a vector too large for 32-bit sums has no distance.
    """
    name, distance, metadata, vector = row
    if distance != distance:  # noqa: PLR0124  # only a NaN is not itself
        msg = f"the vector {name!r} of the index {table.name!r} cannot be compared: its numbers are too large. Scale it, or delete it"
        raise StoredDataError(msg)
    components = None if vector is None else tuple(array("f", map(float, vector[1:-1].split(","))))
    return VectorMatch(id=name, score=score(table.metric, distance), metadata=metadata_of(table, name, metadata), vector=components)


def metadata_of(table: Table, name: str, text: str | None) -> dict[str, Json]:
    """Stored metadata; none is an empty object, as TypeScript reads it.

    Raises:
        StoredDataError: it is no object.
    """
    kind = f"the vector index {table.name}"
    held = {} if text is None else load_json(text, kind=kind, key=(name,), field="metadata")
    if not isinstance(held, dict):
        raise undecodable(kind, (name,), "metadata", str(text), "is no JSON object")
    return held
