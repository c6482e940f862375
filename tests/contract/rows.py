"""Rows of SQLite, written and read without the engine: the kit's back door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mastra_core.storage.libsql.dialect import SQLITE
from mastra_core.storage.libsql.driver import Connection, sqlite3
from mastra_core.storage.records.kind import Key, Kind


def select(connection: Connection, kind: Kind[Any], key: Key) -> Mapping[str, Any] | None:
    """The row of this key, JSON as SQLite prints it."""
    columns = [(field.stored, f'json("{field.column}")' if field.type == "json" else f'"{field.column}"') for field in kind.fields]
    where = " AND ".join(f'"{kind.by_name[name].column}" = ?' for name in kind.key)
    row = connection.execute(f'SELECT {", ".join(sql for _, sql in columns)} FROM "{kind.name}" WHERE {where}', key).fetchone()
    return None if row is None else dict(zip((name for name, _ in columns), row, strict=True))


def on_disk(connection: Connection, kind: Kind[Any], key: Key) -> Mapping[str, Any]:
    """The columns of this key's row with their types, as the file holds them; what is JSONB as SQLite prints it."""
    where = " AND ".join(f'"{kind.by_name[name].column}" = ?' for name in kind.key)
    names = [name for _, name, *_ in connection.execute(f'PRAGMA table_info("{kind.name}")').fetchall()]
    shown = ", ".join(f"""typeof("{name}"), CASE typeof("{name}") WHEN 'blob' THEN json("{name}") ELSE "{name}" END""" for name in names)
    row = connection.execute(f'SELECT {shown} FROM "{kind.name}" WHERE {where}', key).fetchone()
    return {f"{name} {form}": value for name, form, value in zip(names, row[::2], row[1::2], strict=True)}


def insert(connection: Connection, kind: Kind[Any], document: Mapping[str, Any]) -> bool:
    """Store a document as the TypeScript package would; False if the table refuses it."""
    fields = [field for field in kind.fields if field.stored in document]
    values = [document[field.stored] for field in fields]
    held = [
        json.dumps(value) if value is not None and field.type.startswith("json") else value
        for field, value in zip(fields, values, strict=True)
    ]
    columns = [SQLITE.columns(field)[0] for field in fields]
    names, binds = ", ".join(f'"{column.name}"' for column in columns), ", ".join(column.bind.format("?") for column in columns)
    try:
        connection.execute(f'INSERT INTO "{kind.name}" ({names}) VALUES ({binds})', held)
    except sqlite3.IntegrityError:
        return False
    return True
