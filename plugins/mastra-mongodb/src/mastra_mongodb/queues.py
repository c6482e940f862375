"""Whose turn it is to write to a record: transactions of one process on the same document would cancel each other.

Nothing here is needed to be right, only to be cheap. Must not know the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from mastra_core.storage.records.kind import Key

Place = tuple[str, Key]
"""The collection and the key of a record."""


class Queues:
    """One queue a place, for as long as somebody is in it."""

    def __init__(self) -> None:
        self._locks: dict[Place, asyncio.Lock] = {}
        self._users: dict[Place, int] = {}

    @asynccontextmanager
    async def turn(self, places: Iterable[Place]) -> AsyncIterator[None]:
        """Wait for the turn at every place; in one order everywhere, so that nobody waits in a circle."""
        async with AsyncExitStack() as stack:
            for place in sorted(set(places)):
                await stack.enter_async_context(self._one(place))
            yield

    @asynccontextmanager
    async def _one(self, place: Place) -> AsyncIterator[None]:
        lock = self._locks.setdefault(place, asyncio.Lock())
        self._users[place] = self._users.get(place, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[place] -= 1
            if not self._users[place]:
                del self._users[place], self._locks[place]
