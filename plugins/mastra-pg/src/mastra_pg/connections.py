"""Connections to one PostgreSQL server: whose pool they come from, which of them still live, and what may be done again when one breaks.

A connection is asked for its life without a round trip: what the server has hung up on can be read from, where nothing is expected. So a
batch is not given to a connection that is known to be dead, and nothing of it is sent twice. What breaks later is read again, but never
written again, since nobody knows whether it was stored. Those that lie idle are asked in the background. Where a server takes no writes any
more, connections that were made before are given up, since another one may be the primary by now.

Talks to psycopg; must not know a statement of any record.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, Self, TypeVar

import attrs
import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.storage.records.engine import PoolState
from mastra_pg.connection_state import Connection, dead, lent, lost, settled
from mastra_pg.faults import starting

Pool = AsyncConnectionPool[Any]
T = TypeVar("T")

WAIT_SECONDS = 10
"""How long a batch waits for a connection, and so how long an outage may be that nobody notices."""

IDLE_CHECK_SECONDS = 30.0

PREPARED_FROM = 5
"""psycopg prepares a statement when it runs it for the sixth time."""

READ_PAUSES_SECONDS = (0.0, 0.1, 0.5)
"""Before a read that lost its connection is asked again, each made up to twice as long by chance."""

LIBPQ: Mapping[str, Any] = {
    "fallback_application_name": "mastra",
    "connect_timeout": 10,
    # A peer that is gone without a word is noticed within a minute, and not after two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Parameters of libpq where the connection string does not say otherwise."""

Preparing = int | Literal["auto"] | None

_QUIET = logging.NullHandler()


@attrs.define
class _Door:
    """How the connections of one pool came in.

    Attributes:
        undecided: whether they must ask who answers before they may prepare a statement.
        failed: why connecting failed the last time; None when it did not.
        ready: a connection that was made before the pool was.
    """

    undecided: bool
    failed: psycopg.Error | None = None
    ready: _Entered | None = None


class _Entered(AsyncConnection[Any]):
    """A connection that tells its door how connecting went."""

    undecided: bool = False
    """Whether it must ask who answers before it may prepare a statement."""
    made: float = 0.0
    """When it was made, on the monotonic clock."""

    @classmethod
    async def connect(  # type: ignore[override]  # psycopg's options pass through
        cls, conninfo: str = "", *, door: _Door | None = None, **options: Any
    ) -> Self:
        """As psycopg's, or what waits at the *door*."""
        if door is not None and door.ready is not None:
            ready, door.ready = door.ready, None
            return ready  # type: ignore[return-value]  # nobody derives from this class
        try:
            entered = await super().connect(conninfo, **options)
        except psycopg.Error as error:
            if door is not None:
                door.failed = error
            raise
        entered.made = time.monotonic()
        if door is not None:
            door.failed, entered.undecided = None, door.undecided
        return entered


