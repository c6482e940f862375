"""The record engine of SQLite: one thread hop and one transaction a batch, readers beside one writer (WAL).

Statements come from `storage.sql`; here they are run. Must not know any field of a record.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import queue
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from mastra_core.storage.libsql.damage import name_changed, reread
from mastra_core.storage.libsql.dialect import SQLITE
from mastra_core.storage.libsql.driver import Connection, Error, Place, connect, connect_to_look, error_code, library
from mastra_core.storage.libsql.faults import READONLY, diagnose, is_unknown_name
from mastra_core.storage.libsql.tables import SCHEMA
from mastra_core.storage.libsql.workers import Workers
from mastra_core.storage.records.changes import Change, Refused
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Inspection, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.sql import reads as sql_reads
from mastra_core.storage.sql import writes
from mastra_core.storage.sql.migrate import newest
from mastra_core.storage.sql.rows import answer, codec

READERS = 4
"""Threads that read at once from a file; SQLite reads beside a writer in WAL mode."""

SCAN_ROWS = 500
"""Rows a scan reads at a time."""

PART = 500
"""Changes of a long batch that are encoded and then written together."""


class LibSQLEngine:
    """Everything of the port, on one SQLite file or in memory.

    Args:
        place: the file, or memory. In memory one connection serves reads and writes alike.
    """

    max_atomic: int | None = None
    capabilities: Mapping[str, Support] = dict.fromkeys(CAPABILITIES, FULL)
    driver_errors: tuple[type[BaseException], ...] = (Error,)

    def __init__(self, place: Place) -> None:
        self.place = place
        self.writer = self._workers(1, writing=True)
        self.readers = self.writer
        self._opened = False

    async def open(self) -> None:
        """Connect, and add what the schema lacks; on a complete schema that is one read.

        Raises:
            ConfigurationError: a newer release has prepared the file, or it is read-only and lacks a table or column.
        """
        self.writer = self._workers(1, writing=True)
        self.readers = self.writer if self.place.path is None else self._workers(READERS, writing=False)
        self._opened = True
        if not await self.readers.run(_ready):
            await self._migrate()

    async def close(self) -> None:
        """Finish what was accepted and close every connection."""
        self._opened = False
        await self.writer.close()
        if self.readers is not self.writer:
            await self.readers.close()

    async def ping(self) -> None:
        """Read one value."""
        await self.readers.run(lambda connection: connection.execute("SELECT 1").fetchone())

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read in one hop, one statement each."""
        statements = [sql_reads.statement(SQLITE, read) for read in reads]
        return await self.readers.run(lambda connection: [_answer(connection, r, s) for r, s in zip(reads, statements, strict=True)])

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write in one transaction, whether *atomic* or not; a long batch is encoded here while the writer writes the part before."""
        _ = atomic
        if len(changes) <= PART:
            steps = writes.steps(SQLITE, changes, silent=True)
            return await self.writer.run(lambda connection: _write(connection, len(changes), steps))
        parts = Parts()
        written = self.writer.begin(lambda connection: _write_parts(connection, parts))
        try:
            # Without a pause, for until the last part is there other processes wait.
            for start in range(0, len(changes), PART):
                part = changes[start : start + PART]
                parts.put((len(part), writes.steps(SQLITE, part, silent=True)))
        except BaseException as error:
            parts.put(error)
            await asyncio.gather(written, return_exceptions=True)  # until the writer has undone what it wrote
            raise
        parts.put(None)
        return await written

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute and write in one transaction, which no other writer can enter."""

        def work(connection: Connection) -> list[Any]:
            changes = change([_get(connection, get) for get in gets])
            return _write(connection, len(changes), writes.steps(SQLITE, changes, silent=True))

        return await self.writer.run(work)

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query* in one statement."""
        statement = sql_reads.purge_statement(SQLITE, query, limit=limit)
        return await self.writer.run(lambda connection: len(connection.execute(statement.sql, statement.parameters).fetchall()))

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Every record in key order; the cursor is the key."""
        key = None if after is None else tuple(json.loads(after))  # noqa: TID251  # a cursor, not a stored value
        while True:
            statement = sql_reads.scan_statement(SQLITE, kind, after=key, limit=SCAN_ROWS)
            records = await self.readers.run(lambda connection, s=statement: _records(connection, kind, s))  # type: ignore[misc]  # binds the statement now
            for record in records:
                key = kind.key_of(record)
                yield json.dumps(key), record  # noqa: TID251
            if len(records) < SCAN_ROWS:
                return

    def ddl(self) -> Sequence[str]:
        """Statements that the program sqlite3 takes too."""
        return SCHEMA.ddl()

    async def inspect(self) -> Inspection:
        """Over a connection of its own, which cannot write; in memory over that of the engine, and complete before there is one."""
        if self._opened and self.place.path is None:
            return await self.readers.run(_inspected)
        if self.place.path is None:
            return Inspection(server=library(), round_trip_seconds=0.0)
        looking = Workers(lambda: connect_to_look(self.place), threads=1, writing=False)
        try:
            return await looking.run(_inspected)
        finally:
            await looking.close()

    def pool(self) -> None:
        """A file has one connection a thread, and no pool."""

    def diagnose(self, error: BaseException) -> Fault | None:
        """What SQLite's result code means."""
        return diagnose(error, path=self.place.path or ":memory:")

    async def _migrate(self) -> None:
        try:
            await self.writer.run(_migrate)
        except Error as error:
            if error_code(error) != READONLY:
                raise
            at = f"{self.place.path} is opened read-only"
            await self.readers.run(lambda connection: SCHEMA.require(_catalog(connection), at=at))

    def _workers(self, threads: int, *, writing: bool) -> Workers:
        return Workers(lambda: connect(self.place), threads=threads, writing=writing)


