"""The kit catches memory domains that break a promise about updates, copies, owners and resources, each by the test that states it."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from mastra_core.errors import ConflictError, InvalidInputError, MastraError, ThreadNotFoundError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.changes import Patch, Refused, Save
from mastra_core.storage.records.engine import CAPABILITIES
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.kinds import KINDS, MESSAGES, RESOURCES, THREADS
from mastra_core.testing import MemoryContract
from mastra_core.testing.samples import a_thread
from tests.unit.testing import engines
from tests.unit.testing.runs import RED
from tests.unit.testing.test_memory_contract import contract_of, run


class CreatesOnUpdate(MemoryDomain):
    async def update_thread(self, id, *, title=None, metadata=None):
        try:
            return await super().update_thread(id, title=title, metadata=metadata)
        except ThreadNotFoundError:
            return await self.save_thread(a_thread(id, title=title))


class WritesTheTitleFirst(MemoryDomain):
    async def update_thread(self, id, *, title=None, metadata=None):
        if title is not None:
            await super().update_thread(id, title=title)
        return await super().update_thread(id, metadata=metadata)


class ListsWithoutMetadata(MemoryDomain):
    async def list_threads(self, *, filter=None, **options):
        return await super().list_threads(filter={"resource_id": filter["resource_id"]}, **options)


class OrdersByCreation(MemoryDomain):
    async def list_threads(self, *, order_by=None, **options):
        return await super().list_threads(order_by=None if order_by is None else {**order_by, "field": "created_at"}, **options)


class KeepsTheFirstDate(MemoryDomain):
    async def save_thread(self, thread):
        old = await self.get_thread_by_id(thread.id)
        return await super().save_thread(thread if old is None else attrs.evolve(thread, created_at=old.created_at))


class ReplacesContent(MemoryDomain):
    async def update_messages(self, messages):
        stored = {message.id: message for message in await self.list_messages_by_id([given["id"] for given in messages])}
        new = [attrs.evolve(stored[given["id"]], **{"id": given["id"]} | given) for given in messages if given["id"] in stored]
        return await self.save_messages(new)


class AnswersUpdatesInTheOrderGiven(MemoryDomain):
    async def update_messages(self, messages):
        return (await super().update_messages(messages))[::-1]


class UpdatesOneByOne(MemoryDomain):
    async def update_messages(self, messages):
        return tuple([message for given in messages for message in await super(UpdatesOneByOne, self).update_messages([given])])


class WorksOnTheFirstFifty(MemoryDomain):
    async def update_messages(self, messages):
        return await super().update_messages(messages[:50])

    async def delete_messages(self, message_ids):
        await super().delete_messages(message_ids[:50])

    async def list_messages_by_id(self, message_ids):
        return await super().list_messages_by_id(message_ids[:50])


class MarksNoThread(MemoryDomain):
    mode = "skip"

    async def update_messages(self, messages):
        decide = self.records.decide

        async def unmarked(gets, change):
            return await decide(gets, lambda found: [one for one in change(found) if not self._marks(one)])

        self.records.decide = unmarked
        try:
            return await super().update_messages(messages)
        finally:
            del self.records.decide

    def _marks(self, change):
        return isinstance(change, Patch) and change.kind is THREADS and change.missing == self.mode


class MovesAnywhere(MarksNoThread):
    mode = "refuse"


class DropsUnknownKeys(MemoryDomain):
    async def update_messages(self, messages):
        known = {"id", "content", "role", "type", "thread_id", "resource_id"}
        return await super().update_messages([{name: value for name, value in given.items() if name in known} for given in messages])


class ListsInTheOrderAsked(MemoryDomain):
    async def list_messages_by_id(self, message_ids):
        page = await super().list_messages_by_id(message_ids)
        return attrs.evolve(page, items=tuple(sorted(page.items, key=lambda message: message_ids.index(message.id))))


class TakesOneIdForMany(MemoryDomain):
    async def list_messages_by_id(self, message_ids):
        return await super().list_messages_by_id([name for name in message_ids if name and isinstance(name, str)])


class ListsOneThreadOfAResource(MemoryDomain):
    async def list_messages_by_resource_id(self, resource_id, **options):
        page = await super().list_messages_by_resource_id(resource_id, **options)
        return attrs.evolve(page, items=tuple(message for message in page if message.thread_id == "t"))


class PromisesMoreOfAResource(MemoryDomain):
    async def list_messages_by_resource_id(self, resource_id, **options):
        return attrs.evolve(await super().list_messages_by_resource_id(resource_id, **options), has_more=True)


class IgnoresTheOrderOfAResource(MemoryDomain):
    async def list_messages_by_resource_id(self, resource_id, *, order_by=None, **options):
        return await super().list_messages_by_resource_id(resource_id, **options)


class ShowsEverybodysNeighbours(InMemoryEngine):
    def _window(self, window):
        return super()._window(attrs.evolve(window, where=()))


class ClonesMetadataToo(MemoryDomain):
    async def clone_thread(self, source_thread_id, *, metadata=None, **options):
        source = await self.get_thread_by_id(source_thread_id)
        mine = source.metadata if source and source.metadata else {}
        return await super().clone_thread(source_thread_id, metadata={**mine, **(metadata or {})}, **options)


class DeletesEverything(MemoryDomain):
    async def delete_thread(self, thread_id):
        await self.dangerously_clear_all()


class ClonesForTheSameOwner(MemoryDomain):
    async def clone_thread(self, source_thread_id, *, resource_id=None, **options):
        return await super().clone_thread(source_thread_id, **options)


class ClonesEverything(MemoryDomain):
    async def clone_thread(self, source_thread_id, *, options=None, **more):
        return await super().clone_thread(source_thread_id, **more)


class ClonesOverAThread(MemoryDomain):
    async def clone_thread(self, source_thread_id, *, new_thread_id=None, **options):
        try:
            return await super().clone_thread(source_thread_id, new_thread_id=new_thread_id, **options)
        except ConflictError:
            await self.delete_thread(new_thread_id)
            return await super().clone_thread(source_thread_id, new_thread_id=new_thread_id, **options)


class TakesTheIdLast(MemoryDomain):
    async def clone_thread(self, source_thread_id, *, new_thread_id=None, **options):
        if await self.get_thread_by_id(new_thread_id) is not None:
            raise ConflictError("exists")
        hidden = await super().clone_thread(source_thread_id)
        copies = await self.list_messages(hidden.thread.id, per_page=None)
        messages = [Save(MESSAGES, attrs.evolve(copy, thread_id=new_thread_id)) for copy in copies]
        await self.records.apply(*messages)
        thread = attrs.evolve(hidden.thread, id=new_thread_id)
        try:
            await self.records.apply(Save(THREADS, thread, present="refuse"))
        except Refused:
            raise ConflictError("exists") from None
        return attrs.evolve(hidden, thread=thread)


class MovesTheThreadAlone(MemoryDomain):
    async def update_thread_resource_id(self, thread_id, *, resource_id):
        (thread,) = await self.records.apply(Patch(THREADS, (thread_id,), put={"resource_id": resource_id}))
        return thread


class Yields(InMemoryEngine):
    """Lets others run between any two steps, as every database does."""

    async def fetch(self, reads):
        await asyncio.sleep(0)
        return await super().fetch(reads)

    async def apply(self, changes, *, atomic):
        await asyncio.sleep(0)
        return await super().apply(changes, atomic=atomic)


class MovesMessagesFirst(MemoryDomain):
    async def update_thread_resource_id(self, thread_id, *, resource_id):
        for message in await self.list_messages(thread_id, per_page=None):
            await self.save_messages([attrs.evolve(message, resource_id=resource_id)])
        (thread,) = await self.records.apply(Patch(THREADS, (thread_id,), put={"resource_id": resource_id}))
        return thread


class KeepsResources(MemoryDomain):
    async def dangerously_clear_all(self):
        kept = await self.get_resource_by_id("r")
        await super().dangerously_clear_all()
        if kept is not None:
            await self.save_resource(kept)


class InventsResources(MemoryDomain):
    async def get_resource_by_id(self, resource_id):
        return await super().get_resource_by_id(resource_id) or await super().update_resource(resource_id)


class MergesOnSave(MemoryDomain):
    async def save_resource(self, resource):
        old = await self.get_resource_by_id(resource.id)
        memory = resource.working_memory or (old.working_memory if old else None)
        return await super().save_resource(attrs.evolve(resource, working_memory=memory))


class TrimsIds(MemoryDomain):
    async def save_resource(self, resource):
        return await super().save_resource(attrs.evolve(resource, id=resource.id.strip() or "blank"))

    async def get_resource_by_id(self, resource_id):
        return await super().get_resource_by_id(resource_id.strip() or "blank")


class SavesWhatItCan(MemoryDomain):
    async def save_resource(self, resource):
        try:
            return await super().save_resource(resource)
        except InvalidInputError:
            return resource


class CreatesWithoutMetadata(MemoryDomain):
    async def update_resource(self, resource_id, **options):
        updated = await super().update_resource(resource_id, **options)
        return await self.save_resource(attrs.evolve(updated, metadata=updated.metadata or None))


class ReplacesMetadata(MemoryDomain):
    async def update_resource(self, resource_id, *, working_memory=None, metadata=None):
        await super().update_resource(resource_id, working_memory=working_memory)
        (answer,) = await self.records.apply(Patch(RESOURCES, (resource_id,), put={} if metadata is None else {"metadata": metadata}))
        return answer


class RunsWithoutResource(MemoryDomain):
    async def read_turn(self, thread_id, *, with_resource=False, **options):
        return await super().read_turn(thread_id, **options)


OPTION_OF_A_RESOURCE = "test_an_option_of_a_list_of_a_resource_that_makes_no_sense_is_refused"

CAUGHT = [
    (MemoryDomain, engines.LosesOldMerges, "test_an_update_of_a_thread_keeps_what_it_does_not_name", {}),
    (MemoryDomain, engines.TurnsEmptyListsIntoObjects, "test_metadata_laid_over_comes_back_equal", {}),
    (MemoryDomain, engines.LowersTimes, "test_an_update_never_turns_a_last_change_back", {}),
    (CreatesOnUpdate, InMemoryEngine, "test_an_update_of_a_thread_that_does_not_exist_is_refused", {}),
    (WritesTheTitleFirst, InMemoryEngine, "test_an_update_of_a_thread_that_cannot_be_kept_is_refused_whole", {}),
    (MemoryDomain, engines.LosesRaces, "test_concurrent_updates_of_a_thread_lose_nothing", {}),
    (ListsWithoutMetadata, InMemoryEngine, "test_an_updated_thread_is_listed_by_what_it_became", {}),
    (OrdersByCreation, InMemoryEngine, "test_threads_changed_at_one_instant_are_ordered_by_id", {}),
    (MemoryDomain, engines.TurnsTiesRound, "test_threads_changed_at_one_instant_are_ordered_by_id", {}),
    (KeepsTheFirstDate, InMemoryEngine, "test_a_thread_saved_again_may_have_another_date", {}),
    (ReplacesContent, InMemoryEngine, "test_an_update_of_a_message_lays_its_content_over_the_stored_one", {}),
    (MemoryDomain, engines.TurnsEmptyListsIntoObjects, "test_content_laid_over_comes_back_equal", {}),
    (AnswersUpdatesInTheOrderGiven, InMemoryEngine, "test_updates_answer_what_exists_oldest_first_and_mark_the_thread", {}),
    (MarksNoThread, InMemoryEngine, "test_updates_answer_what_exists_oldest_first_and_mark_the_thread", {}),
    (MemoryDomain, engines.DecidesOnOldReads, "test_concurrent_updates_of_a_message_lose_nothing", {}),
    (WorksOnTheFirstFifty, InMemoryEngine, "test_any_number_of_messages_can_be_updated", {}),
    (UpdatesOneByOne, InMemoryEngine, "test_an_update_of_a_message_that_cannot_be_kept_is_refused_whole", {}),
    (MarksNoThread, InMemoryEngine, "test_a_message_moves_with_an_update_and_marks_both_threads", {}),
    (MovesAnywhere, InMemoryEngine, "test_a_message_cannot_move_to_a_thread_that_does_not_exist", {}),
    (
        DropsUnknownKeys,
        InMemoryEngine,
        "test_an_update_of_a_message_that_makes_no_sense_is_refused",
        {"wrong": {"id": "m", "threadId": "u"}, "told": "Did you mean 'thread_id'"},
    ),
    (ListsInTheOrderAsked, InMemoryEngine, "test_messages_are_found_by_id_oldest_first", {}),
    (WorksOnTheFirstFifty, InMemoryEngine, "test_any_number_of_ids_can_be_asked_for", {}),
    (TakesOneIdForMany, InMemoryEngine, "test_ids_that_make_no_sense_are_refused", {"wrong": "m", "told": "message_ids"}),
    (ListsOneThreadOfAResource, InMemoryEngine, "test_messages_of_a_resource_come_from_all_threads_in_order", {}),
    (MemoryDomain, engines.TurnsTiesRound, "test_messages_of_a_resource_come_from_all_threads_in_order", {}),
    (PromisesMoreOfAResource, InMemoryEngine, "test_pages_of_a_resource_follow_one_another", {}),
    (MemoryDomain, engines.LetsAnUnknownTypeMatch, "test_messages_of_a_resource_can_be_filtered", {}),
    (MemoryDomain, ShowsEverybodysNeighbours, "test_neighbours_in_a_list_of_a_resource_are_of_that_resource", {}),
    (MovesTheThreadAlone, InMemoryEngine, "test_messages_follow_a_thread_to_its_new_owner", {}),
    (
        IgnoresTheOrderOfAResource,
        InMemoryEngine,
        OPTION_OF_A_RESOURCE,
        {"wrong": {"order_by": {"field": "updated_at"}}, "told": "cannot order by 'updated_at'"},
    ),
    (ClonesMetadataToo, InMemoryEngine, "test_a_clone_is_a_thread_of_its_own_with_all_messages", {}),
    (DeletesEverything, InMemoryEngine, "test_a_clone_does_not_depend_on_its_source", {}),
    (ClonesForTheSameOwner, InMemoryEngine, "test_a_clone_may_have_another_owner_title_and_metadata", {}),
    (ClonesEverything, InMemoryEngine, "test_a_clone_takes_the_messages_it_is_asked_for", {}),
    (ClonesOverAThread, InMemoryEngine, "test_a_clone_of_nothing_or_onto_something_is_refused", {}),
    (TakesTheIdLast, Yields, "test_of_clones_onto_one_id_one_wins_whole", {}),
    (
        ClonesEverything,
        InMemoryEngine,
        "test_an_option_of_a_clone_that_makes_no_sense_is_refused",
        {"wrong": {"messageLimit": 1}, "told": "Did you mean 'message_limit'"},
    ),
    (MovesTheThreadAlone, InMemoryEngine, "test_a_thread_changes_its_owner_with_all_its_messages", {}),
    (MovesMessagesFirst, Yields, "test_turns_saved_while_a_thread_changes_hands_are_the_new_owners_or_refused", {}),
    (WorksOnTheFirstFifty, InMemoryEngine, "test_any_number_of_messages_can_be_deleted", {}),
    (KeepsResources, InMemoryEngine, "test_clearing_leaves_nothing", {}),
    (MemoryDomain, engines.TurnsEmptyListsIntoObjects, "test_a_saved_resource_is_answered_and_got_as_stored", {}),
    (InventsResources, InMemoryEngine, "test_a_resource_that_does_not_exist_is_none", {}),
    (MergesOnSave, InMemoryEngine, "test_a_resource_saved_again_is_replaced_whole", {}),
    (TrimsIds, InMemoryEngine, "test_any_resource_id_works", {}),
    (
        SavesWhatItCan,
        InMemoryEngine,
        "test_what_cannot_be_kept_of_a_resource_is_refused",
        {"wrong": {"working_memory": "a\0"}, "named": "working_memory"},
    ),
    (CreatesWithoutMetadata, InMemoryEngine, "test_an_update_creates_a_resource", {}),
    (ReplacesMetadata, InMemoryEngine, "test_an_update_of_a_resource_keeps_what_it_does_not_name", {}),
    (MemoryDomain, engines.DecidesOnOldReads, "test_concurrent_updates_of_a_resource_lose_nothing", {}),
    (RunsWithoutResource, InMemoryEngine, "test_a_run_reads_the_resource_with_its_thread", {}),
]


@pytest.mark.parametrize("domain, engine, test, arguments", CAUGHT, ids=lambda value: getattr(value, "__name__", str(value)[:60]))
async def test_a_store_that_breaks_a_promise_is_caught(domain, engine, test, arguments) -> None:
    """A green kit is worth something: each of these faults turns the test red that promises otherwise, and a sound store passes it."""
    sound = Yields if engine is Yields else InMemoryEngine
    await run(contract_of(MemoryDomain, sound), test, **arguments)
    with pytest.raises((*RED, MastraError)):
        await run(contract_of(domain, engine), test, **arguments)


class LeavesOutMessagesOfAResource(engines.RefusesMessagesOfAResource):
    capabilities = engines.SaysNotYetToMessagesOfAResource.capabilities


BY_RESOURCE = "test_messages_of_a_resource_come_from_all_threads_in_order"


async def test_a_path_that_is_left_out_must_be_refused_and_one_that_works_must_not_be_declared_away() -> None:
    """Lists that a backend does not have are checked both ways, like capabilities."""
    refusing, working = (
        contract_of(MemoryDomain, engine) for engine in (LeavesOutMessagesOfAResource, engines.SaysNotYetToMessagesOfAResource)
    )
    await run(refusing, BY_RESOURCE)
    with pytest.raises(pytest.fail.Exception, match=r"by_resource is NOT_YET \(no index\), but it works"):
        await run(working, BY_RESOURCE)


def test_what_the_kit_needs_exists() -> None:
    """A test that waits for a path or capability of another name would never be asked of anybody."""
    paths = {f"{kind.name}.{path.name}" for kind in KINDS for path in kind.paths}
    named = {
        name for test in dir(MemoryContract) if test.startswith("test_") for name in getattr(getattr(MemoryContract, test), "needs", ())
    }
    assert "mastra_messages.by_resource" in named
    assert named <= paths | set(CAPABILITIES)
