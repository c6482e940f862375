"""Vector indexes as tables, made and read as the TypeScript package makes them (contract §8.3): names, columns, dimension, metric.

* A table an index: `{index}(id SERIAL PRIMARY KEY, vector_id TEXT NOT NULL, embedding vector(N), metadata JSONB, namespace VARCHAR(255)
  NOT NULL DEFAULT 'default')`, unique by namespace and vector_id. We keep to the namespace 'default'.
* The metric is that of the nearest-neighbour index; where there is none, a comment on the table says it; without one it is cosine.
* Tables of older versions of the package have no namespace, and are unique by vector_id.

Knows the catalogs and DDL; must not know vectors, filters or connections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import attrs

from mastra_core.errors import InvalidInputError
from mastra_core.storage.vectors.checks import check_same_index
from mastra_core.storage.vectors.conditions import Path
from mastra_core.storage.vectors.port import Metric
from mastra_pg.names import qualified, quoted
from mastra_pg.vector_filters import extracted
from mastra_pg.vector_layouts import Hnsw, IvfFlat, Layout, Nearness, VectorType, indexed, metric_of, operator_class, with_clause
from mastra_pg.vector_names import field_index, unique_index, vector_index

NAMESPACE = "default"

EXTENSION = (
    "SELECT n.nspname, e.extversion FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
)

_TABLES = """
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS e ON e.attrelid = c.oid AND e.attname = 'embedding' AND NOT e.attisdropped AND e.atttypmod > 0
JOIN pg_type AS t ON t.oid = e.atttypid AND t.typname IN ('vector', 'halfvec')
WHERE c.relkind IN ('r', 'p') AND n.nspname = coalesce(%(schema)s::text, current_schema()) AND 2 = (
  SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND NOT a.attisdropped
  AND (a.attname, a.atttypid) IN (('vector_id', 'text'::regtype), ('metadata', 'jsonb'::regtype)))
