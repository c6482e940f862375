"""A scan that the database fails in the middle of goes on behind what it gave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from mastra_core.errors import StorageUnavailableError
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.engine import Fault
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.kinds import THREADS
from mastra_core.storage.records.records import Records
from mastra_core.testing.samples import a_thread

NAMES = ["a", "b", "c", "d", "e"]


class LostError(Exception):
    """What the driver of the engine below raises."""


class FailingEngine(InMemoryEngine):
    """Its scans fail: each after as many records as *after* says next, and no more where it says nothing more."""

    driver_errors: tuple[type[BaseException], ...] = (LostError,)

    def __init__(self, after: Iterable[int], *, retry: bool = True) -> None:
        super().__init__()
        self._after = iter(after)
        self._retry = retry
        self.begun: list[str | None] = []

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Some records, then a failure."""
        self.begun.append(after)
        left = next(self._after, None)
        async for found in super().scan(kind, after=after):
            if left == 0:
                raise LostError
            left = None if left is None else left - 1
            yield found

    def diagnose(self, error: BaseException) -> Fault | None:
        """It is the database's."""
        assert isinstance(error, LostError)
        return Fault(error=StorageUnavailableError, message="throttled", retry=self._retry)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastra_core.storage.records.records.RETRY_DELAYS_SECONDS", (0.0, 0.0))


async def scanned(engine: FailingEngine, seen: list[str]) -> Any:
    """Put into *seen* what a scan gives."""
    records = Records(engine, store_id="mine")
    await records.apply(*(Save(THREADS, a_thread(name)) for name in NAMES))
    async for _, thread in records.scan(THREADS):
        seen.append(thread.id)


async def test_a_scan_goes_on_behind_what_it_gave() -> None:
    """However often the database fails: nothing is missing, nothing comes twice, and what was given counts as a success."""
    engine, seen = FailingEngine(after=[2, 1, 0, 1, 0]), []
    await scanned(engine, seen)
    assert seen == NAMES
    assert engine.begun == [None, "b", "c", "c", "d", "d"]


async def test_a_scan_that_gets_nowhere_ends_in_an_error_that_names_the_store() -> None:
    """Its tries are bounded; what it gave before stays given."""
    engine, seen = FailingEngine(after=[2, 0, 0, 0, 0]), []
    with pytest.raises(StorageUnavailableError, match="throttled") as caught:
        await scanned(engine, seen)
    assert (seen, caught.value.store_id) == (["a", "b"], "mine")
    assert engine.begun == [None, "b", "b"]


async def test_a_scan_is_not_tried_again_where_that_cannot_help() -> None:
    """A missing permission is told at once."""
    engine, seen = FailingEngine(after=[1], retry=False), []
    with pytest.raises(StorageUnavailableError, match="throttled"):
        await scanned(engine, seen)
    assert (seen, engine.begun) == (["a"], [None])
