"""SQLite's side of the shared statements, and the tables as the TypeScript package makes them (contract §3.2).

* Every column but numbers is TEXT; times are ISO text, so they compare as text.
* A `json` field is binary JSONB where the library knows it, else JSON text, which TypeScript reads too.
* Message content is plain JSON text.

Knows SQLite's SQL; opens no connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from mastra_core import clock
from mastra_core.storage.libsql.driver import HAS_JSONB
from mastra_core.storage.records.kind import Field, Json, Kind
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS
from mastra_core.storage.sql.dialect import Column, Names
from mastra_core.storage.sql.schema import Index

_DECLARED = {"bool": "INTEGER", "float": "REAL"}
_TYPE_NAMES = {int: ("'integer'", "'real'"), float: ("'integer'", "'real'"), str: ("'text'",), type(None): ("'null'",)}

_LATEST = "9999-12-31T23:59:59.999Z"

INDEXES = (
    Index("idx_messages_thread_created_at", MESSAGES, 'thread_id, "createdAt"'),
    Index("idx_messages_thread_resource_created_at", MESSAGES, 'thread_id, "resourceId", "createdAt"'),
    Index("idx_messages_resource_created_at", MESSAGES, '"resourceId", "createdAt"'),
    Index("idx_threads_resource_created_at", THREADS, '"resourceId", "createdAt"'),
    Index("idx_threads_created_at", THREADS, '"createdAt"'),
    Index("idx_workflow_snapshot_name_created_at", RUNS, 'workflow_name, "createdAt", run_id'),
    Index("idx_workflow_snapshot_run_created_at", RUNS, 'run_id, "createdAt", workflow_name'),
    Index("idx_workflow_snapshot_created_at", RUNS, '"createdAt", workflow_name, run_id'),
    Index(
        "idx_workflow_snapshot_resource_created_at",
        RUNS,
        '"resourceId", "createdAt", workflow_name, run_id',
        where='"resourceId" IS NOT NULL',
    ),
    Index("idx_scorers_scorer_created_at", SCORES, '"scorerId", "createdAt", id'),
    Index("idx_scorers_run_created_at", SCORES, '"runId", "createdAt", id'),
    Index("idx_scorers_entity_created_at", SCORES, '"entityId", "entityType", "createdAt", id'),
    Index("idx_scorers_span_created_at", SCORES, '"traceId", "spanId", "createdAt", id'),
    Index("idx_scorers_resource_created_at", SCORES, '"resourceId", "createdAt", id', where='"resourceId" IS NOT NULL'),
    Index("idx_scorers_thread_created_at", SCORES, '"threadId", "createdAt", id', where='"threadId" IS NOT NULL'),
    Index("idx_scorers_created_at", SCORES, '"createdAt", id'),
    Index("mastra_ai_spans_spanid_traceid_idx", SPANS, '"spanId", "traceId"', unique=True),
    Index("mastra_ai_spans_trace_started_at_idx", SPANS, '"traceId", "startedAt"'),
    Index("mastra_ai_spans_roots_started_at_idx", SPANS, '"startedAt" DESC', where='"parentSpanId" IS NULL'),
    Index("idx_ai_spans_roots_started_at", SPANS, '"startedAt", "traceId", "spanId"', where='"parentSpanId" IS NULL'),
    Index("idx_ai_spans_roots_ended_at", SPANS, f'ifnull("endedAt", \'{_LATEST}\'), "traceId", "spanId"', where='"parentSpanId" IS NULL'),
    Index("idx_ai_spans_resource_started_at", SPANS, '"resourceId", "startedAt", "traceId", "spanId"', where='"resourceId" IS NOT NULL'),
    Index("idx_ai_spans_thread_started_at", SPANS, '"threadId", "startedAt", "traceId", "spanId"', where='"threadId" IS NOT NULL'),
)
"""TypeScript's indexes of messages (the first two) and of spans (`mastra_ai_spans_…`), and ours, which it ignores."""


