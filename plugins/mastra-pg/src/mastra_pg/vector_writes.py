"""The statements that write to a vector table, and count it (contract §8.3). Knows pgvector's SQL; opens no connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mastra_core.storage.vectors.checks import Row
from mastra_core.storage.vectors.floats import Packed
from mastra_pg.vector_filters import Pushed
from mastra_pg.vector_queries import Statement, as_text
from mastra_pg.vector_tables import NAMESPACE, Table

_MINE = f"namespace = '{NAMESPACE}'"


def upsert(table: Table, rows: Sequence[Row]) -> Statement:
    """Save all *rows*; in the order of their ids, so that two that save the same ones wait for each other, and not in a circle."""
    in_order = sorted(rows, key=lambda row: row.id)
    return Statement(
        f"INSERT INTO {table.relation} (vector_id, embedding, metadata, namespace) "
        f"SELECT r.id, r.vector::{table.extension.type(table.vector_type)}({table.dimension}), r.metadata::jsonb, '{NAMESPACE}' "
        "FROM unnest(%(ids)s::text[], %(vectors)s::text[], %(metadata)s::text[]) AS r (id, vector, metadata) "
        "ON CONFLICT (namespace, vector_id) DO UPDATE SET embedding = excluded.embedding, metadata = excluded.metadata",
        {
            "ids": [row.id for row in in_order],
            "vectors": [as_text(row.vector) for row in in_order],
            "metadata": [row.metadata for row in in_order],
        },
    )


def update(table: Table, *, vector: Packed | None, metadata: str | None) -> Statement:
    """Replace what is not None; a condition has to follow."""
    changes, values = [], dict[str, Any]()
    if vector is not None:
        changes.append(f"embedding = %(new_vector)s::{table.extension.type(table.vector_type)}({table.dimension})")
        values["new_vector"] = as_text(vector)
    if metadata is not None:
        changes.append("metadata = %(new_metadata)s::jsonb")
        values["new_metadata"] = metadata
    return Statement(f"UPDATE {table.relation} SET {', '.join(changes)}", values)


def delete(table: Table) -> Statement:
    """Remove; a condition has to follow."""
    return Statement(f"DELETE FROM {table.relation}", {})


def of_ids(statement: Statement, ids: Sequence[str]) -> Statement:
    """*statement* for the vectors of these ids."""
    return Statement(f"{statement.sql} WHERE {_MINE} AND vector_id = ANY (%(ids)s::text[])", {**statement.values, "ids": list(ids)})


def of_part(statement: Statement, part: Pushed) -> Statement:
    """*statement* for the vectors that *part* leaves."""
    return Statement(f"{statement.sql} WHERE {_MINE}{part.sql}", {**statement.values, **part.values})


def page(table: Table, part: Pushed, *, after: str, limit: int) -> Statement:
    """Some of what *part* leaves, locked until the transaction ends: ids past *after*, in order, and metadata."""
    return Statement(
        f'SELECT vector_id, metadata::text FROM {table.relation} WHERE {_MINE}{part.sql} AND vector_id COLLATE "C" > %(after)s::text '
        f'ORDER BY vector_id COLLATE "C" LIMIT {limit} FOR UPDATE',
        {**part.values, "after": after},
    )


def count(table: Table) -> str:
    """How many vectors there are."""
    return f"SELECT count(*) FROM {table.relation} WHERE {_MINE} AND embedding IS NOT NULL"
