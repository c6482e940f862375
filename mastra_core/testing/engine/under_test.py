"""The engine under test: how it is opened, how its database is looked into behind its back, and what the contracts write with.

Knows the port; must not know any database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio

from mastra_core.storage.records.changes import Change, Refused, Save
from mastra_core.storage.records.engine import RecordEngine
from mastra_core.storage.records.kind import Json, Key, Kind
from mastra_core.storage.records.query import Get
from mastra_core.storage.records.records import Records
from mastra_core.testing.contract import Contract
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import kind_of
from mastra_core.testing.stored import assert_stored


class EngineUnderTest(Contract):
    """What a backend supplies, and fixtures made of it."""

    def open_engine(self) -> AbstractAsyncContextManager[RecordEngine]:
        """An async context manager: an engine, not yet opened, over an empty database of its own; on exit nothing is left behind."""
        msg = f"{type(self).__name__} must define open_engine(self): an async context manager that gives a RecordEngine"
        raise NotImplementedError(msg)

    async def peek(self, engine: Any, kind: Kind[Any], key: Key) -> Mapping[str, Any] | None:
        """The raw stored document: TypeScript's stored names and raw values, or None. Read with the driver, not through the engine."""
        msg = f"{type(self).__name__} must define peek(self, engine, kind, key): what is stored, read with the driver"
        raise NotImplementedError(msg)

    async def poke(self, engine: Any, kind: Kind[Any], document: Mapping[str, Json]) -> bool:
        """Optional: store *document* (stored names; times as text, JSON as values) with the driver, as TypeScript would write it.

        False when the database cannot hold such a document at all, for example for the type of a column. Without it the tests of
        foreign records are skipped.
        """
        pytest.skip("poke is not defined, so records that others wrote are not tried")

    @pytest_asyncio.fixture
    async def engine(self) -> AsyncIterator[RecordEngine]:
        """The engine, not yet opened."""
        async with self.open_engine() as engine:
            yield engine

    @pytest_asyncio.fixture
    async def records(self, engine: RecordEngine) -> AsyncIterator[Records]:
        """The guard over the engine, opened."""
        records = Records(engine, store_id="kit")
        await records.open()
        self.capabilities = engine.capabilities
        try:
            yield records
        finally:
            await records.close()

    async def put(self, records: Records, *given: Any) -> None:
        """Save *given*, each by itself: set-up of a test, which promises nothing about batches."""
        await records.apply(*(Save(kind_of(record), record) for record in given), atomic=False)

    async def gets(self, records: Records, expected: Any) -> None:
        """Assert that *expected* is got by its key, and is what lies in the database."""
        kind = kind_of(expected)
        (found,) = await records.fetch(Get(kind, kind.key_of(expected)))
        assert_same(found, expected)
        await self.stores(records, expected)

    async def stores(self, records: Records, expected: Any) -> None:
        """Assert that *expected* lies in the database under TypeScript's names."""
        kind = kind_of(expected)
        assert_stored(kind, await self.peek(records.engine, kind, kind.key_of(expected)), expected)

    async def lacks(self, records: Records, kind: Kind[Any], *keys: str) -> None:
        """Assert that no record of these one-part keys can be got or lies in the database."""
        for key in keys:
            assert await records.fetch(Get(kind, (key,))) == (None,)
            raw = await self.peek(records.engine, kind, (key,))
            assert raw is None, f"{kind.name} {key!r} is still stored: {raw!r}"

    async def refuses(self, records: Records, *changes: Change, index: int = 0, found: Any = None) -> None:
        """Assert that the batch is refused for the change at *index*, with *found* as the stored record."""
        with pytest.raises(Refused) as caught:
            await records.apply(*changes)
        refused = caught.value
        assert refused.index == index, f"Refused.index is {refused.index}, but change {index} is the one whose condition does not hold"
        assert refused.change is changes[index], "Refused.change is not the change that was refused"
        assert_same(refused.found, found)


def ids(found: Sequence[Any]) -> list[str]:
    """The ids of *found*, in order."""
    return [record.id for record in found]
