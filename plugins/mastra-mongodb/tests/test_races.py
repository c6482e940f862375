"""One thread and one run in MongoDB, changed by four processes at once: nothing is lost; and write conflicts are tried again."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener

from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Get, Query
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb.store import MongoDBStore
from tests.contract.merging import assert_all_survive, merge, prepare
from tests.contract.racing import assert_one_won_and_nothing_is_lost, at_once, race, suspend
from tests.servers.fixtures import own_mongodb

SAVER = """
import asyncio, sys
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb.store import MongoDBStore

async def main(url, process, savers, turns, bulk):
    async with MongoDBStore(uri=url, transactions=False) as store:
        await store.memory.get_thread_by_id("t")
        store.records.engine._connection.has_bulk_write = bool(bulk)
        print("ready", flush=True)
        sys.stdin.readline()

        async def save(saver):
            for turn in range(turns):
                pair = [a_message(f"{process}-{saver}-{turn}{part}", created=turn) for part in "ua"]
                await store.memory.save_turn(thread=a_thread(), messages=pair, existed=turn > 0)

        await asyncio.gather(*map(save, range(savers)))

asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""


class Tries(CommandListener):
    """Says when a batch is written a second time."""

    def __init__(self):
        self.names = []
        self.again = asyncio.Event()

    def started(self, event):
        self.names.append(event.command_name)
        if self.names.count("bulkWrite") == 2:
            self.again.set()

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture(params=["transactions", "standalone"])
def raced_url(request):
    """An empty database: on the run's replica set, and on a server that has no transactions."""
    if request.param == "transactions":
        yield request.getfixturevalue("mongodb_url")
        return
    with own_mongodb("--standalone") as server:
        yield urlsplit(server.url)._replace(path="/raced").geturl()


async def test_of_32_merges_in_four_processes_all_survive(raced_url):
    """Must hold: "Concurrent merges in four processes lose nothing": of a thread, of a resource and of a message."""
    await prepare(raced_url)
    await asyncio.to_thread(merge, raced_url)
    await assert_all_survive(raced_url)


async def test_of_sixteen_resumes_in_four_processes_one_wins_and_no_result_is_lost(raced_url):
    """Must hold: "Concurrent merges in four processes lose nothing": one process resumes a run, and every step's result survives."""
    await suspend(raced_url)
    winners = await asyncio.to_thread(race, raced_url)
    await assert_one_won_and_nothing_is_lost(raced_url, winners)


@pytest.mark.parametrize("bulk", [True, False], ids=["mongodb-8", "before-8"])
async def test_without_transactions_32_savers_in_four_processes_lose_nothing_and_no_reader_sees_half_a_turn(mongodb_url, bulk):
    """Eight savers in each of four processes save turns into one thread; readers beside them see both messages of a turn or none."""
    turns, seen = 4, []
    async with MongoDBStore(uri=mongodb_url, transactions=False) as store:
        await store.init()
        saving = asyncio.create_task(asyncio.to_thread(at_once, SAVER, mongodb_url, numbers=(8, turns, int(bulk))))
        while not saving.done():
            turn = await store.memory.read_turn("t", resource_id="r", last=1000)
            names = [message.id for message in turn.messages]
            assert len(names) == 2 * len({name[:-1] for name in names}), "a turn was seen in part"
            assert (turn.thread is None) == (not names)
            seen.append(len(names))
        await saving
        found = [message.id for message in await store.memory.list_messages("t", per_page=None)]
    assert seen == sorted(seen)
    assert any(0 < n < 64 * turns for n in seen), "the readers came too early or too late to see anything"
    expected = {f"{process}-{saver}-{turn}{part}" for process in range(4) for saver in range(8) for turn in range(turns) for part in "ua"}
    assert (set(found), len(found)) == (expected, len(expected))


async def test_what_a_decision_rests_on_does_not_change_under_it(mongodb_url, raw):
    """Must hold: "write conflicts retry": what is written by what another record says is decided anew when that one changes meanwhile."""
    seen = []

    def decided(found):
        seen.append(found[0].title)
        if len(seen) == 1:
            raw.mastra_threads.update_one({"id": "t"}, {"$set": {"title": "new"}})
        return [Save(MESSAGES, a_message(role=found[0].title))]

    async with MongoDBStore(uri=mongodb_url) as store:
        await store.memory.save_thread(a_thread(title="old"))
        await store.records.decide([Get(THREADS, ("t",))], decided)
        assert [message.role for message in await store.memory.list_messages("t")] == ["new"]
    assert seen == ["old", "new"]


async def test_what_moved_away_while_a_list_was_purged_stays(mongodb_url, raw):
    """A purge finds and then deletes: what has gone to another list meanwhile is no part of it any more."""

    class Moves(Tries):
        def started(self, event):
            if event.command_name == "delete":
                raw.mastra_messages.update_one({"id": "moves"}, {"$set": {"thread_id": "u"}})

    async with MongoDBStore(uri=mongodb_url, options={"event_listeners": [Moves()]}) as store:
        for name in ("moves", "stays"):
            await store.records.apply(Save(MESSAGES, a_message(name)))
        assert await store.records.engine.purge(Query(MESSAGES, "by_thread", at={"thread_id": "t"}), limit=10) == 1
        assert [message.id async for message in store.memory.iter_all_messages()] == ["moves"]


async def test_a_write_conflict_is_tried_again(mongodb_url):
    """Must hold: "write conflicts retry": another program's transaction holds the thread, a turn tries again; when it ends, both are there."""
    name = urlsplit(mongodb_url).path.strip("/")
    tries = Tries()
    async with (
        AsyncMongoClient(mongodb_url, event_listeners=[tries]) as client,
        MongoDBStore(client=client, db_name=name) as store,
        AsyncMongoClient(mongodb_url) as other,
    ):
        await store.memory.save_thread(a_thread())
        async with other.start_session() as session:
            await session.start_transaction()
            await other[name].mastra_threads.update_one({"id": "t"}, {"$set": {"metadata.theirs": 1}}, session=session)
            saving = asyncio.create_task(store.memory.save_turn(thread=a_thread(), messages=[a_message("m")], existed=True))
            await asyncio.wait_for(tries.again.wait(), timeout=30)
            await session.commit_transaction()
            await saving
        assert "abortTransaction" in tries.names
        thread = await store.memory.get_thread_by_id("t")
        assert thread.metadata["theirs"] == 1
        assert [message.id for message in await store.memory.list_messages("t")] == ["m"]
