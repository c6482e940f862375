"""The kit catches composites that open, close or place something wrongly, each by the test that states it."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager, suppress

import pytest

from mastra_core.errors import MastraError
from mastra_core.storage.composite import CompositeStore
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.testing import CompositeContract
from mastra_core.testing.composite import contract as kit
from tests.unit.testing.runs import RED


class KeepsAllInTheDefault(CompositeStore):
    def __init__(self, *, default=None, domains=None, **options):
        super().__init__(default=default, domains={} if default else domains, **options)


class EnablesAll(CompositeStore):
    def __init__(self, *, domains=None, **options):
        super().__init__(domains={name: source for name, source in (domains or {}).items() if source is not False}, **options)


class OpensPastTheGuard(CompositeStore):
    async def init(self):
        for records in self._all_records():
            await records.engine.open()


class ClosesTheFirstAlone(CompositeStore):
    async def close(self):
        await self._all_records()[0].close()


class HidesErrors(CompositeStore):
    async def close(self):
        with suppress(MastraError):
            await super().close()


class RemembersFailures(CompositeStore):
    failure = None

    async def init(self):
        if self.failure is not None:
            raise self.failure
        try:
            await super().init()
        except MastraError as error:
            self.failure = error
            raise


class ClosesWhatItUses(CompositeStore):
    async def close(self):
        for records in self._all_records():
            await records.close()


class Contract(CompositeContract):
    @asynccontextmanager
    async def open_stores(self):
        yield InMemoryStore(id="one"), InMemoryStore(id="other")


async def run(test, **arguments):
    instance = Contract()
    fixture = inspect.unwrap(getattr(Contract.pair, "_fixture_function", Contract.pair))
    async for pair in fixture(instance):
        await getattr(instance, test)(pair=pair, **arguments)


CLOSES_THE_OTHER = "test_an_error_of_one_store_does_not_stop_closing_the_other"


@pytest.mark.parametrize(
    "composite, test, arguments",
    [
        (KeepsAllInTheDefault, "test_each_domain_is_kept_where_it_was_said", {}),
        (KeepsAllInTheDefault, "test_domains_are_those_of_the_stores", {}),
        (EnablesAll, "test_a_disabled_domain_is_none_and_says_so", {}),
        (ClosesWhatItUses, "test_a_composite_may_be_made_of_composites_and_have_one_domain", {}),
        (OpensPastTheGuard, "test_each_store_is_opened_once_under_concurrent_first_calls", {}),
        (ClosesTheFirstAlone, "test_each_store_is_closed_once_and_with_the_composite", {}),
        (ClosesWhatItUses, CLOSES_THE_OTHER, {"failing": 1}),
        (HidesErrors, CLOSES_THE_OTHER, {"failing": 0}),
        (RemembersFailures, "test_a_store_that_could_not_be_opened_is_tried_again", {"failing": 0}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_a_composite_that_breaks_a_promise_is_caught(composite, test, arguments, monkeypatch) -> None:
    """Each of these faults turns the test red that promises otherwise, and the composite that is shipped passes it."""
    await run(test, **arguments)
    monkeypatch.setattr(kit, "CompositeStore", composite)
    with pytest.raises((*RED, MastraError)):
        await run(test, **arguments)