class Parts:
    """The statements of a long batch, part by part, from the thread that encodes to the one that writes."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[int, Sequence[writes.Step]] | BaseException | None] = queue.SimpleQueue()
        self._taken: list[tuple[int, Sequence[writes.Step]] | BaseException | None] = []

    def put(self, part: tuple[int, Sequence[writes.Step]] | BaseException | None) -> None:
        """Add how many changes and their statements; None when there are no more, or why there are none."""
        self._waiting.put(part)

    def __iter__(self) -> Iterator[tuple[int, Sequence[writes.Step]]]:
        """Every part, waiting for it; from the first again when the transaction is done again."""
        for index in itertools.count():
            if index == len(self._taken):
                self._taken.append(self._waiting.get())
            part = self._taken[index]
            if part is None:
                return
            if isinstance(part, BaseException):
                raise part
            yield part


def _catalog(connection: Connection) -> list[Any]:
    return connection.execute(SCHEMA.catalog).fetchall()


def _ready(connection: Connection) -> bool:
    try:
        rows = connection.execute(SCHEMA.probe).fetchall()
    except Error as error:
        if is_unknown_name(error):
            return False
        raise
    return SCHEMA.ready(rows)


def _migrate(connection: Connection) -> None:
    """Add what is missing, inside the writer's transaction: of many processes one does it, the others find it done."""
    if not _ready(connection):
        for statement in SCHEMA.additions(_catalog(connection)):
            connection.execute(statement)


def _inspected(connection: Connection) -> Inspection:
    found = _catalog(connection)
    rows = connection.execute(SCHEMA.probe).fetchall() if SCHEMA.recorded(found) else []
    asked = time.perf_counter()
    connection.execute("SELECT 1").fetchone()
    took = time.perf_counter() - asked
    return Inspection(server=library(), version=newest(rows), missing=SCHEMA.missing(found, rows), round_trip_seconds=took)


def _records(connection: Connection, kind: Kind[R], statement: sql_reads.Statement) -> list[R]:
    convert = codec(SQLITE, kind).record
    return [convert(row) for row in _rows(connection, kind, statement)]


def _get(connection: Connection, get: Get[R]) -> R | None:
    found: R | None = _answer(connection, get, sql_reads.statement(SQLITE, get))
    return found


def _answer(connection: Connection, read: Read[Any], statement: sql_reads.Statement) -> Any:
    return answer(SQLITE, read, _rows(connection, read.kind, statement))  # type: ignore[attr-defined]  # every read has a kind


def _rows(connection: Connection, kind: Kind[Any], statement: sql_reads.Statement) -> list[Sequence[Any]]:
    try:
        return connection.execute(statement.sql, statement.parameters).fetchall()
    except Error as error:
        return reread(connection, kind, statement, error)


def _write_parts(connection: Connection, parts: Parts) -> list[Any]:
    answers: list[Any] = []
    for count, steps in parts:
        try:
            answers += _write(connection, count, steps)
        except Refused as refused:
            raise Refused(len(answers) + refused.index, refused.change, refused.found) from refused
    return answers


def _write(connection: Connection, count: int, steps: Sequence[writes.Step]) -> list[Any]:
    answers: list[Any] = [None] * count
    unmet: list[writes.Indexed] = []
    for step in steps:
        try:
            rows = connection.execute(step.statement.sql, step.statement.parameters).fetchall()
        except Error as error:
            name_changed(connection, step.changes[0][1].kind, [change.key for _, change in step.changes], error)
            raise
        done, left = writes.answers(SQLITE, step, rows)
        unmet += left
        for index, record in done.items():
            answers[index] = record
    for index, change in sorted(unmet, key=lambda pair: pair[0]):
        if writes.needs_look(change):
            writes.settle(index, change, _get(connection, Get(change.kind, change.key)))
    return answers
