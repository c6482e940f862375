"""Batches without transactions: who sees them when, and what is stored of those that are refused."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mastra_core.errors import OwnershipError, StorageUnavailableError, ThreadNotFoundError
from mastra_core.storage.records.changes import Refused
from mastra_core.storage.records.kinds import THREADS
from mastra_core.testing.samples import a_message, a_thread, turn
from tests.mongodb_journal import STEPS, Commands, all_is_over, break_off, exchange, hold_in_the_middle, ids, left_long_ago


@pytest.mark.parametrize("refused", [False, True], ids=["stands", "refused"])
async def test_a_reader_waits_for_a_turn_that_is_under_way(opened, refused):
    """In the middle of a turn a reader waits, then it has all of it; or nothing, if the turn is refused."""
    commands = Commands()
    async with opened() as store, opened(commands) as other:
        await other.memory.save_thread(a_thread(resource_id="other" if refused else "r"))
        in_the_middle, go_on = hold_in_the_middle(store)
        saving = asyncio.create_task(store.memory.save_turn(thread=a_thread(), messages=exchange(1), existed=True))
        await in_the_middle.wait()
        commands.taken()
        commands.third_read.clear()
        reading = asyncio.create_task(other.memory.list_messages("t"))
        await asyncio.wait_for(commands.third_read.wait(), timeout=30)
        assert not reading.done()
        go_on.set()
        (outcome,) = await asyncio.gather(saving, return_exceptions=True)
        assert isinstance(outcome, OwnershipError) == refused
        assert ids(await reading) == ([] if refused else ["t1u", "t1a"])


@pytest.mark.parametrize("existed", [True, False], ids=["known-thread", "new-thread"])
async def test_nothing_of_a_turn_in_anothers_thread_is_stored(opened, database, existed):
    """Who asks for a thread of another gets the error; no message of the turn is there and the thread is as it was."""
    async with opened() as store:
        await store.memory.save_thread(a_thread(resource_id="other"))
        with pytest.raises(OwnershipError):
            await store.memory.save_turn(thread=a_thread(), messages=exchange(1), existed=existed)
        assert await store.memory.get_thread_by_id("t") == a_thread(resource_id="other")
    assert database.mastra_messages.count_documents({}) == 0
    assert all_is_over(database)


async def test_a_deleted_thread_does_not_come_back_with_a_turn(opened, database):
    """A run that has read the thread is told that it was deleted since, and nothing of its turn is there."""
    async with opened() as store:
        with pytest.raises(ThreadNotFoundError):
            await store.memory.save_turn(thread=a_thread(), messages=exchange(1), existed=True)
    assert database.mastra_messages.count_documents({}) + database.mastra_threads.count_documents({}) == 0


async def test_nothing_of_a_batch_is_stored_that_one_of_its_messages_refuses(opened, database):
    """A message that is stored in another thread, and may not move: neither the other message nor the new thread of the batch is there."""
    async with opened() as store:
        await store.memory.save_turn(thread=a_thread("from"), messages=exchange(1, "from"))
        with pytest.raises(Refused) as caught:
            await store.records.apply(*turn(a_thread(updated=5), [*exchange(1), a_message("from1u")], now=5))
        assert caught.value.found.thread_id == "from"
        assert await store.memory.get_thread_by_id("t") is None
        assert ids(await store.memory.list_messages("t")) == []
    assert database.mastra_messages.count_documents({}) == 2
    assert all_is_over(database)


async def test_a_message_of_another_thread_moves_with_the_turn(opened, database):
    """A turn with a message that is stored elsewhere is one step all the same, and one with a message that it saves again."""
    async with opened() as store:
        await store.memory.save_turn(thread=a_thread("from"), messages=exchange(1, "from"))
        moved = [*exchange(1), a_message("from1u", created=10**9)]
        await store.memory.save_turn(thread=a_thread(), messages=moved)
        assert ids(await store.memory.list_messages("from")) == ["from1a"]
        again = [a_message("t1u", role="system"), *exchange(2)]
        await store.memory.save_turn(thread=a_thread(), messages=again, existed=True)
        found = await store.memory.list_messages("t")
        assert {message.id: message.role for message in found} == {
            "from1u": "user",
            "t1u": "system",
            "t1a": "user",
            "t2u": "user",
            "t2a": "user",
        }
    assert all_is_over(database)


@pytest.mark.parametrize("existed", [True, False], ids=["known-thread", "new-thread"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_walk_over_everything_shows_no_half_turn_that_a_crash_has_left(opened, database, step, existed):
    """Build: "readers see all or nothing": an export is such a reader, and completes what it meets."""
    async with opened() as store, opened() as other:
        if existed:
            await other.memory.save_thread(a_thread(title="kept"))
        break_off(store, STEPS.index(step))
        with contextlib.suppress(StorageUnavailableError):
            await store.memory.save_turn(thread=a_thread(), messages=exchange(1), existed=existed)
        left_long_ago(database)
        walked = sorted([message.id async for message in other.memory.iter_all_messages()])
        assert walked == ([] if step in {"nothing", "entry"} else ["t1a", "t1u"])
        threads = [thread.id async for _, thread in other.records.scan(THREADS)]
        assert threads == (["t"] if existed or walked else [])


async def test_a_walk_over_everything_waits_for_a_turn_that_is_under_way(opened):
    """It goes on when the turn is over, with all of it; what it has not met keeps it from nothing."""
    commands = Commands()
    async with opened() as store, opened(commands) as other:
        await other.memory.save_turn(thread=a_thread("u"), messages=exchange(0, "u"))
        in_the_middle, go_on = hold_in_the_middle(store)
        saving = asyncio.create_task(store.memory.save_turn(thread=a_thread(), messages=exchange(1)))
        await in_the_middle.wait()
        assert [thread.id async for _, thread in other.records.scan(THREADS)] == ["u"]
        commands.taken()
        commands.third_read.clear()
        walking = asyncio.create_task(anext(aiter(other.memory.iter_all_messages())))
        await asyncio.wait_for(commands.third_read.wait(), timeout=30)
        assert not walking.done()
        go_on.set()
        await saving
        assert (await walking).id == "t1a"


async def test_a_walk_reads_a_page_again_of_which_a_turn_ended_meanwhile(opened):
    """The turn was over before the journal was asked, and not yet when the page was read: half of it is not all."""
    async with opened() as store, opened() as other:
        in_the_middle, go_on = hold_in_the_middle(store)
        saving = asyncio.create_task(store.memory.save_turn(thread=a_thread(), messages=exchange(1)))
        await in_the_middle.wait()
        connection = other.records.engine._connection
        whole = connection.documents

        async def documents(collection, pipeline):
            found = [document async for document in whole(collection, pipeline)]
            if collection == "mastra_messages":
                go_on.set()
                await saving
            for document in found:
                yield document

        connection.documents = documents
        assert sorted([message.id async for message in other.memory.iter_all_messages()]) == ["t1a", "t1u"]
