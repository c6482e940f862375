"""The record engine of PostgreSQL: one pipeline, and so one round trip, a batch.

A batch is a pipeline on an autocommit connection, which PostgreSQL runs as one transaction. Each statement of it is wrapped so that it
fails when it did not affect as many rows as it must; then nothing of the batch is kept, and the records are looked at to say which
condition did not hold.

Knows statements and what their failing means; connections are `connections`' affair. Must not know any field of a record.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from mastra_core.errors import ConflictError
from mastra_core.storage.records.changes import Change, Check, Delete, Patch
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Inspection, PoolState, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.sql import reads as sql_reads
from mastra_core.storage.sql import writes
from mastra_core.storage.sql.reads import Statement
from mastra_core.storage.sql.rows import answer, codec
from mastra_pg.connection_state import Connection
from mastra_pg.connections import Connections
from mastra_pg.dialect import PostgreSQLDialect
from mastra_pg.faults import diagnose
from mastra_pg.pipelines import piped
from mastra_pg.setup import inspected, set_up
from mastra_pg.tables import DEFAULT, Layout

TRIES = 20
"""How often a batch is tried when other writers get in its way."""

SERIALIZABLE = "BEGIN ISOLATION LEVEL SERIALIZABLE"
"""Said by the transaction itself, since a session's setting would be another's behind a pooler."""

_BUSY = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)

T = TypeVar("T")


class PostgreSQLEngine:
    """The port on one PostgreSQL database.

    Args:
        connections: to the server; opened and closed with the engine.
        layout: where the tables are, and what they are made of.
    """

    max_atomic: int | None = None
    capabilities: Mapping[str, Support] = dict.fromkeys(CAPABILITIES, FULL)
    driver_errors: tuple[type[BaseException], ...] = (psycopg.Error, PoolTimeout)

    def __init__(self, connections: Connections, *, layout: Layout = DEFAULT) -> None:
        self.connections = connections
        self._layout = layout
        self._dialect = layout.dialect

    async def open(self) -> None:
        """Connect, and add what the schema lacks; on a complete schema that is one read.

        Raises:
            ConfigurationError: a newer release has prepared the database, or the role may not add a table or column that is missing.
        """
        await self.connections.open()
        await set_up(self.connections, self._layout)

    async def close(self) -> None:
        """Close what open() opened."""
        await self.connections.close()

    async def ping(self) -> None:
        """Read one value."""
        await self.connections.read(lambda connection: connection.execute("SELECT 1"))

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read in one pipeline, one statement each."""
        statements = [sql_reads.statement(self._dialect, read) for read in reads]
        rows = await self._read(statements)
        return [answer(self._dialect, read, found) for read, found in zip(reads, rows, strict=True)]

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write in one pipeline, which is one transaction, whether *atomic* or not."""
        _ = atomic
        if any(change.when and isinstance(change, Delete | Patch) and _may_be_absent(change) for change in changes):
            return await self._in_transaction(lambda connection: _write(self._dialect, connection, changes))
        steps = writes.steps(self._dialect, changes)
        guarded = [Statement(_guarded_text(step), step.statement.parameters) for step in steps]

        async def attempt() -> list[Any] | None:
            try:
                rows = await self.connections.write(lambda connection: piped(connection, guarded))
            except psycopg.errors.DivisionByZero:
                await self._refuse(changes)
                return None
            return _answers(self._dialect, len(changes), steps, [[row[1:] for row in found if row[1] is not None] for found in rows])

        return await self._until_won(attempt)

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute and write in one serializable transaction, again when another one got in its way."""

        async def work(connection: Connection) -> list[Any]:
            rows = await piped(connection, [sql_reads.statement(self._dialect, get) for get in gets])
            changes = change([answer(self._dialect, get, found) for get, found in zip(gets, rows, strict=True)])
            return await _write(self._dialect, connection, changes)

        return await self._in_transaction(work)

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query* in one statement."""
        statement = sql_reads.purge_statement(self._dialect, query, limit=limit)
        (gone,) = await self.connections.write(lambda connection: piped(connection, [statement]))
        return len(gone)

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Every record in key order; the cursor is the key, its parts joined by U+0000, which no id holds."""
        key = None if after is None else tuple(after.split("\0"))
        while True:
            statement = sql_reads.scan_statement(self._dialect, kind, after=key, limit=500)
            (rows,) = await self._read([statement])
            for record in (codec(self._dialect, kind).record(row) for row in rows):
                key = kind.key_of(record)
                yield "\0".join(key), record
            if len(rows) < 500:
                return

    def ddl(self) -> Sequence[str]:
        """Statements that the program psql takes too."""
        return self._layout.schema.ddl()

    async def inspect(self) -> Inspection:
        """Over a connection of its own."""
        async with self.connections.alone() as connection:
            return await inspected(connection, self._layout)

    def pool(self) -> PoolState | None:
        """What psycopg's pool says of itself."""
        return self.connections.state()

    def diagnose(self, error: BaseException) -> Fault | None:
        """What PostgreSQL's SQLSTATE means."""
        return diagnose(error)

    async def _read(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        return await self.connections.read(lambda connection: piped(connection, statements))

    async def _in_transaction(self, work: Callable[[Connection], Awaitable[list[Any]]]) -> list[Any]:
        return await self._until_won(lambda: self.connections.transaction(SERIALIZABLE, work))

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
        rows = await self._read([sql_reads.statement(self._dialect, Get(change.kind, change.key)) for change in changes])
        for index, (change, found) in enumerate(zip(changes, rows, strict=True)):
            stored = answer(self._dialect, Get(change.kind, change.key), found)
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


async def _write(dialect: PostgreSQLDialect, connection: Connection, changes: Sequence[Change]) -> list[Any]:
    """Write inside the caller's transaction, looking at what was met when a change took no effect."""
    if not changes:
        return []
    steps = writes.steps(dialect, changes)
    rows = await piped(connection, [step.statement for step in steps])
    answers: list[Any] = [None] * len(changes)
    for step, found in zip(steps, rows, strict=True):
        done, unmet = writes.answers(dialect, step, found)
        for index, record in done.items():
            answers[index] = record
        for index, change in unmet:
            if writes.needs_look(change):
                get = Get(change.kind, change.key)
                (there,) = await piped(connection, [sql_reads.statement(dialect, get)])
                writes.settle(index, change, answer(dialect, get, there))
    return answers


def _answers(dialect: PostgreSQLDialect, count: int, steps: Sequence[writes.Step], rows: Sequence[Sequence[Sequence[Any]]]) -> list[Any]:
    answers: list[Any] = [None] * count
    for step, found in zip(steps, rows, strict=True):
        for index, record in writes.answers(dialect, step, found)[0].items():
            answers[index] = record
    return answers
