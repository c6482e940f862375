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
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS
from mastra_core.storage.records.wire import dump_json
from mastra_core.storage.sql.dialect import Column, Names
from mastra_core.storage.sql.schema import Index

_REFUSED_ESCAPES = r"\\u(0000|[dD][89a-fA-F][0-9a-fA-F][0-9a-fA-F])"

_THREAD_OF_RUN = (
    "(COALESCE(jsonb_path_query_first(snapshot, "
    """'$.context.* ? (@.status == "suspended").suspendPayload.__streamState.messageList.memoryInfo.threadId') #>> '{}', """
    "snapshot #>> '{context,input,messageListState,memoryInfo,threadId}'))"
)

_DECLARED = {"bool": "BOOLEAN", "float": "DOUBLE PRECISION"}

_LATEST = "'9999-12-31T23:59:59.999999Z'::timestamptz"

INDEXES = (
    Index("mastra_threads_resourceid_createdat_idx", THREADS, '"resourceId", "createdAt" DESC'),
    Index("mastra_messages_thread_id_createdat_idx", MESSAGES, 'thread_id, "createdAt" DESC'),
    Index("mastra_workflow_snapshot_name_createdat_idx", RUNS, 'workflow_name, "createdAt" DESC'),
    Index("mastra_workflow_snapshot_name_status_createdat_idx", RUNS, "workflow_name, (snapshot ->> 'status'), \"createdAt\" DESC"),
    Index("mastra_workflow_snapshot_threadid_idx", RUNS, _THREAD_OF_RUN),
    Index("mastra_scores_trace_id_span_id_created_at_idx", SCORES, '"traceId", "spanId", "createdAt" DESC'),
    Index("mastra_ai_spans_traceid_startedat_idx", SPANS, '"traceId", "startedAt" DESC'),
    Index("mastra_ai_spans_parentspanid_startedat_idx", SPANS, '"parentSpanId", "startedAt" DESC'),
    Index("mastra_ai_spans_name_idx", SPANS, "name"),
    Index("mastra_ai_spans_spantype_startedat_idx", SPANS, '"spanType", "startedAt" DESC'),
    Index("mastra_ai_spans_root_spans_idx", SPANS, '"startedAt" DESC', where='"parentSpanId" IS NULL'),
    Index("mastra_ai_spans_entitytype_entityid_idx", SPANS, '"entityType", "entityId"'),
    Index("mastra_ai_spans_entitytype_entityname_idx", SPANS, '"entityType", "entityName"'),
    Index("mastra_ai_spans_orgid_userid_idx", SPANS, '"organizationId", "userId"'),
    Index("mastra_ai_spans_metadata_gin_idx", SPANS, "metadata", using="gin"),
    Index("mastra_ai_spans_tags_gin_idx", SPANS, "tags", using="gin"),
    Index("mastra_threads_resource_order_idx", THREADS, '"resourceId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    Index("mastra_messages_thread_order_idx", MESSAGES, 'thread_id, "createdAtZ" DESC, id COLLATE "C" DESC'),
    Index("mastra_messages_resource_order_idx", MESSAGES, '"resourceId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    Index("mastra_workflow_snapshot_name_order_idx", RUNS, 'workflow_name, "createdAtZ" DESC, run_id COLLATE "C" DESC'),
    Index("mastra_workflow_snapshot_run_order_idx", RUNS, 'run_id, "createdAtZ" DESC, workflow_name COLLATE "C" DESC'),
    Index("mastra_workflow_snapshot_order_idx", RUNS, '"createdAtZ" DESC, workflow_name COLLATE "C" DESC, run_id COLLATE "C" DESC'),
    Index("mastra_workflow_snapshot_resource_order_idx", RUNS, '"resourceId", "createdAtZ" DESC', where='"resourceId" IS NOT NULL'),
    Index("mastra_scorers_scorer_order_idx", SCORES, '"scorerId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    Index("mastra_scorers_run_order_idx", SCORES, '"runId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    Index("mastra_scorers_entity_order_idx", SCORES, '"entityId", "entityType", "createdAtZ" DESC, id COLLATE "C" DESC'),
    Index("mastra_scorers_span_order_idx", SCORES, '"traceId", "spanId", "createdAtZ" DESC'),
    Index("mastra_scorers_resource_order_idx", SCORES, '"resourceId", "createdAtZ" DESC', where='"resourceId" IS NOT NULL'),
    Index("mastra_scorers_thread_order_idx", SCORES, '"threadId", "createdAtZ" DESC', where='"threadId" IS NOT NULL'),
    Index("mastra_scorers_order_idx", SCORES, '"createdAtZ" DESC, id COLLATE "C" DESC'),
    Index("mastra_ai_spans_trace_order_idx", SPANS, '"traceId", "startedAtZ"'),
    Index("mastra_ai_spans_roots_order_idx", SPANS, '"startedAtZ" DESC', where='"parentSpanId" IS NULL'),
    Index("mastra_ai_spans_roots_ended_idx", SPANS, f'coalesce("endedAtZ", {_LATEST}) DESC', where='"parentSpanId" IS NULL'),
    Index("mastra_ai_spans_resource_order_idx", SPANS, '"resourceId", "startedAtZ" DESC', where='"resourceId" IS NOT NULL'),
    Index("mastra_ai_spans_thread_order_idx", SPANS, '"threadId", "startedAtZ" DESC', where='"threadId" IS NOT NULL'),
)
"""TypeScript's indexes (those without a `Z` column), and ours, which follow the order of the paths."""


class PostgreSQLDialect:
    """PostgreSQL, from 16 (IS JSON)."""

    parameter = "%s"
    nulls_last = datetime.max.replace(tzinfo=UTC)
    share_lock = " FOR SHARE"

    def table(self, kind: Kind[Any]) -> str:
        """The table of a kind, in the connection's search path."""
        return f'"{kind.name}"'

    @lru_cache(maxsize=256)  # noqa: B019  # one dialect lives as long as the process
    def columns(self, field: Field) -> Sequence[Column]:
        """Two columns for a time, one for anything else."""
        if field.type == "time":
            return (
                Column(
                    f"{field.column}Z", "TIMESTAMPTZ", "{}::timestamptz", default="NOW()", fill=f"\"{field.column}\" AT TIME ZONE 'UTC'"
                ),
                Column(field.column, "TIMESTAMP", "({}::timestamptz AT TIME ZONE 'UTC')"),
            )
        if field.type == "json" and not field.unwrap:
            # TypeScript declares such columns NOT NULL; null among other JSON values is no SQL null.
            return (Column(field.column, "JSONB", "coalesce({}::jsonb, 'null'::jsonb)"),)
        if field.type == "json":
            return (Column(field.column, "JSONB", "{}::jsonb"),)
        declared = _DECLARED.get(field.type, "TEXT")
        return (Column(field.column, declared, f"{{}}::{declared.lower()}"),)

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
        return f"coalesce({self.column(field)}, {_LATEST})"

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


POSTGRESQL = PostgreSQLDialect()
