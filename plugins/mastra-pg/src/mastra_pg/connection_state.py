"""The state of one connection: whether the server still holds it, and how it is made fit for the next batch.

Talks to psycopg; must not know pools or statements.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

import attrs
import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

Connection = AsyncConnection[tuple[Any, ...]]


@attrs.frozen
class Lent:
    """How a connection of somebody else's pool was set."""

    autocommit: bool
    row_factory: Any
    cursor_factory: Any

    async def restore(self, connection: Any) -> None:
        """Give it back as it was."""
        connection.row_factory, connection.cursor_factory = self.row_factory, self.cursor_factory
        if not self.autocommit:
            await connection.set_autocommit(False)


async def lent(connection: Any) -> Lent:
    """Set a connection of somebody else's pool as ours are, without a round trip; how it was."""
    settings = Lent(connection.autocommit, connection.row_factory, connection.cursor_factory)
    connection.row_factory, connection.cursor_factory = tuple_row, AsyncCursor
    if not settings.autocommit:
        await connection.set_autocommit(True)
    return settings


async def dead(connection: Any) -> bool:
    """Whether the server has hung up, without a round trip: then something can be read where nothing is expected.

    A server that sent something else unasked, a notice perhaps, is asked in a round trip.
    """
    if connection.closed:
        return True
    if not _readable(connection.pgconn.socket):
        return False
    try:
        await connection.execute("")
    except psycopg.Error:
        return True
    return False


async def settled(connection: Any) -> None:
    """Make a connection fit for the next batch, or close it: its batch may have failed, or been cancelled, at any point."""
    if connection.closed:
        return
    pgconn = connection.pgconn
    if pgconn.pipeline_status == PipelineStatus.OFF and pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        with suppress(psycopg.Error):
            await connection.rollback()
    if pgconn.transaction_status != TransactionStatus.IDLE or pgconn.pipeline_status != PipelineStatus.OFF:
        await connection.close()


async def lost(connection: Any, error: psycopg.Error) -> bool:
    """Whether the connection ended with the *error*; it is closed then. After a FATAL one the server is gone, seen or not.

    A value that cannot be sent is no such error, though its connection was closed to undo what went before it.
    """
    if error.diag.severity_nonlocalized in ("FATAL", "PANIC"):
        await connection.close()
    return bool(connection.closed) and not isinstance(error, psycopg.DataError | psycopg.ProgrammingError)


def _readable(socket: int) -> bool:
    """Whether something can be read, or has ended, without waiting."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([socket], [], [], 0)[0])
