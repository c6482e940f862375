"""Turns without transactions: what they cost, who sees them when, and what a crash at each of their steps leaves."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import bson
import pymongo
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect
from pymongo.monitoring import CommandListener

from mastra_core.errors import OwnershipError, StorageUnavailableError, ThreadNotFoundError
from mastra_core.storage.records.changes import Refused
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.testing.samples import a_message, a_thread, turn
from mastra_mongodb import journal
from mastra_mongodb.journal import JOURNAL
from mastra_mongodb.store import MongoDBStore
from mastra_mongodb.wire import document_of
from tests.servers.fixtures import own_mongodb
from tests.servers.proxy import ProtocolError, Relay

STEPS = ("nothing", "entry", "one message", "messages", "thread")
"""How far a turn of two messages has come, by the writes that were made of it; after the last, it only has to be said that it is over."""


class Commands(CommandListener):
    """Every command that was sent, but those of the connection itself; and when the third read of a patient reader was."""

    def __init__(self):
        self.names = []
        self.third_read = asyncio.Event()

    def started(self, event):
        if event.command_name not in {"hello", "ping", "endSessions"}:
            self.names.append(event.command_name)
        if self.names.count("aggregate") == 3:
            self.third_read.set()

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass

    def taken(self):
        names, self.names = self.names, []
        return names


@pytest.fixture(params=[True, False], ids=["mongodb-8", "before-8"])
def bulk(request):
    """Whether the server is used with the bulk write of MongoDB 8."""
    return request.param


@pytest.fixture
def opened(mongodb_url, bulk):
    """Opens one store more on the test's database."""

    @asynccontextmanager
    async def opening(*listeners):
        async with (
            AsyncMongoClient(mongodb_url, event_listeners=listeners) as client,
            MongoDBStore(client=client, db_name=urlsplit(mongodb_url).path.strip("/"), transactions=False) as store,
        ):
            if not bulk:
                store.records.engine._connection.has_bulk_write = False
            yield store

    return opening


@pytest.fixture
def database(mongodb_url):
    """The test's database, past the store."""
    with pymongo.MongoClient(mongodb_url) as client:
        yield client.get_default_database()


def load(database, size):
    """A thread of *size* messages, by the driver itself."""
    database.mastra_threads.insert_one(document_of(THREADS, a_thread()))
    database.mastra_messages.insert_many([document_of(MESSAGES, a_message(f"m{n:06}", created=n)) for n in range(size)])


def exchange(number, thread_id="t"):
    return [a_message(f"{thread_id}{number}{part}", thread_id=thread_id, created=10**8 + 2 * number + i) for i, part in enumerate("ua")]


def ids(found):
    return [message.id for message in found]


class Confirmed(CommandListener):
    """How each write was to be confirmed."""

    def __init__(self):
        self.asked = []

    def started(self, event):
        if event.command_name in {"bulkWrite", "update", "insert", "findAndModify"}:
            self.asked.append(event.command.get("writeConcern"))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.mark.parametrize(
    "said, confirmed", [("", {"w": "majority"}), ("&w=1", {"w": 1}), ("&journal=false", {"j": False})], ids=["by-default", "w", "journal"]
)
async def test_what_is_confirmed_is_on_the_servers_disk(mongodb_url, said, confirmed):
    """Promise: "Nothing acknowledged is lost": a standalone server would confirm by itself what it has in memory; who says otherwise is obeyed."""
    writes = Confirmed()
    options = {"event_listeners": [writes]}
    async with MongoDBStore(uri=mongodb_url + said, options=options, transactions=False) as store:
        writes.asked = []
        await store.memory.save_turn(thread=a_thread(), messages=exchange(1))
        await store.memory.update_thread("t", title="new")
    assert writes.asked
    assert all(asked == confirmed for asked in writes.asked), writes.asked


def left_long_ago(database):
    """Let the time pass after which a writer counts as gone."""
    database[JOURNAL].update_many({}, {"$set": {"at": bson.datetime_ms.DatetimeMS(0)}})


def all_is_over(database):
    """Nobody holds a record, and no reader waits."""
    return database[JOURNAL].count_documents({"$or": [{"done": {"$exists": False}}, {"keys": {"$exists": True}}]}) == 0


def break_off(store, writes):
    """The connection of *store* breaks for good after so many writes, wherever in a command that is."""
    connection = store.records.engine._connection
    whole, left = connection.send, [writes]

    async def send(operations, **given):
        made, left[0] = operations[: left[0]], max(0, left[0] - len(operations))
        if len(made) == len(operations):
            return await whole(operations, **given)
        await whole(made, **given)
        raise AutoReconnect("the connection broke")

    connection.send = send


# ------------------------------------------------------------------------------------------------------------- what it costs


