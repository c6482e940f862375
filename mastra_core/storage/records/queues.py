"""Whose turn it is to write to a record: transactions of one process on the same record would cancel each other.

For engines of databases that refuse a write when another is under way. Nothing here is needed to be right, only to be cheap. Knows asyncio
alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Generic, TypeVar

P = TypeVar("P", bound=tuple[Any, ...])
"""A place: whatever names a record, and can be put in order."""


class Queues(Generic[P]):
    """One queue a place, for as long as somebody is in it."""

    def __init__(self) -> None:
        self._locks: dict[P, asyncio.Lock] = {}
        self._users: dict[P, int] = {}

    @asynccontextmanager
    async def turn(self, places: Iterable[P]) -> AsyncIterator[None]:
        """Wait for the turn at every place; in one order everywhere, so that nobody waits in a circle."""
        async with AsyncExitStack() as stack:
            for place in sorted(set(places)):
                await stack.enter_async_context(self._one(place))
            yield

    @asynccontextmanager
    async def _one(self, place: P) -> AsyncIterator[None]:
        lock = self._locks.setdefault(place, asyncio.Lock())
        self._users[place] = self._users.get(place, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[place] -= 1
            if not self._users[place]:
                del self._users[place], self._locks[place]