class SQLiteDialect:
    """SQLite, from 3.35 (RETURNING).

    Args:
        jsonb: whether the library that runs the statements knows binary JSONB; default: as this process's.
    """

    parameter = "?"
    nulls_last = _LATEST
    share_lock = ""

    def __init__(self, *, jsonb: bool = HAS_JSONB) -> None:
        self._jsonb = jsonb

    def table(self, kind: Kind[Any]) -> str:
        """The table of a kind."""
        return f'"{kind.name}"'

    @lru_cache(maxsize=256)  # noqa: B019  # one dialect lives as long as the process
    def columns(self, field: Field) -> Sequence[Column]:
        """One column a field; a `json` field's is written as JSONB where the library knows it."""
        return (Column(field.column, _DECLARED.get(field.type, "TEXT"), "jsonb({})" if field.type == "json" and self._jsonb else "{}"),)

    def read(self, field: Field) -> str:
        """The column; JSONB as text, and what is no JSONB as bytes, so that decoding it names the record."""
        column = self.column(field)
        if field.type != "json":
            return column
        if not self._jsonb:
            return f"mastra_json({column})"
        return f"CASE WHEN typeof({column}) = 'blob' AND json_valid({column}, 8) THEN json({column}) ELSE {column} END"

    def column(self, field: Field) -> str:
        """The column, without the alias, which SQLite does not know in RETURNING.

        In brackets: of a name in double quotes that is no column, SQLite makes the text itself, and a dropped title would read "title".
        """
        return f"[{field.column}]"

    def ordered(self, field: Field) -> str:
        """The column; SQLite compares text by code point."""
        return self.column(field)

    def nulls_high(self, field: Field) -> str:
        """SQLite orders nulls first, so a null is read as the last of all times."""
        return f"ifnull({self.column(field)}, '{self.nulls_last}')"

    def raised(self, held: str) -> str:
        """The later of two ISO texts."""
        return f"max(ifnull({held}, ''), {{}})"

    def encoded_twice(self, kind: Kind[Any], field: Field) -> bool:
        """Never: JSON is written once."""
        _ = (kind, field)
        return False

    def merged(self, column: str) -> str:
        """Merged by a function of ours, since json_patch goes deeper than one level and deletes nulls."""
        text = f"json({column})" if self._jsonb else f"mastra_json({column})"
        merged = f"mastra_merge({text}, {{}})"
        return f"jsonb({merged})" if self._jsonb else merged

    def json_is(self, field: Field, path: Names, value: Json) -> tuple[str, list[Any]]:
        """By JSON type and, where the type has more than one value, by value."""
        json, at = self._json(field), _path(path)
        met = f"ifnull(json_type({json}, {at}), '') IN ({', '.join(_type_names(value))})"
        if value is None or isinstance(value, bool):
            return met, []
        return f"({met} AND json_extract({json}, {at}) = {{}})", [value]

    def json_missing(self, field: Field, path: Names) -> str:
        """No value there, or null."""
        return f"ifnull(json_type({self._json(field)}, {_path(path)}), 'null') = 'null'"

    def json_contains(self, field: Field, path: Names, items: Sequence[Json]) -> tuple[str, list[Any]]:
        """For each item, one element of the list has its type and value."""
        json, at = self._json(field), _path(path)
        texts, values = [f"ifnull(json_type({json}, {at}), '') = 'array'"], []
        for item in items:
            met = f"e.type IN ({', '.join(_type_names(item))})"
            if not (item is None or isinstance(item, bool)):
                met += " AND e.atom = {}"
                values.append(item)
            texts.append(f"EXISTS (SELECT 1 FROM json_each({json}, {at}) AS e WHERE {met})")
        return "(" + " AND ".join(texts) + ")", values

    def time_parameter(self, instant: datetime) -> str:
        """ISO text with three digits and Z."""
        return clock.to_text(instant)

    def time_value(self, found: Any) -> datetime:
        """The instant of ISO text in the one form that lists are ordered by (contract §0.5); of another they would lose their place."""
        if not clock.is_stored_form(found):
            msg = "it is no time of the form YYYY-MM-DDTHH:MM:SS.mmmZ"
            raise ValueError(msg)
        return clock.from_text(found)

    def _json(self, field: Field) -> str:
        """The column as something SQLite's JSON functions take; old message content may be plain text, which counts as nothing."""
        column = self.column(field)
        if field.type == "json" and not self._jsonb:
            return f"mastra_json({column})"
        return column if field.type == "json" else f"CASE WHEN json_valid({column}) THEN {column} END"


def _type_names(value: Json) -> tuple[str, ...]:
    """SQLite's names of the JSON types that a scalar may have; for null, true and false the type is the value."""
    if isinstance(value, bool):
        return (f"'{str(value).lower()}'",)
    return _TYPE_NAMES[type(value)]


def _path(names: Names) -> str:
    """The JSON path of *names*, which the guard has restricted to letters, digits and underscores."""
    return "'$" + "".join(f'."{name}"' for name in names) + "'"


SQLITE = SQLiteDialect()
