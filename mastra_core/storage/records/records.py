"""The guard before an engine: checks what goes in, opens it once, retries what may be retried, translates what comes out.

Domains speak to this class alone. Knows the port; must not know any driver or any field.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar, overload

from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.checks import check_change, check_read
from mastra_core.storage.records.engine import Inspection, PoolState, RecordEngine
from mastra_core.storage.records.guard import RETRY_DELAYS_SECONDS, Guard
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read

T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")


class Records(Guard[RecordEngine]):
    """Typed, checked access to one engine; every failure leaves as an error of `mastra_core.errors`."""

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
        return tuple(await self.run(lambda: self.engine.fetch(reads))) if reads else ()

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
        return await self.run(lambda: self.engine.apply(changes, atomic=atomic))

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

        return await self.run(lambda: self.engine.decide(gets, checked))

    async def purge(self, query: Query[Any], *, limit: int = 1000) -> int:
        """Delete at most *limit* records of *query*; how many went. 0 means that none is left."""
        check_read(query)
        return await self.run(lambda: self.engine.purge(query, limit=limit))

    async def scan(self, kind: Kind[R], *, after: str | None = None) -> AsyncIterator[tuple[str, R]]:
        """Every record of *kind* at least once, each with a cursor that resumes behind it."""
        await self.open()
        tries = iter(RETRY_DELAYS_SECONDS)
        while True:
            try:
                async for cursor, record in self.engine.scan(kind, after=after):
                    # A scan that fails goes on behind what it gave, and has all its tries again.
                    after, tries = cursor, iter(RETRY_DELAYS_SECONDS)
                    yield cursor, record
            except self.engine.driver_errors as error:
                fault = self.engine.diagnose(error)
                delay = next(tries, None)
                if fault is None or not fault.retry or delay is None:
                    raise self._translated(error) from error
                await asyncio.sleep(delay)
            else:
                return

    def ddl(self) -> Sequence[str]:
        """What a fresh database is made of, as an operator can run it: statements or documents; without a connection."""
        return self.engine.ddl()

    async def inspect(self) -> Inspection:
        """What the database is and what it lacks; neither opens the store nor changes anything.

        Raises:
            StorageUnavailableError: it cannot be reached, or there is none.
            ConfigurationError: a newer release has prepared it.
        """
        self._check_owner()
        return await self._tried(self.engine.inspect)

    def pool(self) -> PoolState | None:
        """How busy the engine's connections are, for whoever asks in any thread; None where it does not tell, or is not open."""
        return self.engine.pool() if self._ready else None

    async def ping(self) -> None:
        """One round trip to the database."""
        await self.run(self.engine.ping)


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
