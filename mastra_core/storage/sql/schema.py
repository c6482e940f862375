"""Tables and indexes of the kinds, as TypeScript declares them (contract §3.1, §3.2), plus indexes of ours.

Knows kinds and a dialect's column types; must not know any driver.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from mastra_core.storage.records.kind import Kind
from mastra_core.storage.sql.dialect import Dialect


@attrs.frozen
class Index:
    """An index: its name, its table and its columns as SQL text.

    Attributes:
        where: of which rows it is; "" for all.
        unique: whether no two rows may agree in the columns.
        using: the method, where it is not the database's default.
    """

    name: str
    kind: Kind[Any]
    columns: str
    where: str = ""
    unique: bool = False
    using: str = ""


def create_table(dialect: Dialect, kind: Kind[Any]) -> str:
    """The statement that makes a kind's table if it is not there."""
    single = kind.key[0] if len(kind.key) == 1 else None
    lines = []
    for field in kind.fields:
        for column in dialect.columns(field):
            must = "" if field.optional or column is not dialect.columns(field)[0] else " NOT NULL"
            lines.append(f'"{column.name}" {column.declared}{must}{" PRIMARY KEY" if field.name == single else ""}')
    if single is None:
        keys = ", ".join(f'"{kind.by_name[name].column}"' for name in kind.key)
        lines.append(f"UNIQUE ({keys})")
    return f"CREATE TABLE IF NOT EXISTS {dialect.table(kind)} ({', '.join(lines)})"


def create_index(dialect: Dialect, index: Index) -> str:
    """The statement that makes an index if it is not there."""
    table, unique = dialect.table(index.kind), "UNIQUE " if index.unique else ""
    using, where = f" USING {index.using}" if index.using else "", f" WHERE {index.where}" if index.where else ""
    return f'CREATE {unique}INDEX IF NOT EXISTS "{index.name}" ON {table}{using} ({index.columns}){where}'


def missing(dialect: Dialect, kinds: Iterable[Kind[Any]], indexes: Iterable[Index], *, found: Iterable[tuple[str, str]]) -> list[str]:
    """The statements that a database still needs, given the (table, column) and ("", index) pairs *found* in it.

    Only adds: tables, columns, indexes. A column that is added allows null, for the rows that are there.
    """
    there = set(found)
    tables = {table for table, _ in there}
    needed: list[str] = []
    for kind in kinds:
        if kind.name not in tables:
            needed.append(create_table(dialect, kind))
            continue
        columns = [column for field in kind.fields for column in dialect.columns(field)]
        needed += [
            f'ALTER TABLE {dialect.table(kind)} ADD COLUMN "{column.name}" {column.declared}'
            for column in columns
            if (kind.name, column.name) not in there
        ]
    return needed + [create_index(dialect, index) for index in indexes if ("", index.name) not in there]
