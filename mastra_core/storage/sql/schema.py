"""Tables and indexes of the kinds, as TypeScript declares them (contract §3.1, §3.2), plus indexes of ours.

Knows kinds and a dialect's column types; must not know any driver.
"""

from __future__ import annotations

from typing import Any

import attrs

from mastra_core.storage.records.kind import Kind
from mastra_core.storage.sql.dialect import Column, Dialect


@attrs.frozen
class Index:
    """An index: its name, its table and its columns as SQL text.

    Attributes:
        where: of which rows it is; "" for all.
        unique: whether no two rows may agree in the columns.
        using: the method, where it is not the database's default.
        options: what the database calls its storage and place, ready to stand behind the columns.
    """

    name: str
    kind: Kind[Any]
    columns: str
    where: str = ""
    unique: bool = False
    using: str = ""
    options: str = ""


def create_table(dialect: Dialect, kind: Kind[Any]) -> str:
    """The statement that makes a kind's table if it is not there."""
    single = kind.key[0] if len(kind.key) == 1 else None
    lines = []
    for field in kind.fields:
        for column in dialect.columns(field):
            must = "" if field.optional or column is not dialect.columns(field)[0] else " NOT NULL"
            default = f" DEFAULT {column.default}" if column.default else ""
            lines.append(f'"{column.name}" {column.declared}{default}{must}{" PRIMARY KEY" if field.name == single else ""}')
    if single is None:
        keys = ", ".join(f'"{kind.by_name[name].column}"' for name in kind.key)
        lines.append(f"UNIQUE ({keys})")
    return f"CREATE TABLE IF NOT EXISTS {dialect.table(kind)} ({', '.join(lines)})"


def add_column(dialect: Dialect, kind: Kind[Any], column: Column, *, fill: bool) -> str:
    """The statements that add a column; in the rows that are there it is null, or what *fill* says it is."""
    table = dialect.table(kind)
    texts = [f'ALTER TABLE {table} ADD COLUMN "{column.name}" {column.declared}']
    if fill:
        texts.append(f'UPDATE {table} SET "{column.name}" = {column.fill}')
    if column.default:
        texts.append(f'ALTER TABLE {table} ALTER COLUMN "{column.name}" SET DEFAULT {column.default}')
    return "; ".join(texts)


def create_index(dialect: Dialect, index: Index, *, how: str = "") -> str:
    """The statement that makes an index if it is not there; *how* stands before that, such as "CONCURRENTLY "."""
    table, unique = dialect.table(index.kind), "UNIQUE " if index.unique else ""
    using, where = f" USING {index.using}" if index.using else "", f" WHERE {index.where}" if index.where else ""
    options = f" {index.options}" if index.options else ""
    return f'CREATE {unique}INDEX {how}IF NOT EXISTS "{index.name}" ON {table}{using} ({index.columns}){options}{where}'
