"""Prepares a database: makes what it lacks of a layout, and says what that is. The transactions around the statements of `Schema`.

Tables, columns and the indexes of new tables are made in one transaction. An index of a table that was there before is made without
keeping writers waiting, which PostgreSQL does outside of transactions alone; what a crash leaves of it is found, dropped and made again.
Nothing is left in a session, so that a pooler may stand before the server.

Talks to psycopg; must not know records.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import psycopg

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.engine import Inspection
from mastra_core.storage.sql.migrate import Found, Lack, newest
from mastra_core.storage.sql.schema import Index, create_index
from mastra_pg.connection_state import Connection
from mastra_pg.connections import Connections
from mastra_pg.locks import holding
from mastra_pg.names import qualified
from mastra_pg.tables import Layout

SCHEMA_LOCK = 7_274_001
"""The advisory lock under which tables are made, so that processes starting at once wait for each other."""

TRIES = 3
"""How often the making of an index is begun, where it and somebody else's wait for each other."""

_FORBIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
_WRONG = (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError)

log = logging.getLogger("mastra_pg")


async def set_up(connections: Connections, layout: Layout) -> None:
    """Add what the database lacks; on a complete one that is one read.

    Raises:
        ConfigurationError: a newer release has prepared the database, the role may not add a table or column that is missing, or an index
            that was asked for cannot be.
    """
    async with connections.connection() as connection:
        applied = await _applied(connection, layout)
        if applied is not None and layout.schema.ready(applied):
            return
    try:
        if await _make_tables(connections, layout):
            await _make_indexes(connections, layout)
    except _FORBIDDEN as error:
        text = str(error).partition("\n")[0]
        async with connections.connection() as connection:
            at = f"role {connection.info.user!r} may not add tables to database {connection.info.dbname!r} ({text})"
            layout.schema.require(await _rows(connection, layout.schema.catalog), at=at)


async def inspected(connection: Connection, layout: Layout) -> Inspection:
    """What the database is and lacks; changes nothing.

    Raises:
        ConfigurationError: a newer release has prepared the database.
    """
    schema = layout.schema
    found = await _rows(connection, schema.catalog)
    applied = await _applied(connection, layout) if schema.recorded(found) else ()
    at_once, later = _split(layout, found)
    halves = await _halves(connection, layout) if later else set()
    missing = [lack.statement for lack in at_once] + [f"{text};" for index in later for text in _making(layout, index, halves)]
    if applied is not None and not schema.ready(applied):
        missing.append(schema.recording())
    asked = time.perf_counter()
    await connection.execute("SELECT 1")
    took = time.perf_counter() - asked
    server = f"PostgreSQL {connection.info.parameter_status('server_version')}"
    return Inspection(server=server, version=newest(applied or ()), missing=tuple(missing), round_trip_seconds=took)


def _split(layout: Layout, found: Found) -> tuple[list[Lack], list[Index]]:
    """What a transaction adds, and the indexes that are to be made after it, while others write."""
    tables = {row[0] for row in found}
    at_once: list[Lack] = []
    later: list[Index] = []
    for lack in layout.schema.lacks(found):
        if lack.index is not None and lack.index.kind.name in tables:
            later.append(lack.index)
        else:
            at_once.append(lack)
    return at_once, later


def _making(layout: Layout, index: Index, halves: set[str]) -> list[str]:
    """The statements that make an index of a table in use."""
    how = "" if index.name in layout.at_once else "CONCURRENTLY "
    drop = [f"DROP INDEX {how}IF EXISTS {qualified(index.name, layout.dialect.schema)}"] if index.name in halves else []
    return [*drop, create_index(layout.dialect, index, how=how)]


async def _make_tables(connections: Connections, layout: Layout) -> bool:
    """Add all that one transaction can; whether indexes are left to be made."""
    schema = layout.schema
    async with holding(connections, SCHEMA_LOCK) as connection:
        found = await _rows(connection, schema.catalog)
        if schema.recorded(found) and schema.ready(await _rows(connection, schema.probe)):
            return False
        at_once, later = _split(layout, found)
        for lack in at_once:
            await _run(connection, layout, lack.statement, lack.index)
        if not later:
            await connection.execute(schema.recording())
        return bool(later)


async def _make_indexes(connections: Connections, layout: Layout) -> None:
    """Make the indexes of tables that were there before, then write down that everything is there.

    The lock lies with one connection, in a transaction, and another one does the work.
    """
    schema = layout.schema
    if not connections.spare:
        msg = (
            "this database lacks indexes of tables in use, and the pool that was handed in has room for one connection; making them while "
            "others write takes two. Give it a max_size of 2 for this start, or run what `mastra check URL` prints"
        )
        raise ConfigurationError(msg)
    async with holding(connections, SCHEMA_LOCK), connections.connection() as connection:
        found = await _rows(connection, schema.catalog)
        for index in _split(layout, found)[1]:
            await _make(connection, layout, index)
        await connection.execute(schema.recording())


async def _make(connection: Connection, layout: Layout, index: Index) -> None:
    log.info("making the index %s of the table %s; this may take a while", index.name, index.kind.name)
    for left in reversed(range(TRIES)):
        try:
            for statement in _making(layout, index, await _halves(connection, layout)):
                await _run(connection, layout, statement, index)
        except psycopg.errors.DeadlockDetected:
            if not left:
                raise
        else:
            return


async def _run(connection: Connection, layout: Layout, statement: str, index: Index | None) -> None:
    """Run one statement, and no second one that the condition of an index may hold.

    Raises:
        ConfigurationError: it makes an index, which cannot be or was not made in the time that the server allows.
    """
    try:
        await connection.execute(statement, binary=index is not None, prepare=False)
    except _FORBIDDEN:
        raise
    except psycopg.errors.QueryCanceled as error:
        msg = f"the server gave up ({_first(error)}): {statement}; let an operator run it, or give this role a longer statement_timeout"
        raise ConfigurationError(msg) from error
    except _WRONG as error:
        if index is None or index.name not in layout.custom:
            raise
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(index.name, layout.dialect.schema)}")
        msg = f"the index {index.name!r} of the option indexes cannot be made: {_first(error)}: {statement}"
        raise ConfigurationError(msg) from error


async def _applied(connection: Connection, layout: Layout) -> list[tuple[Any, ...]] | None:
    """The record of migrations; None where there is none, or an operator keeps it from this role."""
    try:
        return await _rows(connection, layout.schema.probe)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege):
        return None


async def _halves(connection: Connection, layout: Layout) -> set[str]:
    return {name for (name,) in await _rows(connection, layout.halves)}


async def _rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement)).fetchall()


def _first(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
