"""The stores under test, and a watch on how often each is opened and closed.

Knows stores; must not know any engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import attrs
import pytest_asyncio

from mastra_core.storage.records.engine import RecordEngine
from mastra_core.storage.store import Store
from mastra_core.testing.contract import Contract


class Watched:
    """An engine, counted and made to fail at its start or its end."""

    def __init__(self, engine: RecordEngine) -> None:
        self._engine = engine
        self.opened = self.closed = 0
        self.fails_to_open: Exception | None = None
        self.fails_to_close: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def open(self) -> None:
        """Open the engine, unless it is to fail."""
        self.opened += 1
        if self.fails_to_open is not None:
            raise self.fails_to_open
        await self._engine.open()

    async def close(self) -> None:
        """Close the engine, and then fail if it is to."""
        self.closed += 1
        await self._engine.close()
        if self.fails_to_close is not None:
            raise self.fails_to_close


@attrs.frozen
class Pair:
    """Two stores and their watches."""

    first: Store
    second: Store
    watches: tuple[Watched, Watched]


class CompositeUnderTest(Contract):
    """What a backend supplies, and the fixture made of it."""

    def open_stores(self) -> AbstractAsyncContextManager[tuple[Store, Store]]:
        """An async context manager: two stores, not yet opened, each over an empty database of its own; nothing of them is left on exit.

        One at least is of the backend under test; the other may be of any. The contract closes both.
        """
        msg = f"{type(self).__name__} must define open_stores(self): an async context manager that gives two stores"
        raise NotImplementedError(msg)

    @pytest_asyncio.fixture
    async def pair(self) -> AsyncIterator[Pair]:
        """The stores, watched."""
        async with self.open_stores() as (first, second):
            watches = tuple(Watched(store.records.engine) for store in (first, second))
            for store, watch in zip((first, second), watches, strict=True):
                store.records.engine = cast("RecordEngine", watch)
            try:
                yield Pair(first, second, (watches[0], watches[1]))
            finally:
                for store, watch in zip((first, second), watches, strict=True):
                    watch.fails_to_close = None
                    await store.close()