class Connections:
    """The connections of a store: from a pool of its own, or from one that was handed in and stays its owner's.

    A pool handed in is neither opened, closed nor configured; a connection of it is given back with the settings it came with.

    Args:
        source: a connection string of libpq, or an open pool.
        max_connections: how many at most, in a pool of ours.
        max_lifetime_seconds: when a connection is replaced by a new one, so that a server behind a balancer gets its share again.
        max_idle_seconds: when one of those that are not needed is closed.
        prepare_threshold: after how many runs a statement is prepared, as in psycopg; None: never, as behind a pooler in transaction mode;
            "auto": never where a pooler answers, else after 5. Of a pool of ours.
    """

    def __init__(
        self,
        source: str | Pool,
        *,
        max_connections: int = 20,
        max_lifetime_seconds: float = 1800,
        max_idle_seconds: float = 300,
        prepare_threshold: Preparing = "auto",
    ) -> None:
        self._conninfo = source if isinstance(source, str) else None
        self._given = {} if self._conninfo is None else conninfo_to_dict(self._conninfo)
        self._pool: Pool | None = None if isinstance(source, str) else source
        self._limits: dict[str, Any] = {"max_size": max_connections, "max_lifetime": max_lifetime_seconds, "max_idle": max_idle_seconds}
        self._prepare_threshold = prepare_threshold
        self._door = _Door(undecided=prepare_threshold == "auto")
        self._checking: asyncio.Task[None] | None = None
        self._distrusted = 0.0  # connections made until then are given up

    @property
    def pool(self) -> Pool:
        """The pool, for SQL of one's own.

        Raises:
            ConfigurationError: there is none yet.
        """
        if self._pool is None:
            msg = "there is no pool of connections before the store is open; call `await store.init()` first"
            raise ConfigurationError(msg)
        return self._pool

    def state(self) -> PoolState | None:
        """How busy the pool is; None before there is one."""
        if self._pool is None:
            return None
        told = self._pool.get_stats()
        # Another thread may ask it in the middle of its work.
        idle = min(told["pool_available"], told["pool_size"])
        return PoolState(open=told["pool_size"], idle=idle, waiting=told["requests_waiting"])

    @property
    def spare(self) -> bool:
        """Whether there is a connection left while `alone` gives one."""
        return self._conninfo is not None or self.pool.max_size != 1

    async def open(self) -> None:
        """Connect once, so that what is wrong is said at once and by its name, and keep that connection for the pool.

        A server that is just starting is waited for.

        Raises:
            psycopg.OperationalError: why the server could not be reached, or refused.
            ConfigurationError: the pool that was handed in is not open.
        """
        if self._conninfo is None:
            if self.pool.closed:
                msg = "the pool of connections that was handed in is not open; call `await pool.open()` before the store is used"
                raise ConfigurationError(msg)
            return
        # The pool warns of each attempt to connect; a program without a log would see that on its terminal, and our error besides.
        logging.getLogger("psycopg").addHandler(_QUIET)
        self._door = _Door(undecided=self._prepare_threshold == "auto")
        self._door.ready = await self._first()
        self._pool = AsyncConnectionPool(
            self._conninfo,
            connection_class=_Entered,
            kwargs={**self._options(), "door": self._door},
            min_size=1,
            open=False,
            timeout=WAIT_SECONDS,
            name="mastra-pg",
            # The pool pauses twice as long after each failure; giving up soon, and asking again, keeps pauses at a second.
            reconnect_timeout=1,
            reconnect_failed=_ask_again,
            **self._limits,
        )
        await self._pool.open(wait=True, timeout=WAIT_SECONDS)
        self._checking = asyncio.create_task(self._check_idle(), name="mastra-pg-idle")

    async def close(self) -> None:
        """Close the pool that open() made."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait([self._checking])
            self._checking = None
        if self._conninfo is not None:
            if self._pool is not None:
                await self._pool.close()
            if self._door.ready is not None:
                await self._door.ready.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A living connection in autocommit, that gives rows as tuples; closed instead of given back when the block left it in the middle.

        Raises:
            psycopg.OperationalError: none could be made, for the reason that the server gave last.
            PoolTimeout: all were in use for ten seconds.
        """
        before = _cancelling()
        connection = await self._living()
        settings = None if self._conninfo is not None else await lent(connection)
        try:
            yield connection
        except psycopg.errors.ReadOnlySqlTransaction:
            self._distrusted = time.monotonic()
            raise
        finally:
            await settled(connection)
            if settings is not None and not connection.closed:
                await settings.restore(connection)
            await self.pool.putconn(connection)
        if _cancelling() > before:
            # Before Python 3.12, wait_for loses a cancellation that comes in the same moment as what it waits for.
            raise asyncio.CancelledError

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Connection]:
        """A connection that is not the pool's, whether or not that is open; of a pool handed in, one of its own."""
        if self._conninfo is None:
            async with self.connection() as connection:
                yield connection
        else:
            async with await _Entered.connect(self._conninfo, **self._options()) as made:
                yield made

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What *work*, which only reads, gives; over another connection when the one it had is lost."""
        for pause in (*READ_PAUSES_SECONDS, None):
            async with self.connection() as connection:
                try:
                    return await work(connection)
                except psycopg.Error as error:
                    if pause is None or not await lost(connection, error):
                        raise
            await asyncio.sleep(pause * (1 + random.random()))  # spreads those who lost theirs at once, guards no secret
        raise AssertionError

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What *work* gives, once.

        Raises:
            StorageUnavailableError: the connection was lost in the middle, so that nobody knows whether it was stored.
        """
        async with self.connection() as connection:
            try:
                return await work(connection)
            except psycopg.Error as error:
                if await lost(connection, error):
                    raise _unknown(error) from error
                raise

    async def transaction(self, begin: str, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What *work* gives, within a transaction that *begin* opens; done again when the connection was lost before it was to be kept.

        Raises:
            StorageUnavailableError: the connection was lost while it was being kept, so that nobody knows whether it was.
        """

        async def attempt(connection: Connection) -> tuple[T, psycopg.Error | None]:
            await connection.execute(begin)
            done = await work(connection)
            try:
                await connection.commit()
            except psycopg.Error as error:
                if await lost(connection, error):
                    return done, error
                raise
            return done, None

        done, failure = await self.read(attempt)
        if failure is not None:
            raise _unknown(failure) from failure
        return done

    def _options(self) -> dict[str, Any]:
        ours = {name: value for name, value in LIBPQ.items() if name not in self._given}
        threshold = None if self._prepare_threshold == "auto" else self._prepare_threshold
        return {**ours, "autocommit": True, "prepare_threshold": threshold}

    async def _first(self) -> _Entered:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return await _Entered.connect(self._conninfo or "", door=self._door, **self._options())
            except psycopg.OperationalError as error:
                if not starting(error) or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1 + 0.1 * random.random())  # spreads those who wait, guards no secret

    async def _living(self) -> Any:
        """A connection that the server has not hung up on; one of somebody else's pool is trusted otherwise."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                connection = await self.pool.getconn(timeout=deadline - time.monotonic())
            except PoolTimeout as error:
                if self._door.failed is not None:
                    raise psycopg.OperationalError(str(self._door.failed)) from self._door.failed
                size = self.pool.max_size
                msg = f"all {size} connections were in use for {WAIT_SECONDS} s"
                raise PoolTimeout(msg) from error
            if getattr(connection, "made", math.inf) > self._distrusted and not await dead(connection):
                return connection
            await connection.close()
            await self.pool.putconn(connection)

    async def _check_idle(self) -> None:
        """Ask those that lie in the pool, one after the other, so that no batch waits for a check.

        The pool's own check takes all of them out at once, and a single one that does not answer keeps the others from their work.
        """
        while True:
            await asyncio.sleep(IDLE_CHECK_SECONDS * (0.9 + 0.2 * random.random()))  # spreads processes, guards no secret
            for _ in range(self.pool.get_stats().get("pool_available", 0)):
                with suppress(psycopg.Error, TimeoutError):
                    async with self.connection() as connection, asyncio.timeout(WAIT_SECONDS):
                        await connection.execute("")


def _unknown(error: psycopg.Error) -> StorageUnavailableError:
    text = str(error).partition("\n")[0]
    return StorageUnavailableError(
        f"PostgreSQL: the connection was lost while writing ({text}): what was being written may or may not be stored, all of it or "
        "nothing; read it before you write it again"
    )


def _cancelling() -> int:
    """How often somebody wanted the current task to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


async def _ask_again(pool: Pool) -> None:
    """Go on connecting where somebody waits for it."""
    if pool.get_stats().get("requests_waiting", 0):
        await pool.check()
