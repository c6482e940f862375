"""Rows of a vector table: saved, searched, changed (contract §8.4).

A search looks at every vector that the filter leaves, so its answer is exact. What SQLite decides of the filter is in the statement; the
rest is decided here while rows stream by, and no more of them are held than are wanted. Knows statements; must not know threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from mastra_core.errors import StoredDataError
from mastra_core.storage.libsql import distances
from mastra_core.storage.libsql.driver import Connection, Error
from mastra_core.storage.libsql.vector_filters import Pushed, pushed
from mastra_core.storage.libsql.vector_tables import Table, make_writable
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import load_json, undecodable
from mastra_core.storage.vectors.checks import Target
from mastra_core.storage.vectors.conditions import ALWAYS, NEVER, Condition, met
from mastra_core.storage.vectors.engine import Search
from mastra_core.storage.vectors.floats import BYTES, from_bytes
from mastra_core.storage.vectors.looking import LOOKED_AT
from mastra_core.storage.vectors.nearest import Nearest
from mastra_core.storage.vectors.port import VectorMatch

CHUNK = 500
"""Rows that are changed by one statement."""

NO_SCORE = math.inf
"""In place of a score that cannot be computed: the highest, so that a search meets with it and says so, and does not pass it over."""

_Row = tuple[str, float, str | None, bytes | None]


def upsert(connection: Connection, index: str, rows: Sequence[tuple[str, bytes, str]]) -> None:
    """Save rows of id, blob and metadata."""
    make_writable(connection, index)
    connection.executemany(
        f'INSERT INTO "{index}" (vector_id, embedding, metadata) VALUES (?, ?, ?) '
        "ON CONFLICT (vector_id) DO UPDATE SET embedding = excluded.embedding, metadata = excluded.metadata",
        rows,
    )


def found(connection: Connection, table: Table, search: Search) -> list[VectorMatch]:
    """The matches of *search*, the nearest first.

    Raises:
        StoredDataError: a vector's blob or metadata cannot be decoded.
    """
    if search.condition == NEVER:
        return []
    part = pushed(search.condition)
    values = {**distances.parameters(search.vector), **part.values}
    with naming_the_bad(connection, table.name):
        limit = search.top_k if part.rest == ALWAYS else LOOKED_AT * search.top_k
        # Closed at once, also when a row is refused: an open cursor would keep its connection in the past.
        with closing(connection.execute(_nearest_rows(connection, table, search, part, limit), values)) as rows:
            near = [_match(table, row) for row in rows]
        best = [match for match in near if met(part.rest, match.metadata)][: search.top_k]
        if len(best) == search.top_k or len(near) < limit:
            return best
        # The wanted ones are rare.
        nearest = Nearest[VectorMatch](search.top_k)
        with closing(connection.execute(_every_row(connection, table, search, part), values)) as rows:
            for row in rows:
                if nearest.would_keep(row[1], row[0]):
                    match = _match(table, row)
                    if met(part.rest, match.metadata):
                        nearest.add(match.score, match.id, match)
        return nearest.best()


def _nearest_rows(connection: Connection, table: Table, search: Search, part: Pushed, limit: int) -> str:
    """The nearest, in order. Metadata is read of those alone."""
    embedding = "held.embedding" if search.include_vector else "NULL"
    return (
        f"WITH near AS (SELECT rowid AS place, vector_id, {_score(connection, table)} AS score {_source(table, part)} "
        f"ORDER BY score DESC, vector_id LIMIT {min(limit, 2**62)}) "
        f'SELECT near.vector_id, near.score, held.metadata, {embedding} FROM near JOIN "{table.name}" AS held ON held.rowid = near.place '
        "ORDER BY near.score DESC, near.vector_id"
    )


def _every_row(connection: Connection, table: Table, search: Search, part: Pushed) -> str:
    """All candidates, in any order."""
    embedding = "embedding" if search.include_vector else "NULL"
    return f"SELECT vector_id, {_score(connection, table)}, metadata, {embedding} {_source(table, part)}"


def _source(table: Table, part: Pushed) -> str:
    return f'FROM "{table.name}" WHERE embedding IS NOT NULL{part.sql}'


def _score(connection: Connection, table: Table) -> str:
    score = distances.score(connection, table.metric)
    return f"CASE length(embedding) WHEN {table.dimension * BYTES} THEN ifnull({score}, 9e999) ELSE 9e999 END"


def _match(table: Table, row: _Row) -> VectorMatch:
    name, score, metadata, embedding = row
    if score == NO_SCORE:
        msg = (
            f"the vector {name!r} of the index {table.name!r} cannot be compared: its blob is not {table.dimension} finite 32-bit floats. "
            "Save it again, or delete it"
        )
        raise StoredDataError(msg)
    vector = None if embedding is None else tuple(from_bytes(embedding))
    return VectorMatch(id=name, score=score, metadata=_decoded(table.name, name, metadata), vector=vector)


def _decoded(index: str, name: str, text: str | None) -> dict[str, Json]:
    """Stored metadata; none is an empty object, as TypeScript reads it."""
    kind = f"the vector index {index}"
    held = {} if text is None else load_json(text, kind=kind, key=(name,), field="metadata")
    if not isinstance(held, dict):
        raise undecodable(kind, (name,), "metadata", text, "is no JSON object")
    return held


def changed(connection: Connection, index: str, target: Target, statement: str, values: Sequence[Any]) -> int:
    """Run *statement*, an UPDATE or DELETE without a condition, for the vectors meant; how many there were."""
    make_writable(connection, index)
    if target.ids is None:
        parts, column = _meant(connection, index, target.condition), "rowid"
    else:
        parts, column = (target.ids[start : start + CHUNK] for start in range(0, len(target.ids), CHUNK)), "vector_id"
    count = 0
    for part in parts:
        places = ", ".join("?" * len(part))
        count += connection.execute(f"{statement} WHERE {column} IN ({places})", [*values, *part]).rowcount
    return count


def _meant(connection: Connection, index: str, condition: Condition) -> Iterator[Sequence[Any]]:
    """The row ids of what meets *condition*, some at a time, so that they can be changed in between."""
    part = pushed(condition)
    sql = f'SELECT rowid, vector_id, metadata FROM "{index}" WHERE rowid > :after{part.sql} ORDER BY rowid LIMIT {CHUNK}'
    after = -(2**63)
    while condition != NEVER:
        with naming_the_bad(connection, index):
            rows = connection.execute(sql, {"after": after, **part.values}).fetchall()
        yield [place for place, name, text in rows if met(part.rest, _decoded(index, name, text))]
        if len(rows) < CHUNK:
            return
        after = rows[-1][0]


@contextmanager
def naming_the_bad(connection: Connection, index: str) -> Iterator[None]:
    """Where SQLite meets with metadata that is no JSON, raise an error that names the vector.

    Raises:
        StoredDataError: the metadata of a vector is no JSON.
    """
    try:
        yield
    except Error as error:
        if "malformed JSON" not in str(error):
            raise
        sql = f'SELECT vector_id, metadata FROM "{index}" NOT INDEXED WHERE NOT json_valid(metadata)'
        bad = connection.execute(sql).fetchone()
        if bad is None:
            raise
        raise undecodable(f"the vector index {index}", (bad[0],), "metadata", bad[1], "is no JSON") from error
