"""The kit catches memory domains that break a promise, each by the test that states it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import attrs
import pytest

from mastra_core.errors import MastraError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.records import Records
from mastra_core.testing import MemoryContract
from tests.unit.testing import engines
from tests.unit.testing.runs import RED


class SavesOneByOne(MemoryDomain):
    async def save_messages(self, messages, **options):
        return tuple([(await super(SavesOneByOne, self).save_messages([message], **options))[0] for message in messages])


class ForgetsTheOwner(MemoryDomain):
    async def get_thread_by_id(self, thread_id, *, resource_id=None):
        return await super().get_thread_by_id(thread_id)


class LeavesMessages(MemoryDomain):
    async def delete_thread(self, thread_id):
        purge, self.records.purge = self.records.purge, self._nothing
        try:
            await super().delete_thread(thread_id)
        finally:
            self.records.purge = purge

    async def _nothing(self, query, *, limit=1):
        return 0


class PromisesMore(MemoryDomain):
    async def list_messages(self, *args, **options):
        return attrs.evolve(await super().list_messages(*args, **options), has_more=True)


class AnswersUnknownOptions(MemoryDomain):
    async def list_threads(self, *, order_by=None, **options):
        return await super().list_threads(**options)


class ReadsOthersTurns(MemoryDomain):
    async def read_turn(self, thread_id, *, resource_id, **options):
        thread = await self.get_thread_by_id(thread_id)
        return await super().read_turn(thread_id, resource_id=thread.resource_id if thread else resource_id, **options)


def contract_of(domain, engine=InMemoryEngine):
    class Contract(MemoryContract):
        @asynccontextmanager
        async def open_store(self):
            yield SimpleNamespace(memory=domain(Records(engine(), store_id="kit"), product="kit"))

    return Contract


async def run(contract, test, **arguments):
    instance = contract()
    async with instance.open_store() as store:
        instance.capabilities = store.memory.records.engine.capabilities
        await getattr(instance, test)(memory=store.memory, **arguments)


@pytest.mark.parametrize(
    "contract, test",
    [
        (contract_of(SavesOneByOne), "test_messages_of_several_threads_are_saved_in_one_step"),
        (contract_of(ForgetsTheOwner), "test_a_thread_is_got_by_its_owner_only"),
        (contract_of(LeavesMessages), "test_a_deleted_thread_takes_its_messages_along"),
        (contract_of(PromisesMore), "test_pages_of_messages_follow_one_another"),
        (contract_of(AnswersUnknownOptions), "test_threads_of_an_owner_come_newest_first"),
        (contract_of(ReadsOthersTurns), "test_a_run_in_anothers_thread_is_refused"),
        (contract_of(MemoryDomain, engines.TurnsTiesRound), "test_messages_come_oldest_first_and_in_total_order"),
        (contract_of(MemoryDomain, engines.LowersTimes), "test_a_last_change_never_goes_back"),
        (contract_of(MemoryDomain, engines.StepsOverInWindows), "test_included_messages_come_with_exactly_the_neighbours_asked_for"),
        (contract_of(MemoryDomain, engines.TurnsEmptyListsIntoObjects), "test_messages_come_back_equal"),
        (contract_of(MemoryDomain, engines.ForgetsKeep), "test_a_message_saved_again_keeps_its_place"),
        (contract_of(MemoryDomain, engines.IgnoresWhen), "test_a_turn_in_anothers_thread_is_refused_whole"),
        (contract_of(MemoryDomain, engines.SaysFullAndRefusesWindows), "test_neighbours_are_scoped_to_the_owner_asked_for"),
        (contract_of(MemoryDomain, engines.SaysNotYetToWindowsAndOpensThem), "test_neighbours_are_those_of_the_messages_own_thread"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_store_that_breaks_a_promise_is_caught(contract, test) -> None:
    """A green kit is worth something: each of these faults turns the test red that promises otherwise, and a sound store passes it."""
    await run(contract_of(MemoryDomain), test)
    with pytest.raises((*RED, MastraError)):
        await run(contract, test)


async def test_the_kit_closes_the_store_it_was_given() -> None:
    """No connection outlives its test."""
    store = InMemoryStore()

    class Contract(MemoryContract):
        @asynccontextmanager
        async def open_store(self):
            yield store

    instance = Contract()
    opened = (
        Contract.memory.__wrapped__(instance) if hasattr(Contract.memory, "__wrapped__") else Contract.memory._fixture_function(instance)
    )
    async for memory in opened:
        assert memory is store.memory
    with pytest.raises(MastraError, match="closed"):
        await store.memory.get_thread_by_id("t")
