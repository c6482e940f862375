"""The record engine of PostgreSQL: one pipeline, and so one round trip, a batch.

A batch is a pipeline on an autocommit connection, which PostgreSQL runs as one transaction. Each statement of it is wrapped so that it
fails when it did not affect as many rows as it must; then nothing of the batch is kept, and the records are looked at to say which
condition did not hold.

The one file here that talks to psycopg. Must not know any field of a record.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mastra_core.errors import ConflictError
from mastra_core.storage.records.changes import Change, Check, Delete, Patch
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Inspection, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.sql import reads as sql_reads
from mastra_core.storage.sql import writes
from mastra_core.storage.sql.migrate import newest
from mastra_core.storage.sql.reads import Statement
from mastra_core.storage.sql.rows import answer, codec
from mastra_pg.dialect import POSTGRESQL
from mastra_pg.faults import diagnose
from mastra_pg.tables import SCHEMA

TRIES = 20
"""How often a batch is tried when other writers get in its way."""

SCHEMA_LOCK = 7_274_001
"""The advisory lock under which tables are made, so that processes starting at once wait for each other."""

OPTIONS: Mapping[str, Any] = {"autocommit": True, "application_name": "mastra"}

CONNECT_SECONDS = 10

_FORBIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
_BUSY = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)

T = TypeVar("T")
Connection = AsyncConnection[tuple[Any, ...]]


class PostgreSQLEngine:
    """The port on one PostgreSQL database.

    Args:
        conninfo: a connection string of libpq.
        max_connections: how many connections at most.
    """

    max_atomic: int | None = None
    capabilities: Mapping[str, Support] = dict.fromkeys(CAPABILITIES, FULL)
    driver_errors: tuple[type[BaseException], ...] = (psycopg.Error, PoolTimeout)

    def __init__(self, conninfo: str, *, max_connections: int = 20) -> None:
        self._conninfo = conninfo
        self._max_connections = max_connections
        self._pool: AsyncConnectionPool[Connection] | None = None

    async def open(self) -> None:
        """Connect, and add what the schema lacks; on a complete schema that is one read.

        Raises:
            ConfigurationError: a newer release has prepared the database, or the role may not add a table or column that is missing.
        """
        self._pool = AsyncConnectionPool(
            self._conninfo, min_size=1, max_size=self._max_connections, open=False, timeout=10, kwargs=dict(OPTIONS), name="mastra-pg"
        )
        await self._pool.open(wait=True, timeout=CONNECT_SECONDS)
        async with self._connection() as connection:
            applied = await _applied(connection)
            if applied is None or not SCHEMA.ready(applied):
                await _prepare(connection)

    async def close(self) -> None:
        """Close the pool that open() made."""
        if self._pool is not None:
            await self._pool.close()

    async def ping(self) -> None:
        """Read one value."""
        async with self._connection() as connection:
            await connection.execute("SELECT 1")

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read in one pipeline, one statement each."""
        statements = [sql_reads.statement(POSTGRESQL, read) for read in reads]
        async with self._connection() as connection:
            rows = await _piped(connection, statements)
        return [answer(POSTGRESQL, read, found) for read, found in zip(reads, rows, strict=True)]

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write in one pipeline, which is one transaction, whether *atomic* or not."""
        _ = atomic
        if any(change.when and isinstance(change, Delete | Patch) and _may_be_absent(change) for change in changes):
            return await self._in_transaction(lambda connection: _write(connection, changes))
        steps = writes.steps(POSTGRESQL, changes)
        guarded = [Statement(_guarded_text(step), step.statement.parameters) for step in steps]

        async def attempt() -> list[Any] | None:
            try:
                async with self._connection() as connection:
                    rows = await _piped(connection, guarded)
            except psycopg.errors.DivisionByZero:
                await self._refuse(changes)
                return None
            return _answers(len(changes), steps, [[row[1:] for row in found if row[1] is not None] for found in rows])

        return await self._until_won(attempt)

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute and write in one serializable transaction, again when another one got in its way."""

        async def work(connection: Connection) -> list[Any]:
            rows = await _piped(connection, [sql_reads.statement(POSTGRESQL, get) for get in gets])
            changes = change([answer(POSTGRESQL, get, found) for get, found in zip(gets, rows, strict=True)])
            return await _write(connection, changes)

        return await self._in_transaction(work)

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query* in one statement."""
        async with self._connection() as connection:
            return len((await _piped(connection, [sql_reads.purge_statement(POSTGRESQL, query, limit=limit)]))[0])

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Every record in key order; the cursor is the key, its parts joined by U+0000, which no id holds."""
        key = None if after is None else tuple(after.split("\0"))
        while True:
            statement = sql_reads.scan_statement(POSTGRESQL, kind, after=key, limit=500)
            async with self._connection() as connection:
                (rows,) = await _piped(connection, [statement])
            for record in (codec(POSTGRESQL, kind).record(row) for row in rows):
                key = kind.key_of(record)
                yield "\0".join(key), record
            if len(rows) < 500:
                return

    def ddl(self) -> Sequence[str]:
        """Statements that the program psql takes too."""
        return SCHEMA.ddl()

    async def inspect(self) -> Inspection:
        """Over a connection of its own."""
        options = {**OPTIONS, "connect_timeout": CONNECT_SECONDS}
        async with await AsyncConnection.connect(self._conninfo, **options) as connection:
            found = await _rows(connection, SCHEMA.catalog)
            applied = await _applied(connection) if SCHEMA.recorded(found) else ()
            asked = time.perf_counter()
            await connection.execute("SELECT 1")
            took = time.perf_counter() - asked
            server = f"PostgreSQL {connection.info.parameter_status('server_version')}"
        return Inspection(server=server, version=newest(applied or ()), missing=SCHEMA.missing(found, applied), round_trip_seconds=took)

    def diagnose(self, error: BaseException) -> Fault | None:
        """What PostgreSQL's SQLSTATE means."""
        return diagnose(error)

    def _connection(self) -> Any:
        assert self._pool is not None
        return self._pool.connection()

    async def _in_transaction(self, work: Callable[[Connection], Any]) -> list[Any]:
        async def attempt() -> list[Any]:
            async with self._connection() as connection:
                await connection.set_isolation_level(IsolationLevel.SERIALIZABLE)
                try:
                    async with connection.transaction():
                        answers: list[Any] = await work(connection)
                finally:
                    await connection.set_isolation_level(None)
            return answers

        return await self._until_won(attempt)

    async def _until_won(self, attempt: Callable[[], Any]) -> list[Any]:
        """Try again while other writers get in the way; None means that a refusal could not be found again."""
        for turn in range(TRIES):
            try:
                answers: list[Any] | None = await attempt()
            except _BUSY:
                answers = None
            if answers is not None:
                return answers
            await asyncio.sleep(random.random() * 0.005 * 2 ** min(turn, 6))  # spreads writers, guards no secret
        msg = f"other writers changed the same records at each of {TRIES} tries; try again when there are fewer, or save in one process"
        raise ConflictError(msg)

    async def _refuse(self, changes: Sequence[Change]) -> None:
        """Find the change whose condition does not hold.

        Raises:
            Refused: as found; nothing is raised when by now every condition holds.
        """
        async with self._connection() as connection:
            rows = await _piped(connection, [sql_reads.statement(POSTGRESQL, Get(change.kind, change.key)) for change in changes])
        for index, (change, found) in enumerate(zip(changes, rows, strict=True)):
            stored = answer(POSTGRESQL, Get(change.kind, change.key), found)
            if not writes.holds(change, stored):
                writes.settle(index, change, stored)


