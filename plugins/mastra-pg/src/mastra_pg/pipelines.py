"""Several statements in one round trip and one transaction, and on the first one the question who answers.

A pipeline ends with a Sync, which keeps what went before it. So a batch that is given up between two statements, since its task was ended
or a value cannot be sent, must not end so: its connection is closed instead.

A pooler in transaction mode gives every transaction another session, in which a statement prepared before may be unknown, or be another
one. It also makes up the process id that a connection is told of, so that the server gives another when it is asked.

Talks to psycopg; must not know a statement of any record.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from psycopg import AsyncRawCursor

from mastra_pg.connection_state import Connection
from mastra_pg.connections import PREPARED_FROM

Rows = list[tuple[Any, ...]]

KEPT_TO = 10_000
"""Letters of a statement whose numbered text is kept; longer ones save many records, and seldom as many as before."""


class Sendable(Protocol):
    """A statement and its parameters."""

    @property
    def sql(self) -> str: ...
    @property
    def parameters(self) -> Sequence[Any]: ...


async def piped(connection: Connection, statements: Sequence[Sendable]) -> list[Rows]:
    """The rows of every statement, in one round trip and, outside of a transaction, in one of their own."""
    cursors = [AsyncRawCursor(connection) for _ in statements]
    undecided = getattr(connection, "undecided", False)
    async with connection.pipeline():
        try:
            for cursor, statement in zip(cursors, statements, strict=True):
                await cursor.execute(numbered(statement.sql), statement.parameters)
            who = await connection.execute("SELECT pg_backend_pid()") if undecided else None
        except BaseException as error:
            if getattr(error, "sqlstate", None) is None:  # else the server has undone the batch
                await connection.close()
            raise
    if who is not None:
        answered = await who.fetchone()
        connection.undecided = False  # type: ignore[attr-defined]  # of ours; psycopg's has none
        if answered == (connection.info.backend_pid,):
            connection.prepare_threshold = PREPARED_FROM
    return [await cursor.fetchall() for cursor in cursors]


def numbered(text: str) -> str:
    """The statement with the parameters numbered as PostgreSQL has them, `$1` for the first `%s`.

    psycopg does it too, at ten times the cost, and anew for every long statement: most of what saving 1,000 spans took.
    """
    return _kept(text) if len(text) < KEPT_TO else _numbered(text)


def _numbered(text: str) -> str:
    first, *others = text.replace("%%", "\0").split("%s")
    return (first + "".join(f"${number}{other}" for number, other in enumerate(others, 1))).replace("\0", "%")


_kept = lru_cache(maxsize=1024)(_numbered)
