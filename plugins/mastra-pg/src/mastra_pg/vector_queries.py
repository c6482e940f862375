"""The statements that search a vector table (contract §8.3). Knows pgvector's SQL; opens no connection.

A search has two parts in one statement. The first asks the nearest-neighbour index, which may find too few: it gives up when a filter
leaves little, and knows no vectors of zeros, which have no direction. Only then the second looks at every vector that the filter leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from mastra_core.storage.vectors.floats import Packed
from mastra_core.storage.vectors.port import Metric
from mastra_pg.vector_filters import Pushed
from mastra_pg.vector_layouts import OPERATORS
from mastra_pg.vector_tables import NAMESPACE, Table, indexed_expression

MOST = 2**62
"""Rows that a statement can be limited to."""

_ROW = "vector_id, metadata, embedding"
# Without statistics the planner takes a value to be rare, and would look for the namespace instead of the nearest.
_MINE = f"coalesce(namespace = '{NAMESPACE}', true) AND embedding IS NOT NULL"
_ORDER = 'distance, vector_id COLLATE "C"'


@attrs.frozen
class Statement:
    """SQL with named parameters."""

    sql: str
    values: dict[str, Any]


def nearest(table: Table, vector: Packed, part: Pushed, *, limit: int, with_vector: bool) -> Statement:
    """The first *limit* of what *part* leaves, the nearest first: id, distance, metadata and vector as text."""
    limit = min(limit, MOST)
    shown = "embedding::text" if with_vector else "NULL"
    last = f"SELECT vector_id, distance, metadata::text, {shown} FROM best ORDER BY {_ORDER} LIMIT {limit}"
    every = f"SELECT {_ROW}, {_distance(table)} AS distance FROM {table.relation} WHERE {_MINE}{part.sql}"
    values = {**part.values, "asked": as_text(vector)}
    if table.nearness is None or not any(vector):
        return Statement(f"WITH best AS ({every} ORDER BY {_ORDER} LIMIT {limit}) {last}", values)
    near, comparable, full = _near(table), "", ""
    if table.metric == "cosine":
        comparable, full = f" AND {_raw_distance(table)} <> 'NaN'::float8", " WHERE distance < 1"
    # An index of 16-bit copies orders by them: what it gives is put in order by the vectors themselves.
    wider = min(2 * limit + 20, MOST) if table.nearness.vector_type != table.vector_type else limit
    return Statement(
        f"WITH near AS MATERIALIZED (SELECT {_ROW}, {_raw_distance(table)} AS distance FROM {table.relation} "
        f"WHERE {_MINE}{comparable}{part.sql} ORDER BY {near} FETCH FIRST {wider} ROWS WITH TIES), "
        f"enough AS MATERIALIZED (SELECT count(*) >= {limit} AS yes FROM near{full}), "
        f"whole AS ({every} AND NOT (SELECT yes FROM enough) ORDER BY {_ORDER} LIMIT {limit}), "
        f"best AS (SELECT * FROM near WHERE (SELECT yes FROM enough) UNION ALL SELECT * FROM whole) {last}",
        values,
    )


def places(table: Table, vector: Packed, part: Pushed) -> Statement:
    """Where all that *part* leaves lies, the nearest first: ctid and distance."""
    return Statement(
        f"SELECT ctid::text, {_distance(table)} AS distance FROM {table.relation} WHERE {_MINE}{part.sql} ORDER BY {_ORDER}",
        {**part.values, "asked": as_text(vector)},
    )


def rows_at(table: Table, *, with_vector: bool) -> str:
    """The statement that reads what lies at some places, in no order: ctid, id, metadata and vector as text."""
    shown = "embedding::text" if with_vector else "NULL"
    return f"SELECT ctid::text, vector_id, metadata::text, {shown} FROM {table.relation} WHERE ctid = ANY (%(places)s::tid[])"


def score(metric: Metric, distance: float) -> float:
    """How near a vector is at pgvector's *distance*; higher is nearer."""
    if metric == "euclidean":
        return 1 / (1 + distance)
    return 1 - distance if metric == "cosine" else -distance


def as_text(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector))}]"


def _near(table: Table) -> str:
    """The expression that the index is ordered by."""
    nearness, extension = table.nearness, table.extension
    assert nearness is not None
    held = indexed_expression(table.vector_type, nearness, table.dimension, extension)
    return f"{held} {extension.operator(OPERATORS[table.metric])} %(asked)s::{extension.type(nearness.vector_type)}"


def _raw_distance(table: Table) -> str:
    extension = table.extension
    return f"(embedding {extension.operator(OPERATORS[table.metric])} %(asked)s::{extension.type(table.vector_type)})"


def _distance(table: Table) -> str:
    """The distance in a form that no index is of; a vector of zeros has no direction, and is as far as what is across."""
    raw = _raw_distance(table)
    return f"coalesce(nullif({raw}, 'NaN'::float8), 1)" if table.metric == "cosine" else f"({raw} + 0)"
