"""The indexes of the tables: those of TypeScript and ours, and what the option `indexes` asks for, as SQL. Opens no connection.

Names are quoted and what they name must be there; the condition of a partial index alone is SQL of the programmer's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean
from mastra_core.storage.options import refuse_unknown
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kinds import KINDS, MESSAGES, THREADS
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.span_kinds import SPANS
from mastra_core.storage.sql import schema as sql
from mastra_pg.dialect import LATEST, POSTGRESQL, PostgreSQLDialect
from mastra_pg.names import LONGEST, literal, prefix_of, quoted

_THREAD_OF_RUN = (
    "(COALESCE(jsonb_path_query_first(snapshot, "
    """'$.context.* ? (@.status == "suspended").suspendPayload.__streamState.messageList.memoryInfo.threadId') #>> '{}', """
    "snapshot #>> '{context,input,messageListState,memoryInfo,threadId}'))"
)

DEFAULTS = (
    sql.Index("mastra_threads_resourceid_createdat_idx", THREADS, '"resourceId", "createdAt" DESC'),
    sql.Index("mastra_messages_thread_id_createdat_idx", MESSAGES, 'thread_id, "createdAt" DESC'),
    sql.Index("mastra_workflow_snapshot_name_createdat_idx", RUNS, 'workflow_name, "createdAt" DESC'),
    sql.Index("mastra_workflow_snapshot_name_status_createdat_idx", RUNS, "workflow_name, (snapshot ->> 'status'), \"createdAt\" DESC"),
    sql.Index("mastra_workflow_snapshot_threadid_idx", RUNS, _THREAD_OF_RUN),
    sql.Index("mastra_scores_trace_id_span_id_created_at_idx", SCORES, '"traceId", "spanId", "createdAt" DESC'),
    sql.Index("mastra_ai_spans_traceid_startedat_idx", SPANS, '"traceId", "startedAt" DESC'),
    sql.Index("mastra_ai_spans_parentspanid_startedat_idx", SPANS, '"parentSpanId", "startedAt" DESC'),
    sql.Index("mastra_ai_spans_name_idx", SPANS, "name"),
    sql.Index("mastra_ai_spans_spantype_startedat_idx", SPANS, '"spanType", "startedAt" DESC'),
    sql.Index("mastra_ai_spans_root_spans_idx", SPANS, '"startedAt" DESC', where='"parentSpanId" IS NULL'),
    sql.Index("mastra_ai_spans_entitytype_entityid_idx", SPANS, '"entityType", "entityId"'),
    sql.Index("mastra_ai_spans_entitytype_entityname_idx", SPANS, '"entityType", "entityName"'),
    sql.Index("mastra_ai_spans_orgid_userid_idx", SPANS, '"organizationId", "userId"'),
    sql.Index("mastra_ai_spans_metadata_gin_idx", SPANS, "metadata", using="gin"),
    sql.Index("mastra_ai_spans_tags_gin_idx", SPANS, "tags", using="gin"),
    sql.Index("mastra_threads_resource_order_idx", THREADS, '"resourceId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_threads_order_idx", THREADS, '"createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_messages_thread_order_idx", MESSAGES, 'thread_id, "createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_messages_resource_order_idx", MESSAGES, '"resourceId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_workflow_snapshot_name_order_idx", RUNS, 'workflow_name, "createdAtZ" DESC, run_id COLLATE "C" DESC'),
    sql.Index("mastra_workflow_snapshot_run_order_idx", RUNS, 'run_id, "createdAtZ" DESC, workflow_name COLLATE "C" DESC'),
    sql.Index("mastra_workflow_snapshot_order_idx", RUNS, '"createdAtZ" DESC, workflow_name COLLATE "C" DESC, run_id COLLATE "C" DESC'),
    sql.Index("mastra_workflow_snapshot_resource_order_idx", RUNS, '"resourceId", "createdAtZ" DESC', where='"resourceId" IS NOT NULL'),
    sql.Index("mastra_scorers_scorer_order_idx", SCORES, '"scorerId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_scorers_run_order_idx", SCORES, '"runId", "createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_scorers_entity_order_idx", SCORES, '"entityId", "entityType", "createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_scorers_span_order_idx", SCORES, '"traceId", "spanId", "createdAtZ" DESC'),
    sql.Index("mastra_scorers_resource_order_idx", SCORES, '"resourceId", "createdAtZ" DESC', where='"resourceId" IS NOT NULL'),
    sql.Index("mastra_scorers_thread_order_idx", SCORES, '"threadId", "createdAtZ" DESC', where='"threadId" IS NOT NULL'),
    sql.Index("mastra_scorers_order_idx", SCORES, '"createdAtZ" DESC, id COLLATE "C" DESC'),
    sql.Index("mastra_ai_spans_trace_order_idx", SPANS, '"traceId", "startedAtZ"'),
    sql.Index("mastra_ai_spans_roots_order_idx", SPANS, '"startedAtZ" DESC', where='"parentSpanId" IS NULL'),
    sql.Index("mastra_ai_spans_roots_ended_idx", SPANS, f'coalesce("endedAtZ", {LATEST}) DESC', where='"parentSpanId" IS NULL'),
    sql.Index("mastra_ai_spans_resource_order_idx", SPANS, '"resourceId", "startedAtZ" DESC', where='"resourceId" IS NOT NULL'),
    sql.Index("mastra_ai_spans_thread_order_idx", SPANS, '"threadId", "startedAtZ" DESC', where='"threadId" IS NOT NULL'),
)
"""TypeScript's indexes (those without a `Z` column), and ours, which follow the order of the paths."""

METHODS = ("btree", "hash", "gin", "gist", "spgist", "brin")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COLUMN = re.compile(
    r"""\s*(?P<quote>"?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P=quote)(?P<path>(\s*->>?\s*'[^'\\]+')*)"""
    r"(\s+(?P<direction>ASC|DESC))?(\s+NULLS\s+(?P<nulls>FIRST|LAST))?\s*",
    re.IGNORECASE,
)
_STEP = re.compile(r"(->>?)\s*('[^'\\]+')")
_OPCLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
_STORAGE = re.compile(r"[a-z_]+(\.[a-z_]+)?")


@attrs.frozen(kw_only=True)
class Index:
    """An index that a store keeps besides its own (contract §3.3). One whose name is there already is left as it is.

    Args:
        name: letters, digits and underscores; in a schema other than `public`, `{schema}_` is put before it.
        table: one of the store's tables, such as "mastra_threads".
        columns: its columns, each such as "resourceId", "createdAt DESC", "updatedAt DESC NULLS LAST" or "metadata->>'type'".
        unique: whether no two rows may agree in the columns. A save that breaks it fails.
        where: of which rows it is: a condition in SQL, which is run as it stands. Never build it from what users type.
        method: "btree", "hash", "gin", "gist", "spgist" or "brin".
        opclass: the operator class of every column, such as "jsonb_path_ops".
        storage: storage parameters, such as {"fillfactor": 90}.
        tablespace: where on the server's disks.
        concurrent: whether writers go on while it is made on a table that was there before; it takes longer then.

    Raises:
        ConfigurationError: one of these is none such; the message says which.
    """

    name: str
    table: str
    columns: Sequence[str]
    unique: bool = False
    where: str | None = None
    method: str = "btree"
    opclass: str | None = None
    storage: Mapping[str, Any] = attrs.field(factory=dict)
    tablespace: str | None = None
    concurrent: bool = True

    def __attrs_post_init__(self) -> None:
        """Refuse what is no index."""
        if not _spelt(_NAME, self.name):
            msg = f"indexes: name must be letters, digits and underscores, not begun with a digit, found {self.name!r}"
            raise ConfigurationError(msg)
        for option in ("unique", "concurrent"):
            if not isinstance(getattr(self, option), bool):
                self._refuse(option, "True or False")
        if self.method not in METHODS:
            self._refuse("method", f"one of {list(METHODS)}")
        if self.opclass is not None and not _spelt(_OPCLASS, self.opclass):
            self._refuse("opclass", "the name of an operator class, such as 'jsonb_path_ops'")
        for option in ("where", "tablespace"):
            given = getattr(self, option)
            if given is not None and not (isinstance(given, str) and given.strip() and "\0" not in given):
                self._refuse(option, "a text that is not empty")
        self._check_columns()
        self._check_storage()

    @classmethod
    def of(cls, given: object) -> Index:
        """The index of one entry of the option `indexes`: itself, or a mapping of its fields.

        Raises:
            ConfigurationError: it is neither, or lacks or adds a field.
        """
        if isinstance(given, Index):
            return given
        if not isinstance(given, Mapping):
            msg = f"indexes: each is an Index(…), or a mapping such as {{'name': …, 'table': …, 'columns': […]}}, found {given!r}"
            raise ConfigurationError(msg)
        refuse_unknown(given, known=[field.name for field in attrs.fields(cls)], at="indexes")
        lacking = [name for name in ("name", "table", "columns") if name not in given]
        if lacking:
            msg = f"indexes: {dict(given)!r} lacks {' and '.join(lacking)}"
            raise ConfigurationError(msg)
        return cls(**given)

    def sql(self, dialect: PostgreSQLDialect) -> sql.Index:
        """As it is made where *dialect*'s tables are."""
        opclass = "" if self.opclass is None else " " + ".".join(map(quoted, self.opclass.split(".")))
        options = [f"WITH ({', '.join(f'{name} = {_setting(value)}' for name, value in self.storage.items())})"] if self.storage else []
        options += [] if self.tablespace is None else [f"TABLESPACE {quoted(self.tablespace)}"]
        name = prefix_of(dialect.schema) + self.name
        if len(name.encode()) > LONGEST:
            msg = f"indexes: the name {name!r} is longer than the {LONGEST} bytes that PostgreSQL keeps; choose a shorter one"
            raise ConfigurationError(msg)
        return sql.Index(
            name,
            self._kind(),
            ", ".join(self._column(column, opclass, dialect) for column in self.columns),
            where=self.where or "",
            unique=self.unique,
            using="" if self.method == "btree" else self.method,
            options=" ".join(options),
        )

    def _refuse(self, option: str, wanted: str) -> None:
        msg = f"indexes: {option} of {self.name!r} must be {wanted}, found {getattr(self, option)!r}"
        raise ConfigurationError(msg)

    def _check_columns(self) -> None:
        listed: object = self.columns
        if isinstance(listed, str) or not isinstance(listed, Sequence) or not listed:
            self._refuse("columns", "a list of columns, such as ['resourceId', 'createdAt DESC']")
        for column in self.columns:
            self._column(column, "", POSTGRESQL)

    def _check_storage(self) -> None:
        given: object = self.storage
        settings = given.items() if isinstance(given, Mapping) else [(None, None)]
        for name, value in settings:
            if not (_spelt(_STORAGE, name) and (isinstance(value, bool | int | float) or _spelt(_NAME, value))):
                self._refuse("storage", "storage parameters with numbers, words or booleans, such as {'fillfactor': 90}")

    def _kind(self) -> Kind[Any]:
        for kind in KINDS:
            if kind.name == self.table:
                return kind
        names = [kind.name for kind in KINDS]
        msg = f"indexes: {self.name!r} is for the table {self.table!r}, which no store has; the tables are {names}"
        raise ConfigurationError(msg + did_you_mean(self.table, names))

    def _column(self, text: object, opclass: str, dialect: PostgreSQLDialect) -> str:
        """A column as an index says it: what it names must be there."""
        match = _COLUMN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            msg = (
                f"indexes: {self.name!r} has the column {text!r}; a column is its name, or a place in a JSON column as metadata->>'type', "
                "with ASC or DESC and NULLS FIRST or LAST behind it. Make any other index through the store's pool"
            )
            raise ConfigurationError(msg)
        fields = {column.name: field for field in self._kind().fields for column in dialect.columns(field)}
        field = fields.get(match["name"])
        if field is None:
            msg = f"indexes: {self.name!r}: {self.table} has no column {match['name']!r}; it has {list(fields)}"
            raise ConfigurationError(msg + did_you_mean(match["name"], fields))
        steps = "".join(f" {arrow} {step}" for arrow, step in _STEP.findall(match["path"]))
        if steps and field.type != "json":
            msg = f"indexes: {self.name!r}: {match['name']} of {self.table} is no JSONB column, so that there is no {text!r}"
            raise ConfigurationError(msg)
        column = f"({quoted(match['name'])}{steps})" if steps else quoted(match["name"])
        direction = f" {match['direction'].upper()}" if match["direction"] else ""
        nulls = f" NULLS {match['nulls'].upper()}" if match["nulls"] else ""
        return f"{column}{opclass}{direction}{nulls}"


def _spelt(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return literal(value) if isinstance(value, str) else repr(value)