@pytest.mark.parametrize("size", [10, 1_000, pytest.param(100_000, marks=pytest.mark.scale)])
async def test_a_turn_without_transactions_costs_the_same_in_a_thread_of_any_length(opened, database, bulk, size, monkeypatch):
    """One aggregate to read; two bulk writes, or one command for the journal, the messages and the thread each.

    Must hold: "Commands per turn as budgeted, by pymongo's command listener, the same at 10 / 1,000 / 100,000 messages."
    """
    # The next turn says of the one before it that it is over, however long this machine takes.
    monkeypatch.setattr(journal, "END_SECONDS", 3600)
    load(database, size)
    commands = Commands()
    async with opened(commands) as store:
        commands.taken()
        turn = await store.memory.read_turn("t", resource_id="r", last=10, with_resource=True)
        assert commands.taken() == ["aggregate"]
        assert ids(turn.messages) == [f"m{n:06}" for n in range(size - 10, size)]
        written = ["bulkWrite", "bulkWrite"] if bulk else ["update", "update", "update"]
        for number in range(3):
            await store.memory.save_turn(thread=turn.thread, messages=exchange(number), existed=True)
            assert commands.taken() == written
        await store.memory.save_turn(thread=a_thread("new"), messages=exchange(1, "new"))
        assert commands.taken() == written
        turn = await store.memory.read_turn("new", resource_id="r", last=10)
        assert commands.taken() == ["aggregate"]
        assert ids(turn.messages) == ["new1u", "new1a"]
    assert all_is_over(database)


@pytest.mark.parametrize("bulk", [False], indirect=True)
async def test_the_end_of_a_turn_before_mongodb_8_is_told_soon_where_no_turn_follows(opened, database, bulk):
    """A reader in another process waits a moment at most, although the writer did not wait to say that it was done."""
    async with opened() as store, opened() as other:
        await store.memory.save_turn(thread=a_thread(), messages=exchange(1))
        assert not all_is_over(database)
        assert ids(await other.memory.list_messages("t")) == ["t1u", "t1a"]
        assert all_is_over(database)


# ----------------------------------------------------------------------------------------------------- what a crash leaves


