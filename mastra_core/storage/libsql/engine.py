"""The record engine of SQLite: one thread hop and one transaction a batch, readers beside one writer (WAL).

Statements come from `storage.sql`; here they are run. Must not know any field of a record.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from mastra_core.storage.libsql.dialect import INDEXES, SQLITE
from mastra_core.storage.libsql.driver import Connection, Error, Place, connect
from mastra_core.storage.libsql.faults import diagnose
from mastra_core.storage.libsql.workers import Workers
from mastra_core.storage.records.changes import Change, Refused
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.kinds import KINDS
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.sql import reads as sql_reads
from mastra_core.storage.sql import schema, writes
from mastra_core.storage.sql.rows import answer, codec

READERS = 4
"""Threads that read at once from a file; SQLite reads beside a writer in WAL mode."""

SCAN_ROWS = 500
"""Rows a scan reads at a time."""

PART = 500
"""Changes of a long batch that are encoded and then written together."""

_SCHEMA = (
    "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
    "WHERE m.type = 'table' AND m.name LIKE 'mastra\\_%' ESCAPE '\\' "
    "UNION ALL SELECT '', name FROM sqlite_master WHERE type = 'index'"
)


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

    async def open(self) -> None:
        """Connect, and add what the schema lacks; on a complete schema that is one read."""
        self.writer = self._workers(1, writing=True)
        self.readers = self.writer if self.place.path is None else self._workers(READERS, writing=False)
        if await self.readers.run(_needed):
            await self.writer.run(_migrate)

    async def close(self) -> None:
        """Finish what was accepted and close every connection."""
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
            steps = writes.steps(SQLITE, changes)
            return await self.writer.run(lambda connection: _write(connection, len(changes), steps))
        parts = Parts()
        written = self.writer.begin(lambda connection: _write_parts(connection, parts))
        try:
            # Without a pause, for until the last part is there other processes wait.
            for start in range(0, len(changes), PART):
                part = changes[start : start + PART]
                parts.put((len(part), writes.steps(SQLITE, part)))
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
            return _write(connection, len(changes), writes.steps(SQLITE, changes))

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

    def diagnose(self, error: BaseException) -> Fault | None:
        """What SQLite's result code means."""
        return diagnose(error, path=self.place.path or ":memory:")

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


def _needed(connection: Connection) -> list[str]:
    return schema.missing(SQLITE, KINDS, INDEXES, found=connection.execute(_SCHEMA).fetchall())


def _migrate(connection: Connection) -> None:
    """Add what is missing, inside the writer's transaction: of many processes one does it, the others find it done."""
    for statement in _needed(connection):
        connection.execute(statement)


def _records(connection: Connection, kind: Kind[R], statement: sql_reads.Statement) -> list[R]:
    convert = codec(SQLITE, kind).record
    return [convert(row) for row in connection.execute(statement.sql, statement.parameters)]


def _get(connection: Connection, get: Get[R]) -> R | None:
    found: R | None = _answer(connection, get, sql_reads.statement(SQLITE, get))
    return found


def _answer(connection: Connection, read: Read[Any], statement: sql_reads.Statement) -> Any:
    return answer(SQLITE, read, connection.execute(statement.sql, statement.parameters).fetchall())


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
        rows = connection.execute(step.statement.sql, step.statement.parameters).fetchall()
        done, left = writes.answers(SQLITE, step, rows)
        unmet += left
        for index, record in done.items():
            answers[index] = record
    for index, change in sorted(unmet, key=lambda pair: pair[0]):
        if writes.needs_look(change):
            writes.settle(index, change, _get(connection, Get(change.kind, change.key)))
    return answers
