"""What a database must be made of, what it lacks of that, and whether this release may use it.

Statements go out and rows come in, so that any connection will do: a thread's, a pipeline's or a request's. Only adds. What was done is
kept in a small table, which the TypeScript packages ignore: a row says that everything of one fingerprint is there, and which release saw
to that. Knows kinds, a dialect's column types and that table; must not know any driver.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import cached_property
from importlib import metadata
from typing import Any

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kinds import KINDS, SCHEMA_VERSION
from mastra_core.storage.sql.dialect import Dialect
from mastra_core.storage.sql.schema import Index, add_column, create_index, create_table

TABLE = "mastra_migrations"
_COLUMNS = (("version", "INTEGER"), ("fingerprint", "TEXT"), ("applied_at", "TEXT"), ("applied_by", "TEXT"))
_SHOWN = 5

Found = Collection[Sequence[Any]]
"""What is there: (table, column) of each column, ("", index) of each index that is whole, and (`NAMESPACE`, name) of the namespace."""

NAMESPACE = "namespace"


@attrs.frozen
class Lack:
    """One thing that a database lacks.

    Attributes:
        what: its name, such as `column mastra_threads.title`.
        statement: what adds it, ended by a semicolon.
        essential: whether reading and writing need it; an index makes them fast, and the record of migrations the next start.
        index: the index that it is.
    """

    what: str
    statement: str
    essential: bool
    index: Index | None = None


@attrs.frozen(eq=False, slots=False, kw_only=True)
class Schema:
    """The tables and indexes of one kind of database.

    Attributes:
        dialect: how a column is declared.
        indexes: every index.
        catalog: the statement that answers `Found`; it shows every table whose name begins with `mastra_`.
        tables: the scalar query that counts the tables named in `{}`.
        now: the expression of the current instant as ISO text.
        kinds: whose tables.
        version: of the tables, see SCHEMA_VERSION.
        record: how statements name the record of migrations.
        namespace: the name of what the tables lie in, where that may have to be made first, and the statement that makes it.
    """

    dialect: Dialect
    indexes: Sequence[Index]
    catalog: str
    tables: str
    now: str
    kinds: Sequence[Kind[Any]] = KINDS
    version: int = SCHEMA_VERSION
    record: str = f'"{TABLE}"'
    namespace: tuple[str, str] | None = None

    @cached_property
    def objects(self) -> tuple[str, ...]:
        """The statements that make every table and index which is not there."""
        tables = [create_table(self.dialect, kind) for kind in self.kinds]
        place = [] if self.namespace is None else [self.namespace[1]]
        return tuple(f"{text};" for text in [*place, *tables, *(create_index(self.dialect, index) for index in self.indexes)])

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with every table, column and index."""
        return hashlib.sha256("\n".join(self.objects).encode()).hexdigest()[:16]

    @cached_property
    def probe(self) -> str:
        """The one statement of a start: every migration, each with the number of our tables that are there.

        It fails for want of the table where nothing was ever recorded.
        """
        names = ", ".join(f"'{kind.name}'" for kind in self.kinds)
        return f"SELECT version, fingerprint, applied_by, ({self.tables.format(names)}) FROM {self.record}"

    def ddl(self) -> tuple[str, ...]:
        """The statements that make a fresh database, each ended by a semicolon; where things are there already they change nothing."""
        return (*self.objects, self._create_record(), self.recording())

    def ready(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Whether the answer to `probe` says that nothing has to be added.

        A table that was dropped since is noticed. An index is not: who dropped it may have wanted to.

        Raises:
            ConfigurationError: a newer release has prepared the database.
        """
        version, _, applied_by, *_ = max(rows, key=_version, default=(0, "", ""))
        if (version or 0) > self.version:
            msg = (
                f"this database has schema version {version}, made by {applied_by}; {_release()} knows version {self.version} and may "
                f"misread it. Upgrade to at least {applied_by}, or open another database"
            )
            raise ConfigurationError(msg)
        return any(row[1] == self.fingerprint and row[3] == len(self.kinds) for row in rows)

    def recorded(self, found: Found) -> bool:
        """Whether `probe` can be asked."""
        return {(TABLE, name) for name, _ in _COLUMNS} <= {(row[0], row[1]) for row in found}

    def lacks(self, found: Found) -> list[Lack]:
        """What is not there, in the order in which it is added; a column that is added allows null, for the rows that are there."""
        there = {(row[0], row[1]) for row in found}
        tables = {table for table, _ in there}
        lacks: list[Lack] = []
        if self.namespace is not None and (NAMESPACE, self.namespace[0]) not in there:
            lacks.append(Lack(f"schema {self.namespace[0]}", f"{self.namespace[1]};", essential=True))
        for kind in self.kinds:
            if kind.name not in tables:
                lacks.append(Lack(f"table {kind.name}", f"{create_table(self.dialect, kind)};", essential=True))
                continue
            lacks += self._columns(kind, there)
        for index in self.indexes:
            if ("", index.name) not in there:
                lacks.append(Lack(f"index {index.name}", f"{create_index(self.dialect, index)};", essential=False, index=index))
        if TABLE not in tables:
            return [*lacks, Lack(f"table {TABLE}", self._create_record(), essential=False)]
        unknown = [(name, declared) for name, declared in _COLUMNS if (TABLE, name) not in there]
        add = f"ALTER TABLE {self.record} ADD COLUMN"
        return [*lacks, *(Lack(f"column {TABLE}.{name}", f"{add} {name} {declared};", essential=False) for name, declared in unknown)]

    def additions(self, found: Found) -> list[str]:
        """The statements of a migration, to be run as one transaction that no other process can enter between `catalog` and its end."""
        return [*(lack.statement for lack in self.lacks(found)), self.recording()]

    def missing(self, found: Found, rows: Sequence[Sequence[Any]] | None) -> tuple[str, ...]:
        """The statements that make a database complete, given what is there and the answer to `probe`.

        That answer is () where there is nothing to ask, and None where it may not be read: nothing is said about the record then.

        Raises:
            ConfigurationError: a newer release has prepared the database.
        """
        done = rows is None or self.ready(rows)
        lacks = [lack.statement for lack in self.lacks(found)]
        return tuple(lacks if done else [*lacks, self.recording()])

    def require(self, found: Found, *, at: str) -> None:
        """Accept a database to which nothing may be added, if it has every table and column.

        Args:
            found: what is there.
            at: why nothing may be added, to begin the message with, such as "a.db is opened read-only".

        Raises:
            ConfigurationError: it lacks some; the message names them and the mend.
        """
        lacks = [lack.what for lack in self.lacks(found) if lack.essential]
        if lacks:
            more = f" and {len(lacks) - _SHOWN} more" if len(lacks) > _SHOWN else ""
            msg = (
                f"{at}, and it lacks {', '.join(lacks[:_SHOWN])}{more}. Open it once with the right to add them, "
                "or let an operator run the statements that `mastra check URL` prints"
            )
            raise ConfigurationError(msg)

    def _columns(self, kind: Kind[Any], there: set[tuple[Any, Any]]) -> list[Lack]:
        lacks = []
        for columns in map(self.dialect.columns, kind.fields):
            absent = [column for column in columns if (kind.name, column.name) not in there]
            for column in absent:
                fill = bool(column.fill) and len(absent) < len(columns)
                text = add_column(self.dialect, kind, column, fill=fill)
                lacks.append(Lack(f"column {kind.name}.{column.name}", f"{text};", essential=True))
        return lacks

    def recording(self) -> str:
        """The statement that writes down that everything is there."""
        values = f"SELECT {self.version}, '{self.fingerprint}', {self.now}, '{_release()}'"
        known = f"SELECT 1 FROM {self.record} WHERE fingerprint = '{self.fingerprint}'"
        return f"INSERT INTO {self.record} ({', '.join(name for name, _ in _COLUMNS)}) {values} WHERE NOT EXISTS ({known});"

    def _create_record(self) -> str:
        return f"CREATE TABLE IF NOT EXISTS {self.record} ({', '.join(f'{name} {declared}' for name, declared in _COLUMNS)});"


def newest(rows: Sequence[Sequence[Any]]) -> int | None:
    """The newest schema version of an answer to `Schema.probe`; None where nothing is recorded."""
    return max(map(_version, rows), default=None)


def _version(row: Sequence[Any]) -> int:
    """Null where somebody else's table of that name was completed."""
    return row[0] or 0


def _release() -> str:
    return f"mastra-core {metadata.version('mastra-core')}"
