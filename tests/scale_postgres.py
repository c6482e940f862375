"""Long threads and full stores in PostgreSQL, loaded by COPY, and what reads of them touch, for tests of scale and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg

from mastra_core import clock
from tests.scale import CONTENT, START

Statement = tuple[str, Sequence[Any]]
"""A statement as psycopg takes it: text and parameters."""

_CHUNK = 20_000
"""Rows that are given to the driver at once."""


def load_messages(url: str, *, thread_id: str, count: int, resource_id: str = "u") -> None:
    """Put *count* messages of 0.7 kB into a thread of a prepared database, three in a millisecond."""
    rows = (
        f"{thread_id}-{index:07d}\t{thread_id}\t{CONTENT}\tuser\tv2\t{at}\t{at}\t{resource_id}\n" for index, at in enumerate(_times(count))
    )
    _load(url, 'mastra_messages (id, thread_id, content, role, type, "createdAt", "createdAtZ", "resourceId")', rows)


def load_threads(url: str, *, count: int) -> None:
    """Put *count* threads of 500 resources into a prepared database, three in a millisecond."""
    rows = (f"thread-{index:07d}\tresource-{index % 500}\t\t{{}}\t{at}\t{at}\t{at}\t{at}\n" for index, at in enumerate(_times(count)))
    _load(url, 'mastra_threads (id, "resourceId", title, metadata, "createdAt", "updatedAt", "createdAtZ", "updatedAtZ")', rows)


def _times(count: int) -> Iterator[str]:
    return (clock.to_text(START + timedelta(milliseconds=index // 3)) for index in range(count))


def _load(url: str, table: str, rows: Iterable[str]) -> None:
    with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as connection:
        with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            held: list[str] = []
            for row in rows:
                held.append(row)
                if len(held) == _CHUNK:
                    copy.write("".join(held))
                    held.clear()
            copy.write("".join(held))
        connection.execute(f"VACUUM ANALYZE {table.partition(' ')[0]}")


async def sent_by(call: Callable[[], Awaitable[object]]) -> list[Statement]:
    """The statements that *call* gives to psycopg, with their parameters.

    Raises:
        RuntimeError: there were none.
    """
    seen: list[Statement] = []
    real = psycopg.AsyncCursor.execute

    async def noting(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        seen.append((query, tuple(params or ())))
        return await real(self, query, params, **options)

    psycopg.AsyncCursor.execute = noting  # type: ignore[method-assign]  # for the length of this call
    try:
        await call()
    finally:
        psycopg.AsyncCursor.execute = real  # type: ignore[method-assign]
    if not seen:
        msg = "the store gave no statement to a cursor of psycopg; tests/scale_postgres.py listens at AsyncCursor.execute"
        raise RuntimeError(msg)
    return seen


async def blocks(url: str, statement: Statement) -> tuple[int, str]:
    """How many blocks of 8 kB a statement touches when it has been prepared and run so often that its plan is settled, and that plan."""
    text, values = statement
    settled = 6
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, cursor_factory=psycopg.AsyncClientCursor) as connection:
        await connection.execute(f"PREPARE asked AS {_numbered(text)}".encode())
        arguments = f"({', '.join(['%s'] * len(values))})" if values else ""
        for _ in range(settled):
            await connection.execute(f"EXECUTE asked{arguments}", values)
        found = await connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE asked{arguments}", values)
        ((plans,),) = await found.fetchall()
    plan = plans[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], json.dumps(plan, indent=1)


def _numbered(text: str) -> str:
    """The statement with its parameters numbered, whichever way psycopg was given it."""
    first, *others = text.split("%s")
    return first + "".join(f"${number}{other}" for number, other in enumerate(others, 1))
