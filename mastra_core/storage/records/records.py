"""The guard before an engine: checks what goes in, opens it once, retries what may be retried, translates what comes out.

Domains speak to this class alone. Knows the port; must not know any driver or any field.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar, overload

from mastra_core.errors import ConfigurationError, InvalidInputError, StorageError, StoreClosedError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.checks import check_change, check_read
from mastra_core.storage.records.engine import RecordEngine
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")

RETRY_DELAYS_SECONDS = (0.02, 0.1, 0.5)
"""Pauses before a failed operation is tried again, each made up to twice as long by chance."""


class Records:
    """Typed, checked access to one engine; every failure leaves as an error of `mastra_core.errors`."""

    def __init__(self, engine: RecordEngine, *, store_id: str) -> None:
        self.engine = engine
        self.store_id = store_id
        self._opening: asyncio.Task[None] | None = None
        self._owner: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._ready = False
        self._closed = False

    @overload
    async def fetch(self, a: Read[T1], /) -> tuple[T1]: ...
    @overload
    async def fetch(self, a: Read[T1], b: Read[T2], /) -> tuple[T1, T2]: ...
    @overload
    async def fetch(self, a: Read[T1], b: Read[T2], c: Read[T3], /) -> tuple[T1, T2, T3]: ...
    @overload
    async def fetch(self, *reads: Read[Any]) -> tuple[Any, ...]: ...
    async def fetch(self, *reads: Read[Any]) -> tuple[Any, ...]:
        """The answers to *reads*, in order, in one batch.

        Raises:
            InvalidInputError: a read names an unknown path, a bad id, a naive time; nothing was sent.
            StoredDataError: a record cannot be decoded.
            StorageUnavailableError: the database did not answer.
        """
        for read in reads:
            check_read(read)
        return tuple(await self._guarded(lambda: self.engine.fetch(reads))) if reads else ()

    async def apply(self, *changes: Change, atomic: bool = True) -> list[Any]:
        """Write *changes*, all or nothing when *atomic*; the answer to each is the record as now stored (of a Delete, as it was).

        Raises:
            Refused: a condition did not hold; nothing of an atomic batch was written.
            InvalidInputError: a value cannot be stored, a key occurs twice, or the batch is over the engine's limit; nothing was sent.
            StorageUnavailableError: the database did not answer.
        """
        if not changes:
            return []
        await self.open()
        _check_batch(changes, limit=self.engine.max_atomic if atomic else None)
        return await self._guarded(lambda: self.engine.apply(changes, atomic=atomic))

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, let *change* compute a batch, apply it if nothing read has changed meanwhile; *change* may be called several times.

        Raises:
            ConflictError: other writers won at every try.
            Refused: a condition did not hold; nothing was written.
        """
        for get in gets:
            check_read(get)
        await self.open()

        def checked(read: list[Any]) -> Sequence[Change]:
            changes = change(read)
            _check_batch(changes, limit=self.engine.max_atomic)
            return changes

        return await self._guarded(lambda: self.engine.decide(gets, checked))

    async def purge(self, query: Query[Any], *, limit: int = 1000) -> int:
        """Delete at most *limit* records of *query*; how many went. 0 means that none is left."""
        check_read(query)
        return await self._guarded(lambda: self.engine.purge(query, limit=limit))

    async def scan(self, kind: Kind[R], *, after: str | None = None) -> AsyncIterator[tuple[str, R]]:
        """Every record of *kind* at least once, each with a cursor that resumes behind it."""
        await self.open()
        try:
            async for cursor, record in self.engine.scan(kind, after=after):
                yield cursor, record
        except self.engine.driver_errors as error:
            raise self._translated(error) from error

    async def ping(self) -> None:
        """One round trip to the database."""
        await self._guarded(self.engine.ping)

    async def open(self) -> None:
        """Open the engine, once, also under concurrent first calls; a failure is not remembered.

        Raises:
            StoreClosedError: close() was called.
            ConfigurationError: used from another event loop, or after a fork.
        """
        if self._ready and self._owner == (os.getpid(), asyncio.get_running_loop()):
            return
        self._check_owner()
        while not self._ready:
            if self._opening is None:
                self._opening = asyncio.ensure_future(self._open_engine())
            task = self._opening
            try:
                await asyncio.shield(task)
            finally:
                if task.done() and self._opening is task:
                    self._opening = None

    async def close(self) -> None:
        """Finish what was accepted and release the engine; idempotent. Later calls raise StoreClosedError."""
        if self._closed:
            return
        if self._owner is not None:
            self._check_owner()
        self._closed = True
        self._ready = False
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._owner is not None:
            await self.engine.close()

    async def _open_engine(self) -> None:
        try:
            await self._tried(self.engine.open)
        except BaseException:
            await self.engine.close()
            raise
        self._ready = not self._closed

    def _check_owner(self) -> None:
        if self._closed:
            msg = f"the store {self.store_id!r} is closed; open a new one to go on"
            raise StoreClosedError(msg, store_id=self.store_id)
        here = (os.getpid(), asyncio.get_running_loop())
        if self._owner is None:
            self._owner = here
        elif self._owner[0] != here[0]:
            msg = f"the store {self.store_id!r} was opened before a fork, in process {self._owner[0]}; open it in process {here[0]} itself"
            raise ConfigurationError(msg)
        elif self._owner[1] is not here[1]:
            msg = (
                f"the store {self.store_id!r} belongs to the event loop that used it first, and this is another one; "
                "make one store a loop, call it from its own loop, or use its .sync methods everywhere"
            )
            raise ConfigurationError(msg)

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        await self.open()
        return await self._tried(call)

    async def _tried(self, call: Callable[[], Awaitable[T]]) -> T:
        for delay in (*RETRY_DELAYS_SECONDS, None):
            try:
                return await call()
            except self.engine.driver_errors as error:
                fault = self.engine.diagnose(error)
                if fault is None:
                    raise
                if delay is None or not fault.retry:
                    raise fault.error(fault.message, store_id=self.store_id) from error
                await asyncio.sleep(delay * (1 + random.random()))  # spreads retries, guards no secret
            except StorageError as error:
                error.store_id = error.store_id or self.store_id
                raise
        raise AssertionError

    def _translated(self, error: BaseException) -> BaseException:
        fault = self.engine.diagnose(error)
        return error if fault is None else fault.error(fault.message, store_id=self.store_id)


def _check_batch(changes: Sequence[Change], *, limit: int | None) -> None:
    seen = set()
    for change in changes:
        check_change(change)
        place = (change.kind.name, change.key)
        if place in seen:
            msg = f"{change.kind.name} {'/'.join(change.key)} is changed twice in one batch; merge the changes, or save one after the other"
            raise InvalidInputError(msg)
        seen.add(place)
    if limit is not None and len(changes) > limit:
        msg = f"{len(changes)} changes in one batch; this store writes at most {limit} as one. Save fewer at once, or in chunks."
        raise InvalidInputError(msg)
