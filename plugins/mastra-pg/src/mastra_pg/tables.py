"""The tables of PostgreSQL and where they are: what is compared with `Schema`. Opens no connection.

The catalogs are asked, and not the information schema: that one shows a role only what it has a right to.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.storage.sql import schema as sql
from mastra_core.storage.sql.migrate import NAMESPACE, TABLE, Schema
from mastra_pg.dialect import PostgreSQLDialect, dialect_of
from mastra_pg.indexes import DEFAULTS, Index
from mastra_pg.names import literal, prefixed, qualified, quoted

_NOW = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"


@attrs.frozen(eq=False, kw_only=True)
class Layout:
    """Where the tables of a store are, and what they are made of.

    Attributes:
        dialect: how statements name the tables.
        schema: the tables and indexes.
        halves: the statement that gives the name of every index whose making broke off, unless somebody is making it now.
        at_once: the names of the indexes that writers wait for while they are made.
        custom: the names of those that the option `indexes` asks for.
    """

    dialect: PostgreSQLDialect
    schema: Schema
    halves: str
    at_once: frozenset[str] = frozenset()
    custom: frozenset[str] = frozenset()


def layout(schema_name: str | None = None, *, skip_default_indexes: bool = False, indexes: Sequence[Index] = ()) -> Layout:
    """The layout of a store.

    Args:
        schema_name: where the tables are, checked before; None: the first schema of the search path.
        skip_default_indexes: whether to leave out every index but *indexes*.
        indexes: more of them.

    Raises:
        ConfigurationError: two indexes have the same name.
    """
    dialect = dialect_of(schema_name)
    names = prefixed([index.name for index in DEFAULTS], schema_name)
    made = [] if skip_default_indexes else [attrs.evolve(index, name=names[index.name]) for index in DEFAULTS]
    custom = [index.sql(dialect) for index in indexes]
    taken = set(names.values())
    for index in custom:
        if index.name in taken:
            msg = f"indexes: there are two indexes of the name {index.name!r}, or the store has one itself; choose another name"
            raise ConfigurationError(msg)
        taken.add(index.name)
    at = "current_schema()" if schema_name is None else literal(schema_name)
    ours = f"JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = {at} AND c.relkind IN"
    return Layout(
        dialect=dialect,
        schema=_schema(dialect, [*made, *custom], ours),
        halves=(
            f"SELECT c.relname FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid {ours} ('i', 'I') AND NOT i.indisvalid "
            "AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.datname = current_database() AND p.index_relid = c.oid)"
        ),
        at_once=frozenset(made.name for made, index in zip(custom, indexes, strict=True) if not index.concurrent),
        custom=frozenset(index.name for index in custom),
    )


def _schema(dialect: PostgreSQLDialect, indexes: Sequence[sql.Index], ours: str) -> Schema:
    columns = (
        f"SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid {ours} ('r', 'p') "
        "AND c.relname LIKE 'mastra\\_%' AND a.attnum > 0 AND NOT a.attisdropped"
    )
    catalog = [
        columns,
        f"SELECT '', c.relname FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid AND i.indisvalid {ours} ('i', 'I')",
    ]
    namespace = None
    if dialect.schema is not None:
        catalog.append(f"SELECT '{NAMESPACE}', nspname FROM pg_namespace WHERE nspname = {literal(dialect.schema)}")
        # Refused to whom may not make one, even where it is there: so it is run where it is not.
        namespace = (dialect.schema, f"CREATE SCHEMA IF NOT EXISTS {quoted(dialect.schema)}")
    return Schema(
        dialect=dialect,
        indexes=indexes,
        catalog=" UNION ALL ".join(catalog),
        tables=f"SELECT count(*) FROM pg_class AS c {ours} ('r', 'p') AND c.relname IN ({{}})",
        now=_NOW,
        record=qualified(TABLE, dialect.schema),
        namespace=namespace,
    )


DEFAULT = layout()
"""The first schema of the search path, and every index."""

SCHEMA = DEFAULT.schema
