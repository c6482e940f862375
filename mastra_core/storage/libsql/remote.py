"""The record engine of a remote libSQL server: one HTTP request a batch, and every write one transaction inside it.

A statement that a condition depends on is followed by a guard, which fails when the condition does not hold; then the server rolls the
batch back, and what was met is looked at to say which condition it was.

Must not know any field of a record.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from mastra_core.errors import ConflictError
from mastra_core.storage.libsql.address import Address
from mastra_core.storage.libsql.hrana import IN_TRANSACTION, TIMEOUT_SECONDS, HranaClient, HranaError, Result, Rows, Step, rows_of
from mastra_core.storage.libsql.remote_faults import diagnose, is_forbidden, is_there_already, is_unknown_name
from mastra_core.storage.libsql.remote_sql import REMOTE, unchanged
from mastra_core.storage.libsql.tables import SCHEMA
from mastra_core.storage.libsql.transaction import Outcome, Transaction
from mastra_core.storage.libsql.write_queue import WriteQueue
from mastra_core.storage.records.changes import Change, Refused
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Inspection, Support
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.sql import reads as sql_reads
from mastra_core.storage.sql import writes
from mastra_core.storage.sql.migrate import newest
from mastra_core.storage.sql.reads import Statement
from mastra_core.storage.sql.rows import answer, codec

if TYPE_CHECKING:
    import httpx2

TRIES = 20
"""How often a batch is tried when other writers get in its way."""

SCAN_ROWS = 500
"""Rows a scan reads at a time."""

PART = 500
"""Changes of a request, in a long batch that need not be atomic."""


class RemoteLibSQLEngine:
    """Everything of the port, on one database of a libSQL server (sqld or Turso).

    Args:
        address: the server and its token.
        client: whose connections to use, of the event loop that uses the engine; it is not closed. Without one, the engine makes its own.
        timeout_seconds: how long the server may keep silent.
    """

    max_atomic: int | None = None
    capabilities: Mapping[str, Support] = dict.fromkeys(CAPABILITIES, FULL)
    driver_errors: tuple[type[BaseException], ...] = (HranaError,)

    def __init__(self, address: Address, *, client: httpx2.AsyncClient | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.address = address
        self._given = client
        self._timeout_seconds = timeout_seconds
        self._client: HranaClient | None = None
        self._writes: WriteQueue | None = None
        self._turns: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Add what the schema lacks; on a complete schema that is one request.

        Raises:
            ConfigurationError: httpx2 is not installed, a newer release has prepared the database, or it lacks a table or column and the
                token may not add it.
        """
        await self.close()
        self._client = self._connected()
        self._writes = WriteQueue(self._client)
        (probed,) = await self._client.batch([Step(SCHEMA.probe)], repeatable=True)
        if probed.error is not None and not is_unknown_name(probed.error):
            raise probed.error
        if not SCHEMA.ready(probed.rows or ()):
            await self._migrate()

    async def close(self) -> None:
        """Close the connections that open() made."""
        if self._writes is not None:
            await self._writes.close()
        if self._client is not None:
            await self._client.close()

    async def ping(self) -> None:
        """Read one value."""
        await self._read([Statement("SELECT 1", [])])

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read in one request, one statement each."""
        found = await self._read([sql_reads.statement(REMOTE, read) for read in reads])
        return [answer(REMOTE, read, rows) for read, rows in zip(reads, found, strict=True)]

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write in one request, which is one transaction; a long batch that need not be atomic in several."""
        if atomic or len(changes) <= PART:
            return await self._write(changes)
        answers: list[Any] = []
        for start in range(0, len(changes), PART):
            try:
                answers += await self._write(changes[start : start + PART])
            except Refused as refused:
                raise Refused(start + refused.index, refused.change, refused.found) from refused
        return answers

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute, and write on the condition that nothing read has changed; if it has, the refusal brings what is there now.

        Deciders of this process about the same record take turns, as they could only get in each other's way.
        """
        async with AsyncExitStack() as turns:
            for place in sorted({(get.kind.name, *get.key) for get in gets}):
                await turns.enter_async_context(self._turns.setdefault(place, asyncio.Lock()))
            return await self._decide(gets, change)

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query* in one statement."""
        statement = sql_reads.purge_statement(REMOTE, query, limit=limit)
        # The rollback is that of Transaction.
        results = await self._written([Step("ROLLBACK", (), IN_TRANSACTION), Step(statement.sql, statement.parameters)], repeatable=True)
        return len(rows_of(results[1]))

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Every record in key order; the cursor is the key."""
        key = None if after is None else tuple(json.loads(after))  # noqa: TID251  # a cursor, not a stored value
        while True:
            (rows,) = await self._read([sql_reads.scan_statement(REMOTE, kind, after=key, limit=SCAN_ROWS)])
            for record in map(codec(REMOTE, kind).record, rows):
                key = kind.key_of(record)
                yield json.dumps(key), record  # noqa: TID251
            if len(rows) < SCAN_ROWS:
                return

    def ddl(self) -> Sequence[str]:
        """Statements that `turso db shell` and the program sqlite3 take too."""
        return SCHEMA.ddl()

    async def inspect(self) -> Inspection:
        """Over connections of its own; two requests, the second a small one, which is timed."""
        client = self._connected()
        try:
            catalog, probed = await client.batch([Step(SCHEMA.catalog), Step(SCHEMA.probe)], repeatable=True)
            found = rows_of(catalog)
            rows = rows_of(probed) if SCHEMA.recorded(found) else ()
            asked = time.perf_counter()
            (version,) = await client.batch([Step("SELECT sqlite_version()")], repeatable=True)
            took = time.perf_counter() - asked
        finally:
            await client.close()
        server = f"libSQL server (SQLite {rows_of(version)[0][0]})"
        return Inspection(server=server, version=newest(rows), missing=SCHEMA.missing(found, rows), round_trip_seconds=took)

    def pool(self) -> None:
        """httpx2 does not tell."""

    def diagnose(self, error: BaseException) -> Fault | None:
        """What the server's status or code means."""
        return diagnose(error, url=self.address.url)

    def _connected(self) -> HranaClient:
        return HranaClient(self.address, client=self._given, timeout_seconds=self._timeout_seconds)

    async def _written(self, steps: Sequence[Step], *, repeatable: bool = False) -> list[Result]:
        assert self._writes is not None
        return await self._writes.run(steps, repeatable=repeatable)

    async def _read(self, statements: Sequence[Statement]) -> list[Rows]:
        """The rows of statements that may be run again; one request."""
        assert self._client is not None
        results = await self._client.batch([Step(one.sql, one.parameters) for one in statements], repeatable=True)
        return [rows_of(result) for result in results]

    async def _write(self, changes: Sequence[Change]) -> list[Any]:
        transaction = Transaction([], writes.steps(REMOTE, changes))
        for turn in range(TRIES):
            outcome = await self._run(transaction, [])
            if outcome.refused is None:
                return transaction.answers(len(changes), outcome)
            await self._look(transaction.refused(outcome))
            await _pause(turn)
        raise _beaten()

    async def _decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        watched = [sql_reads.statement(REMOTE, get) for get in gets]
        found: Sequence[Rows] = await self._read(watched)
        for turn in range(TRIES):
            changes = change([answer(REMOTE, get, rows) for get, rows in zip(gets, found, strict=True)])
            if not changes:
                return []
            transaction = Transaction([unchanged(get, rows) for get, rows in zip(gets, found, strict=True)], writes.steps(REMOTE, changes))
            outcome = await self._run(transaction, watched)
            if outcome.refused is None:
                return transaction.answers(len(changes), outcome)
            await self._look(transaction.refused(outcome))
            found = outcome.after
            await _pause(turn)
        raise _beaten()

    async def _run(self, transaction: Transaction, after: Sequence[Statement]) -> Outcome:
        """Run a transaction, and what is to be read if it was refused, in one request."""
        return transaction.outcome(await self._written(transaction.steps(after)))

    async def _look(self, suspects: Sequence[writes.Indexed]) -> None:
        """Find the change whose condition does not hold.

        Raises:
            Refused: as found; nothing is raised when by now every condition holds.
        """
        gets = [Get(change.kind, change.key) for _, change in suspects]
        found = await self.fetch(gets) if gets else []
        for (index, change), stored in zip(suspects, found, strict=True):
            if not writes.holds(change, stored):
                writes.settle(index, change, stored)

    async def _migrate(self) -> None:
        """Add what is missing in one transaction; processes that start at once may find that another has done it."""
        for turn in range(TRIES):
            (found,) = await self._read([Statement(SCHEMA.catalog, [])])
            transaction = Transaction([Statement(text, []) for text in SCHEMA.additions(found)], [])
            try:
                results = await self._written(transaction.steps([]), repeatable=True)
                failed = next((result.error for result in results if result.error is not None), None)
            except HranaError as error:
                failed = error
            if failed is None:
                return
            if is_forbidden(failed):
                SCHEMA.require(found, at=f"{self.address.url} may only be read with this token")
                return
            if not is_there_already(failed):
                raise failed
            await _pause(turn)
        raise _beaten()


async def _pause(turn: int) -> None:
    await asyncio.sleep(random.random() * 0.005 * 2 ** min(turn, 6))  # spreads writers, guards no secret


def _beaten() -> ConflictError:
    msg = f"other writers changed the same records at each of {TRIES} tries; try again when there are fewer, or save in one process"
    return ConflictError(msg)
