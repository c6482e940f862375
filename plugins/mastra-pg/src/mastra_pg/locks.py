"""An advisory lock for the making of tables and indexes, held by one process at a time. Must not know what is made under it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mastra_pg.connection_state import Connection
from mastra_pg.connections import Connections

PAUSE_SECONDS = 0.02


@asynccontextmanager
async def holding(connections: Connections, lock: int) -> AsyncIterator[Connection]:
    """Hold *lock* in a transaction, and give its connection, to work within the transaction or, over another one, beside it.

    * The lock is the transaction's, since a session's would be left with another's session behind a pooler.
    * Nobody waits for it within the server. Who waits there has a snapshot, which the concurrent making of an index waits for: the holder
      would wait for the index, the index for those who wait, and they for the holder, which the server cannot see.
    * For the same reason the transaction must have no snapshot of its own while another connection works, whatever isolation the role has
      by default, and asks without parameters, which leave one open.
    * The server must not end it for being idle that long.
    """
    async with connections.alone() as connection:
        while True:
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", prepare=False)
                cursor = await connection.execute(f"SELECT pg_try_advisory_xact_lock({lock})", prepare=False)
                if await cursor.fetchone() == (True,):
                    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0", prepare=False)
                    yield connection
                    return
            await asyncio.sleep(PAUSE_SECONDS * (1 + random.random()))  # spreads those who wait, guards no secret