"""

NAMES = f"SELECT c.relname {_TABLES}"
"""The names of all vector tables."""

DESCRIPTION = f"""
SELECT c.oid::bigint, e.atttypmod, t.typname, obj_description(c.oid, 'pg_class'),
  EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'namespace' AND NOT a.attisdropped),
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'oid', i.indexrelid::bigint, 'name', ic.relname, 'method', am.amname, 'class', oc.opcname, 'options', to_jsonb(ic.reloptions),
      'valid', i.indisvalid, 'unique', i.indisunique, 'expression', pg_get_expr(i.indexprs, i.indrelid),
      'columns', (SELECT jsonb_agg(ia.attname ORDER BY ia.attnum) FROM pg_attribute AS ia WHERE ia.attrelid = i.indexrelid),
      'constraint', (SELECT min(pc.conname) FROM pg_constraint AS pc WHERE pc.conindid = i.indexrelid)
    ) ORDER BY i.indexrelid), '[]'::jsonb)::text
    FROM pg_index AS i
    JOIN pg_class AS ic ON ic.oid = i.indexrelid
    JOIN pg_am AS am ON am.oid = ic.relam
    LEFT JOIN pg_opclass AS oc ON oc.oid = i.indclass[0]
    WHERE i.indrelid = c.oid)
{_TABLES} AND c.relname = %(name)s
"""
"""All that is known of one vector table, for `described`."""

SAME = (
    "SELECT to_regclass(%(relation)s)::oid::bigint, "
    "ARRAY(SELECT indexrelid::bigint FROM pg_index WHERE indrelid = to_regclass(%(relation)s) AND indisvalid ORDER BY 1)"
)
"""What tells a table, with its indexes, from another that was made in its place."""

_METRIC = re.compile(r"mastra metric: (\w+)")


@attrs.frozen(kw_only=True)
class Extension:
    """pgvector as a database has it."""

    schema: str
    version: tuple[int, ...]

    @property
    def iterative(self) -> bool:
        """Whether an index can be asked again while a filter leaves too few: from 0.8."""
        return self.version >= (0, 8)

    def type(self, name: VectorType) -> str:
        """A type, wherever the extension is and whatever the search path."""
        return f'{quoted(self.schema)}."{name}"'

    def operator(self, sign: str) -> str:
        """An operator, likewise."""
        return f"OPERATOR({quoted(self.schema)}.{sign})"


@attrs.frozen(kw_only=True)
class Table:
    """One index as its table says.

    Attributes:
        name: of the index and the table.
        relation: the table as statements name it.
        dimension: of the vectors.
        metric: of the scores.
        vector_type: of the column.
        nearness: the nearest-neighbour index; None where there is none.
        identity: what `SAME` answers as long as this description holds.
        fields: the indexed expressions of metadata, as PostgreSQL shows them.
        invalid: names of indexes whose making broke off.
        schema: where the table is; None: the first of the search path.
        mends: what has to be run before the table is like ours, of an older one.
        extension: pgvector.
    """

    name: str
    relation: str
    dimension: int
    metric: Metric
    vector_type: VectorType
    nearness: Nearness | None
    identity: tuple[int, tuple[int, ...]]
    fields: frozenset[str]
    invalid: frozenset[str]
    schema: str | None
    mends: tuple[str, ...]
    extension: Extension

    def lacks(self, fields: Sequence[Path]) -> list[Path]:
        """Which of *fields* have no index of their own."""
        return [field for field in fields if _shown(field) not in self.fields]


@attrs.frozen(kw_only=True)
class Wanted:
    """An index as it was asked for."""

    name: str
    dimension: int
    metric: Metric
    layout: Layout
    fields: Sequence[Path]


def check_same(wanted: Wanted, held: Table, *, layout: bool) -> None:
    """Refuse to take *held* for *wanted*; where *layout* was asked for, of another kind or column type too.

    Raises:
        InvalidInputError: they differ.
    """
    name = wanted.name
    check_same_index(name, dimension=wanted.dimension, metric=wanted.metric, held_dimension=held.dimension, held_metric=held.metric)
    expected = indexed(wanted.layout, wanted.dimension)
    asked = (_kind(expected), wanted.layout.vector_type)
    if layout and asked != (_kind(held.nearness), held.vector_type):
        msg = (
            f"the index {name!r} is there already, {_kind(held.nearness)} over {held.vector_type}; asked for was {asked[0]} over "
            f"{asked[1]}. Use another name, or delete_index({name!r}) first (its vectors go too)"
        )
        raise InvalidInputError(msg)


def _kind(nearness: Nearness | None) -> str:
    return "Flat" if nearness is None else type(nearness.kind).__name__


def extension(row: Sequence[Any]) -> Extension:
    """What a row of `EXTENSION` says."""
    return Extension(schema=row[0], version=tuple(int(part) for part in re.findall(r"\d+", row[1])))


def described(name: str, row: Sequence[Any], indexes: Sequence[Mapping[str, Any]], *, schema: str | None, extension: Extension) -> Table:
    """What a row of `DESCRIPTION` says, its last column decoded as *indexes*."""
    oid, dimension, vector_type, comment, namespaced, _ = row
    valid = [index for index in indexes if index["valid"]]
    near = next((index for index in valid if index["method"] in {"hnsw", "ivfflat"} and metric_of(index["class"])), None)
    said = _METRIC.search(comment or "")
    metric = metric_of(near["class"]) if near else said[1] if said and said[1] in get_args(Metric) else "cosine"
    relation = qualified(name, schema)
    return Table(
        name=name,
        relation=relation,
        dimension=dimension,
        metric=metric,  # type: ignore[arg-type]  # compared with the metrics above
        vector_type=vector_type,
        nearness=None if near is None else _nearness(near),
        identity=(oid, tuple(index["oid"] for index in valid)),
        fields=frozenset(index["expression"] for index in valid if index["expression"]),
        invalid=frozenset(index["name"] for index in indexes if not index["valid"]),
        schema=schema,
        mends=tuple(_mends(name, relation, valid, namespaced=namespaced, schema=schema)),
        extension=extension,
    )


def _nearness(index: Mapping[str, Any]) -> Nearness:
    options = dict(option.split("=", 1) for option in index["options"] or ())
    kind: Hnsw | IvfFlat = IvfFlat(lists=int(options.get("lists", 100))) if index["method"] == "ivfflat" else Hnsw()
    return Nearness(kind=kind, vector_type="halfvec" if index["class"].startswith("halfvec") else "vector")


def _mends(name: str, relation: str, indexes: Sequence[Mapping[str, Any]], *, namespaced: bool, schema: str | None) -> list[str]:
    """The statements that make an older table unique by namespace and vector_id."""
    found = [] if namespaced else [f"ALTER TABLE {relation} ADD COLUMN namespace VARCHAR(255) NOT NULL DEFAULT '{NAMESPACE}'"]
    unique = [index for index in indexes if index["unique"]]
    if not any(index["columns"] == ["namespace", "vector_id"] for index in unique):
        found.append(_create_unique(name, relation))
    for index in unique:
        if index["columns"] == ["vector_id"] and index["constraint"]:
            found.append(f"ALTER TABLE {relation} DROP CONSTRAINT {quoted(index['constraint'])}")
        elif index["columns"] == ["vector_id"]:
            found.append(f"DROP INDEX {qualified(index['name'], schema)}")
    return found


def creation(wanted: Wanted, *, schema: str | None, extension: Extension) -> list[str]:
    """The statements that make a table and its indexes."""
    name, dimension, metric, layout = wanted.name, wanted.dimension, wanted.metric, wanted.layout
    relation, nearness = qualified(name, schema), indexed(layout, dimension)
    table = (
        f"CREATE TABLE {relation} (id SERIAL PRIMARY KEY, vector_id TEXT NOT NULL, "
        f"embedding {extension.type(layout.vector_type)}({dimension}), metadata JSONB DEFAULT '{{}}'::jsonb, "
        f"namespace VARCHAR(255) NOT NULL DEFAULT '{NAMESPACE}')"
    )
    found = [table, _create_unique(name, relation)]
    if nearness is None:
        found.append(f"COMMENT ON TABLE {relation} IS 'mastra metric: {metric}'")
    else:
        column = f"({indexed_expression(layout.vector_type, nearness, dimension, extension)})"
        method, parameters = "ivfflat" if isinstance(nearness.kind, IvfFlat) else "hnsw", with_clause(nearness.kind)
        order = f"{quoted(extension.schema)}.{operator_class(nearness.vector_type, metric)}"
        found.append(f"CREATE INDEX {quoted(vector_index(name))} ON {relation} USING {method} ({column} {order}) {parameters}")
    return [*found, *(create_field_index(name, relation, field) for field in wanted.fields)]


def create_field_index(name: str, relation: str, field: Path, *, concurrently: bool = False) -> str:
    """The statement that makes the index of a field."""
    how = "CONCURRENTLY IF NOT EXISTS " if concurrently else ""
    return f"CREATE INDEX {how}{quoted(field_index(name, field))} ON {relation} ({extracted(field)})"


def indexed_expression(column: VectorType, nearness: Nearness, dimension: int, extension: Extension) -> str:
    """What an index compares: the column, or a copy of it with 16 bits a component."""
    return "embedding" if column == nearness.vector_type else f"(embedding::{extension.type(nearness.vector_type)}({dimension}))"


def _create_unique(name: str, relation: str) -> str:
    return f"CREATE UNIQUE INDEX {quoted(unique_index(name))} ON {relation} (namespace, vector_id)"


def _shown(field: Path) -> str:
    """The expression of a field's index as PostgreSQL shows it."""
    return f"(metadata ->> '{field[0]}'::text)" if len(field) == 1 else f"(metadata #>> '{{{','.join(field)}}}'::text[])"
