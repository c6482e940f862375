"""PostgreSQL's side of the shared statements, and the tables as the TypeScript package makes them (contract §3.3).

* A time is written to two columns: the instant (`…Z`), which is read and ordered by, and its UTC wall clock.
* A `json` field is JSONB; objects are written, and strings of JSON, which TypeScript writes, are read.
* Message content is JSON text. Text is ordered by code point (`COLLATE "C"`), whatever the database's locale.

Knows PostgreSQL's SQL; opens no connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from mastra_core.storage.records.kind import Field, Json, Kind
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.wire import dump_json
from mastra_core.storage.sql.dialect import Column, Names
from mastra_pg.names import qualified

_REFUSED_ESCAPES = r"\\u(0000|[dD][89a-fA-F][0-9a-fA-F][0-9a-fA-F])"

_DECLARED = {"bool": "BOOLEAN", "float": "DOUBLE PRECISION"}

LATEST = "'9999-12-31T23:59:59.999999Z'::timestamptz"


class PostgreSQLDialect:
    """PostgreSQL, from 16 (IS JSON).

    Args:
        schema: where the tables are; every statement names it, since a pooler may give each transaction another session, and with it
            another search path. None: the first of the search path.
    """

    parameter = "%s"
    nulls_last = datetime.max.replace(tzinfo=UTC)
    share_lock = " FOR SHARE"

    def __init__(self, schema: str | None = None) -> None:
        self.schema = schema

    def table(self, kind: Kind[Any]) -> str:
        """The table of a kind."""
        return qualified(kind.name, self.schema)

    def columns(self, field: Field) -> Sequence[Column]:
        """Two columns for a time, one for anything else."""
        return _columns(field)

    def read(self, field: Field) -> str:
        """The column; JSONB as text, which keeps every digit."""
        return f"{self.column(field)}::text" if field.type == "json" else self.column(field)

    def column(self, field: Field) -> str:
        """The column that is read."""
        return f'r."{self.columns(field)[0].name}"'

    def ordered(self, field: Field) -> str:
        """Times as they are, text by code point."""
        return f'{self.column(field)} COLLATE "C"' if field.type in {"id", "text"} else self.column(field)

    def nulls_high(self, field: Field) -> str:
        """A null is read as the last of all times, so that a place in the order can be compared with it."""
        return f"coalesce({self.column(field)}, {LATEST})"

    def raised(self, held: str) -> str:
        """greatest() passes over nulls."""
        return f"greatest({held}, {{}}::timestamptz)"

    def encoded_twice(self, kind: Kind[Any], field: Field) -> bool:
        """TypeScript writes the JSON of a score as a string, and parses what is a string when it reads (contract §3.3)."""
        return kind is SCORES and not field.unwrap

    def merged(self, column: str) -> str:
        """`||` lays one object over another, one level deep; a string of JSON is unwrapped first."""
        return (
            f"(CASE jsonb_typeof({column}) WHEN 'object' THEN {column} WHEN 'string' THEN ({column} #>> ARRAY[]::text[])::jsonb "
            "ELSE jsonb_build_object() END) || {}::jsonb"
        )

    def json_is(self, field: Field, path: Names, value: Json) -> tuple[str, list[Any]]:
        """JSONB compares scalars by type, and numbers as numbers."""
        return f"coalesce({self._at(field, path)} = {{}}::jsonb, false)", [dump_json(value, at=field.name)]

    def json_missing(self, field: Field, path: Names) -> str:
        """No value there, or null."""
        return f"coalesce({self._at(field, path)}, 'null'::jsonb) = 'null'::jsonb"

    def json_contains(self, field: Field, path: Names, items: Sequence[Json]) -> tuple[str, list[Any]]:
        """JSONB containment of a list's elements, which are compared as scalars."""
        at = self._at(field, path)
        return f"(coalesce(jsonb_typeof({at}), '') = 'array' AND {at} @> {{}}::jsonb)", [dump_json(list(items), at=field.name)]

    def time_parameter(self, instant: datetime) -> datetime:
        """psycopg sends an aware datetime as timestamptz."""
        return instant

    def _at(self, field: Field, path: Names) -> str:
        """The JSONB value at *path*, whose names the guard has restricted to letters, digits and underscores.

        Message content is text: what is no JSON counts as nothing, and the escapes that JSONB refuses are replaced, so that rows which
        hold them are still found by their other values.
        """
        column = self.column(field)
        if field.type == "json":
            held = f"(CASE jsonb_typeof({column}) WHEN 'string' THEN ({column} #>> ARRAY[]::text[])::jsonb ELSE {column} END)"
        else:
            held = f"(CASE WHEN {column} IS JSON THEN regexp_replace({column}, '{_REFUSED_ESCAPES}', '\\ufffd', 'g')::jsonb END)"
        names = ", ".join(f"'{name}'" for name in path)
        return f"({held} #> ARRAY[{names}]::text[])"

    def time_value(self, found: Any) -> datetime:
        """The instant, in UTC, cut to milliseconds."""
        if not isinstance(found, datetime):
            msg = f"{found!r} is no instant"
            raise TypeError(msg)
        at = found.astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


@lru_cache(maxsize=256)
def _columns(field: Field) -> Sequence[Column]:
    if field.type == "time":
        return (
            Column(f"{field.column}Z", "TIMESTAMPTZ", "{}::timestamptz", default="NOW()", fill=f"\"{field.column}\" AT TIME ZONE 'UTC'"),
            Column(field.column, "TIMESTAMP", "({}::timestamptz AT TIME ZONE 'UTC')"),
        )
    if field.type == "json" and not field.unwrap:
        # TypeScript declares such columns NOT NULL; null among other JSON values is no SQL null.
        return (Column(field.column, "JSONB", "coalesce({}::jsonb, 'null'::jsonb)"),)
    if field.type == "json":
        return (Column(field.column, "JSONB", "{}::jsonb"),)
    declared = _DECLARED.get(field.type, "TEXT")
    return (Column(field.column, declared, f"{{}}::{declared.lower()}"),)


@lru_cache(maxsize=256)
def dialect_of(schema: str | None) -> PostgreSQLDialect:
    """The dialect of a schema: the same for all its stores, since statements are kept by dialect."""
    return PostgreSQLDialect(schema)


POSTGRESQL = dialect_of(None)
