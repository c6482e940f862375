"""Vector indexes as tables, made and read as the TypeScript package makes them (contract §8.4): names, columns, dimension, metric.

* A table an index: `{index}(id SERIAL PRIMARY KEY, vector_id TEXT UNIQUE NOT NULL, embedding F32_BLOB(N), metadata TEXT DEFAULT '{}')`.
* TypeScript knows cosine alone. Another metric stands as a comment in the table's own text, which it passes over: it comes and goes with
  the table, and a table without one is cosine.
* libSQL keeps a nearest-neighbour index beside the table, which plain SQLite can neither use nor maintain: an INSERT fails while it is
  there. It is dropped before our first write. TypeScript then searches the whole table, and its createIndex makes the index anew.

Knows sqlite_master and DDL; must not know vectors or filters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

import attrs

from mastra_core.errors import InvalidInputError, StoredDataError
from mastra_core.storage.libsql.driver import Connection
from mastra_core.storage.libsql.vector_filters import extracted
from mastra_core.storage.vectors.checks import check_no_twin, check_same_index
from mastra_core.storage.vectors.conditions import Path
from mastra_core.storage.vectors.engine import NoIndex
from mastra_core.storage.vectors.port import Metric

MAX_DIMENSION = 65_536
"""What libSQL's F32_BLOB takes."""

_TABLES = (
    "SELECT name, sql FROM sqlite_master AS m WHERE type = 'table' AND sql LIKE '%F32_BLOB%' "
    "AND (SELECT count(*) FROM pragma_table_info(m.name) WHERE name IN ('vector_id', 'embedding', 'metadata')) = 3"
)
_VECTOR_INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql LIKE '%libsql_vector_idx%'"
_DIMENSION = re.compile(r"F32_BLOB\s*\(\s*(\d+)\s*\)", re.IGNORECASE)
_METRIC = re.compile(r"/\* mastra metric: (\w+) \*/")
_SHADOWS = "libsql_vector_meta_shadow"


@attrs.frozen
class Table:
    """One index as its table says: the name, and what its vectors are."""

    name: str
    dimension: int
    metric: Metric


def tables(connection: Connection) -> list[str]:
    """The names of all vector tables."""
    return [name for name, _ in connection.execute(_TABLES)]


def table(connection: Connection, name: str) -> Table:
    """The index *name*.

    Raises:
        NoIndex: there is none.
        StoredDataError: its table says a dimension or metric that we do not know.
    """
    row = connection.execute(f"{_TABLES} AND name = ?", [name]).fetchone()
    if row is None:
        raise NoIndex(name)
    dimension, metric = _DIMENSION.search(row[1]), _METRIC.search(row[1])
    if dimension is None or (metric is not None and metric[1] not in get_args(Metric)):
        msg = f"the table of the vector index {name!r} says no dimension, or a metric we do not know; found {row[1]!r}. Upgrade mastra-core"
        raise StoredDataError(msg)
    return Table(name, int(dimension[1]), metric[1] if metric else "cosine")  # type: ignore[arg-type]  # compared with the metrics above


def lacks(connection: Connection, name: str, fields: Sequence[Path]) -> list[Path]:
    """Which of *fields* have no index of their own."""
    held = {found for (found,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", [name])}
    return [field for field in fields if _field_index(name, field) not in held]


def make(connection: Connection, wanted: Table, fields: Sequence[Path]) -> None:
    """Make the table and the indexes of *fields*, unless they are there.

    Raises:
        InvalidInputError: it is there with another dimension or metric, or something else has its name.
    """
    check_no_twin(wanted.name, known=tables(connection))
    try:
        held = table(connection, wanted.name)
    except NoIndex:
        _refuse_taken(connection, wanted.name)
        connection.execute(_create(wanted))
    else:
        check_same(wanted, held)
    for field in lacks(connection, wanted.name, fields):
        connection.execute(f'CREATE INDEX "{_field_index(wanted.name, field)}" ON "{wanted.name}" ({extracted(field)})')


def check_same(wanted: Table, held: Table) -> None:
    """Refuse to take *held* for *wanted*.

    Raises:
        InvalidInputError: dimension or metric differ.
    """
    check_same_index(wanted.name, dimension=wanted.dimension, metric=wanted.metric, held_dimension=held.dimension, held_metric=held.metric)


def drop(connection: Connection, name: str) -> None:
    """Remove the table, if there is one."""
    if name in tables(connection):
        make_writable(connection, name)
        connection.execute(f'DROP TABLE "{name}"')


def make_writable(connection: Connection, name: str) -> None:
    """Drop libSQL's own index of the table, with what belongs to it; inside the caller's transaction."""
    for (index,) in connection.execute(_VECTOR_INDEXES, [name]).fetchall():
        connection.execute(f'DROP INDEX "{index}"')
        connection.execute(f'DROP TABLE IF EXISTS "{index}_shadow"')
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [_SHADOWS]).fetchone():
            connection.execute(f"DELETE FROM {_SHADOWS} WHERE name = ?", [index])


def count(connection: Connection, name: str) -> int:
    """How many vectors the index has."""
    # libSQL's index is an empty tree to plain SQLite, which would count it because it is the smallest.
    way = "NOT INDEXED" if connection.execute(_VECTOR_INDEXES, [name]).fetchone() else ""
    return int(connection.execute(f'SELECT count(*) FROM "{name}" {way}').fetchone()[0])


def _create(wanted: Table) -> str:
    metric = "" if wanted.metric == "cosine" else f" /* mastra metric: {wanted.metric} */"
    return (
        f'CREATE TABLE "{wanted.name}" (id SERIAL PRIMARY KEY, vector_id TEXT UNIQUE NOT NULL, '
        f"embedding F32_BLOB({wanted.dimension}){metric}, metadata TEXT DEFAULT '{{}}')"
    )


def _refuse_taken(connection: Connection, name: str) -> None:
    if name.lower().startswith("sqlite_"):
        msg = f"the index {name!r}: SQLite keeps names that begin with 'sqlite_' to itself; use another name"
        raise InvalidInputError(msg)
    taken = connection.execute("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", [name]).fetchone()
    if taken is not None:
        msg = f"the index {name!r}: the database has a {taken[0]} of this name that holds no vectors; use another name"
        raise InvalidInputError(msg)


def _field_index(name: str, field: Path) -> str:
    # With a dot it can never be the name of a vector index.
    return ".".join((name, *field))