@pytest.mark.parametrize("existed", [True, False], ids=["known-thread", "new-thread"])
@pytest.mark.parametrize("next_is", ["reader", "writer"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_leaves_a_turn_that_the_next_completes(opened, database, step, next_is, existed):
    """All of a turn or nothing, whoever comes first, and then others write on."""
    async with opened() as store, opened() as other:
        if existed:
            await other.memory.save_thread(a_thread(title="kept"))
        break_off(store, STEPS.index(step))
        try:
            await store.memory.save_turn(thread=a_thread(), messages=exchange(1), existed=existed)
        except StorageUnavailableError:
            broken = True
        else:
            broken = False
        assert broken or step == "thread"
        left_long_ago(database)
        there = [] if step == "nothing" else ["t1u", "t1a"]
        if next_is == "reader":
            turn = await other.memory.read_turn("t", resource_id="r", last=10)
            assert ids(turn.messages) == there
            assert (turn.thread is not None) == (existed or bool(there))
        await other.memory.save_turn(thread=a_thread(), messages=exchange(2))
        turn = await other.memory.read_turn("t", resource_id="r", last=10)
        assert ids(turn.messages) == [*there, "t2u", "t2a"]
        assert turn.thread.title == ("kept" if existed else "")
    assert all_is_over(database)


@pytest.mark.parametrize("stored", ["of another", "nowhere"])
@pytest.mark.parametrize("next_is", ["reader", "writer"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_in_a_turn_that_is_to_be_refused_leaves_nothing_of_it(opened, database, step, next_is, stored):
    """The thread is another's or gone: no message of the turn stays, whoever comes first."""
    async with opened() as store, opened() as other:
        if stored == "of another":
            await other.memory.save_thread(a_thread(resource_id="other"))
        break_off(store, STEPS.index(step))
        with pytest.raises(StorageUnavailableError):
            await store.memory.save_turn(thread=a_thread(), messages=exchange(1), existed=True)
        left_long_ago(database)
        if next_is == "reader":
            assert ids(await other.memory.list_messages("t")) == []
        await other.memory.save_turn(thread=a_thread(resource_id="other"), messages=exchange(2))
        assert ids(await other.memory.list_messages("t")) == ["t2u", "t2a"]
    assert all_is_over(database)
    assert database.mastra_messages.count_documents({}) == 2


@pytest.mark.parametrize("next_is", ["reader", "writer"])
@pytest.mark.parametrize("step", ["nothing", "lock", "log", "one message", "messages"])
async def test_a_crash_at_any_step_of_an_update_leaves_all_of_it_or_nothing(opened, database, step, next_is):
    """A batch that is made of what is stored: until it is logged there is nothing of it, from then on the next who comes completes it."""
    async with opened() as before:
        await before.memory.save_turn(thread=a_thread(), messages=exchange(1))
    async with opened() as store, opened() as other:
        break_off(store, ["nothing", "lock", "log", "one message", "messages"].index(step))
        wanted = [{"id": name, "role": "system"} for name in ("t1u", "t1a")]
        with pytest.raises(StorageUnavailableError):
            await store.memory.update_messages(wanted)
        left_long_ago(database)
        after = "user" if step in {"nothing", "lock"} else "system"
        if next_is == "reader":
            assert [message.role for message in await other.memory.list_messages("t")] == [after, after]
        await other.memory.update_messages([{"id": "t1u", "type": "text"}])
        found = await other.memory.list_messages("t")
        assert [(message.role, message.type) for message in found] == [(after, "text"), (after, "v2")]
    assert all_is_over(database)


SAVER = """
import asyncio, os, signal, sys
from urllib.parse import urlsplit
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb.store import MongoDBStore

class Dies(CommandListener):
    left = None
    def started(self, event):
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left is not None:
            self.left -= 1
    def succeeded(self, event): ...
    def failed(self, event): ...

async def main(url, bulk, commands):
    dies = Dies()
    async with (
        AsyncMongoClient(url, event_listeners=[dies]) as client,
        MongoDBStore(client=client, db_name=urlsplit(url).path.strip("/"), transactions=False) as store,
    ):
        if not bulk:
            store.records.engine._connection.has_bulk_write = False
        dies.left = commands
        await store.memory.save_turn(thread=a_thread(), messages=[a_message("m1"), a_message("m2", created=1)])

asyncio.run(main(sys.argv[1], sys.argv[2] == "True", int(sys.argv[3])))
"""


@pytest.mark.parametrize("bulk, commands", [(True, 0), (True, 1), (False, 0), (False, 1), (False, 2), (False, 3)], indirect=["bulk"])
async def test_a_process_that_is_killed_between_two_commands_leaves_no_half_turn(opened, database, mongodb_url, bulk, commands):
    """SIGKILL before the first, second, third and fourth command of a turn: from the first on, the next reader completes it."""
    arguments = [sys.executable, "-c", SAVER, mongodb_url, str(bulk), str(commands)]
    killed = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left_long_ago(database)
    async with opened() as store:
        assert ids(await store.memory.list_messages("t")) == (["m1", "m2"] if commands else [])
        assert (await store.memory.get_thread_by_id("t") is not None) == bool(commands)
    assert all_is_over(database)


class Answers:
    """Lets a connection be cut instead of giving a client the answer to a write."""

    cut = 0
    """How many answers to pass on before."""

    def __init__(self):
        self._is_write = False

    def client_sent(self, data):
        self._is_write = b"bulkWrite\0" in data[:64] or b"update\0" in data[:64]

    def server_sent(self, data):
        if self._is_write and Answers.cut is not None:
            Answers.cut -= 1
            if Answers.cut < 0:
                Answers.cut = None
                raise ProtocolError("the answer is lost")


@pytest.mark.parametrize("bulk, answers", [(True, 0), (True, 1), (False, 0), (False, 1), (False, 2)], indirect=["bulk"])
@pytest.mark.parametrize("option", ["--standalone", "--replset"])
async def test_a_turn_whose_answer_is_lost_is_there_once(bulk, option, answers):
    """The server has made a write and the client does not hear of it: the turn is there, whole and once, and the next writer goes on.

    To a replica set the driver sends it a second time; to a standalone server it does not, and the turn is left to be completed.
    """
    with own_mongodb(*([option] if option == "--standalone" else [])) as server, pymongo.MongoClient(server.url) as client:
        with Relay("127.0.0.1", urlsplit(server.url).port, Answers, hold_seconds=0) as relay:
            url = f"mongodb://127.0.0.1:{relay.port}/?directConnection=true"
            Answers.cut = None
            async with (
                MongoDBStore(uri=url, db_name="x", transactions=False) as store,
                MongoDBStore(uri=server.url, db_name="x", transactions=False) as other,
            ):
                await store.memory.get_thread_by_id("t")
                store.records.engine._connection.has_bulk_write = bulk
                Answers.cut = answers
                try:
                    await store.memory.save_turn(thread=a_thread(), messages=exchange(1))
                except StorageUnavailableError:
                    assert option == "--standalone"
                assert Answers.cut is None
                left_long_ago(client["x"])
                assert ids(await other.memory.list_messages("t")) == ["t1u", "t1a"]
                await store.memory.save_turn(thread=a_thread(), messages=exchange(2), existed=True)
                assert ids(await other.memory.list_messages("t")) == ["t1u", "t1a", "t2u", "t2a"]
        assert all_is_over(client["x"])


# ------------------------------------------------------------------------------------------------------- who sees it when


@pytest.mark.parametrize("refused", [False, True], ids=["stands", "refused"])
async def test_a_reader_waits_for_a_turn_that_is_under_way(opened, refused):
    """In the middle of a turn a reader waits, then it has all of it; or nothing, if the turn is refused."""
    commands, go_on = Commands(), asyncio.Event()
    async with opened() as store, opened(commands) as other:
        await other.memory.save_thread(a_thread(resource_id="other" if refused else "r"))
        connection = store.records.engine._connection
        whole, in_the_middle = connection.send, asyncio.Event()

        async def send(operations, **given):
            if not in_the_middle.is_set():
                await whole(operations[:2], **given)
                in_the_middle.set()
                await go_on.wait()
            return await whole(operations, **given)

        connection.send = send
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
