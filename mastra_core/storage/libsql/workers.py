"""Threads that own a connection each, and the queue before them: one hop for each batch.

Writers wait for each other's transactions anyway, so what queues up while one runs is committed together: one transaction, a savepoint each
(group commit). Knows connections; must not know statements or records.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from mastra_core.errors import StoreClosedError
from mastra_core.storage.libsql.driver import Connection, Error

T = TypeVar("T")
Work = Callable[[Connection], Any]

GROUP = 64
"""How many batches are committed together at most."""


@attrs.define(eq=False)
class Job:
    """Work on a connection, and who waits for it."""

    work: Work
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        """Tell the waiter; runs in its loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)

    def attempt(self, connection: Connection) -> None:
        """Do the work and keep what came of it, for the waiter to meet."""
        try:
            self.result, self.error = self.work(connection), None
        except BaseException as error:  # noqa: BLE001  # carried to the waiter, which raises it
            self.result, self.error = None, error


class Workers:
    """Threads with a connection each that do what is put in their common queue.

    Args:
        connect: opens a connection; called in the thread that will use it.
        threads: how many.
        writing: whether each job is a transaction, committed with those that wait behind it.
    """

    def __init__(self, connect: Callable[[], Connection], *, threads: int, writing: bool) -> None:
        self._connect = connect
        self._writing = writing
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, name="mastra-sqlite", daemon=True) for _ in range(threads)]
        self._started = False
        self._closed = False
        self.connections: list[Connection] = []

    async def run(self, work: Callable[[Connection], T]) -> T:
        """What *work* gives, done in one of the threads; for writers after the commit.

        Raises:
            StoreClosedError: close() was called.
        """
        return await self.begin(work)

    def begin(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """What *work* will give; it is begun at once, and writers may do it again from the start.

        Raises:
            StoreClosedError: close() was called.
        """
        if self._closed:
            msg = "the store was closed while this operation waited; open a new one to go on"
            raise StoreClosedError(msg)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(Job(work, loop, future))
        if not self._started:
            self._start()
        return future

    async def close(self) -> None:
        """Finish what was accepted, then close the connections."""
        self._closed = True
        if self._started:
            for _ in self._threads:
                self._jobs.put(None)
            for thread in self._threads:
                await asyncio.to_thread(thread.join)

    def _start(self) -> None:
        self._started = True
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        connection: Connection | None = None
        while (jobs := self._next()) is not None:
            if connection is None:
                connection = self._connected(jobs)
            if connection is not None:
                (_commit if self._writing else _each)(connection, jobs)
            _tell(jobs)
        if connection is not None:
            connection.close()
            self.connections.remove(connection)

    def _next(self) -> list[Job] | None:
        """The next job, and for a writer those waiting behind it; None at the end."""
        first = self._jobs.get()
        if first is None:
            return None
        jobs = [first]
        while self._writing and len(jobs) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            jobs.append(job)
        return jobs

    def _connected(self, jobs: list[Job]) -> Connection | None:
        try:
            connection = self._connect()
        except Error as error:
            for job in jobs:
                job.error = error
            return None
        self.connections.append(connection)
        return connection


def _each(connection: Connection, jobs: list[Job]) -> None:
    for job in jobs:
        job.attempt(connection)


def _commit(connection: Connection, jobs: list[Job]) -> None:
    """Do *jobs* in one transaction; one that fails is undone alone. If the transaction itself fails, each gets one of its own."""
    if len(jobs) == 1:
        _alone(connection, jobs[0])
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in jobs:
            _in_savepoint(connection, job)
        connection.execute("COMMIT")
    except Error:
        _roll_back(connection)
        for job in jobs:
            _alone(connection, job)


def _alone(connection: Connection, job: Job) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        job.attempt(connection)
        if job.error is None:
            connection.execute("COMMIT")
    except Error as error:
        job.error = error
    _roll_back(connection)


def _in_savepoint(connection: Connection, job: Job) -> None:
    """Do one job, and undo it if it fails.

    Raises:
        Error: the whole transaction is gone, as SQLite decides on a full disk or an I/O error.
    """
    connection.execute("SAVEPOINT job")
    job.attempt(connection)
    if job.error is not None:
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _roll_back(connection: Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _tell(jobs: list[Job]) -> None:
    """Wake the waiters, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, mine)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        job.resolve()
