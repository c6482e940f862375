"""Turns without transactions: what they cost, who sees them when, and what a crash at each of their steps leaves."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pymongo
import pytest
from pymongo.monitoring import CommandListener

from mastra_core.errors import StorageUnavailableError
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb import journal
from mastra_mongodb.store import MongoDBStore
from mastra_mongodb.wire import document_of
from tests.mongodb_journal import STEPS, Commands, all_is_over, break_off, exchange, ids, left_long_ago
from tests.servers.fixtures import own_mongodb
from tests.servers.proxy import ProtocolError, Relay


def load(database, size):
    """A thread of *size* messages, by the driver itself."""
    database.mastra_threads.insert_one(document_of(THREADS, a_thread()))
    database.mastra_messages.insert_many([document_of(MESSAGES, a_message(f"m{n:06}", created=n)) for n in range(size)])


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