def _may_be_absent(change: Delete[Any] | Patch[Any]) -> bool:
    """Whether "no row" may mean both "there is none", which is no refusal, and "its condition does not hold", which is one."""
    return isinstance(change, Delete) or change.missing == "skip"


def _guarded_text(step: writes.Step) -> str:
    """The statement, failing with a division by zero unless it returns a row for each of its changes; the first column is the guard."""
    required = sum(1 for _, change in step.changes if isinstance(change, Check) or writes.needs_look(change))
    names = ", ".join(f"c{index}" for index in range(len(step.changes[0][1].kind.key) + len(step.returned)))
    return (
        f"WITH s ({names}) AS ({step.statement.sql}), n AS (SELECT count(*) AS n FROM s) "
        f"SELECT CASE WHEN n.n >= {required} THEN 0 ELSE 1 / (n.n - n.n) END, s.* FROM n LEFT JOIN s ON true"
    )


async def _piped(connection: Connection, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    """The rows of every statement, in one round trip."""
    cursors = [connection.cursor() for _ in statements]
    async with connection.pipeline():
        for cursor, statement in zip(cursors, statements, strict=True):
            await cursor.execute(statement.sql, statement.parameters)
    return [await cursor.fetchall() for cursor in cursors]


async def _write(connection: Connection, changes: Sequence[Change]) -> list[Any]:
    """Write inside the caller's transaction, looking at what was met when a change took no effect."""
    if not changes:
        return []
    steps = writes.steps(POSTGRESQL, changes)
    rows = await _piped(connection, [step.statement for step in steps])
    answers: list[Any] = [None] * len(changes)
    for step, found in zip(steps, rows, strict=True):
        done, unmet = writes.answers(POSTGRESQL, step, found)
        for index, record in done.items():
            answers[index] = record
        for index, change in unmet:
            if writes.needs_look(change):
                get = Get(change.kind, change.key)
                (there,) = await _piped(connection, [sql_reads.statement(POSTGRESQL, get)])
                writes.settle(index, change, answer(POSTGRESQL, get, there))
    return answers


def _answers(count: int, steps: Sequence[writes.Step], rows: Sequence[Sequence[Sequence[Any]]]) -> list[Any]:
    answers: list[Any] = [None] * count
    for step, found in zip(steps, rows, strict=True):
        for index, record in writes.answers(POSTGRESQL, step, found)[0].items():
            answers[index] = record
    return answers


async def _rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement)).fetchall()


async def _applied(connection: Connection) -> list[tuple[Any, ...]] | None:
    """The record of migrations; None where there is none, or an operator keeps it from this role."""
    try:
        return await _rows(connection, SCHEMA.probe)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege):
        return None


async def _prepare(connection: Connection) -> None:
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            found = await _rows(connection, SCHEMA.catalog)
            if not (SCHEMA.recorded(found) and SCHEMA.ready(await _rows(connection, SCHEMA.probe))):
                for statement in SCHEMA.additions(found):
                    await connection.execute(statement)
    except _FORBIDDEN as error:
        text = str(error).partition("\n")[0]
        at = f"role {connection.info.user!r} may not add tables to database {connection.info.dbname!r} ({text})"
        SCHEMA.require(await _rows(connection, SCHEMA.catalog), at=at)
