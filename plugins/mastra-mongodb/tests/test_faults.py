"""What breaks: the server away or killed, a crash in the middle of a batch, documents that are too large, wrong settings."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pymongo
import pytest

from mastra_core.errors import ConfigurationError, InvalidInputError, StorageUnavailableError
from mastra_core.plugins.manager import plugin_for
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Get
from mastra_core.testing.samples import a_message, a_thread, at
from mastra_mongodb.store import MongoDBStore
from tests.servers.fixtures import own_mongodb
from tests.servers.process import free_port

QUICK = {"serverSelectionTimeoutMS": 300}


async def test_a_server_that_is_away_is_told_with_the_mend_and_without_the_password():
    """Whoever starts an agent before the database reads what to check, and no secret is in a log."""
    store = MongoDBStore(uri=f"mongodb://ada:geheim@127.0.0.1:{free_port()}/x", options=QUICK)
    with pytest.raises(StorageUnavailableError, match="Check that it runs") as caught:
        await store.memory.get_thread_by_id("t")
    await store.close()
    shown = repr(caught.value) + repr(caught.value.__cause__)
    assert "geheim" not in shown


# pymongo drops the socket of a connection that breaks during its handshake without closing it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("bulk", [True, False], ids=["mongodb-8", "before-8"])
@pytest.mark.parametrize("transactions", [None, False], ids=["transactions", "without-transactions"])
async def test_a_killed_server_loses_no_acknowledged_turn_and_keeps_none_half(transactions, bulk):
    """Must hold: "Killing the server in the middle of 32 savers: acknowledged turns are there, none is half there".

    And the store goes on by itself. Each turn begins a thread, so that half of one is a thread without its messages, or the other way round.
    """
    # SecantusDB keeps its log in its own memory for a while unless it is told to write it; a mongod confirms what is in its journal.
    with own_mongodb("--sync-on-commit") as server:
        store = MongoDBStore(uri=server.url, db_name="x", options={"serverSelectionTimeoutMS": 60_000}, transactions=transactions)
        await store.init()
        store.records.engine._connection.has_bulk_write = bulk
        confirmed: set[str] = set()

        async def save(saver):
            for number in range(6):
                name = f"{saver}-{number}"
                said = [a_message(f"{name}{part}", thread_id=name, created=i) for i, part in enumerate("ua")]
                try:
                    await store.memory.save_turn(thread=a_thread(name), messages=said)
                except StorageUnavailableError:
                    return
                confirmed.add(name)

        savers = [asyncio.create_task(save(saver)) for saver in range(32)]
        while len(confirmed) < 40:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.kill)
        assert not all(saver.done() for saver in savers), "the server died too late to break anything"
        await asyncio.to_thread(server.start)
        await asyncio.gather(*savers)
        await assert_whole(store, confirmed)
        await store.close()


async def assert_whole(store, confirmed):
    """Assert that every turn is there with its thread and both messages or not at all, and that those which were confirmed are."""
    found = {thread.id for thread in await store.memory.list_threads(per_page=None)}
    found |= {message.thread_id async for message in store.memory.iter_all_messages()}
    for name in found:
        turn = await store.memory.read_turn(name, resource_id="r", last=10)
        said = [message.id for message in turn.messages]
        assert (turn.thread is not None, said) in ((True, [f"{name}u", f"{name}a"]), (False, [])), "a turn is there in part"
    threads = {thread.id for thread in await store.memory.list_threads(per_page=None)}
    messages = sorted([message.id async for message in store.memory.iter_all_messages()])
    assert messages == sorted(f"{name}{part}" for name in threads for part in "ua"), "a turn is there in part"
    assert confirmed <= threads


SAVERS = """
import asyncio, sys
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb.store import MongoDBStore

async def main(url, transactions, bulk):
    async with MongoDBStore(uri=url, db_name="x", transactions=None if int(transactions) else False) as store:
        store.records.engine._connection.has_bulk_write = bool(int(bulk))

        async def save(saver):
            for number in range(1000):
                name = f"{saver}-{number}"
                said = [a_message(f"{name}{part}", thread_id=name, created=i) for i, part in enumerate("ua")]
                await store.memory.save_turn(thread=a_thread(name), messages=said)
                print(name, flush=True)

        await asyncio.gather(*map(save, range(32)))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("bulk", [True, False], ids=["mongodb-8", "before-8"])
@pytest.mark.parametrize("transactions", [True, False], ids=["transactions", "without-transactions"])
async def test_a_server_and_its_savers_that_die_together_leave_no_half_turn(transactions, bulk):
    """Must hold: "Killing the server in the middle of 32 savers: acknowledged turns are there, none is half there", with nobody to try again.

    As where one machine has both. What the savers were in the middle of, the first reader afterwards completes or takes back.
    """
    with own_mongodb("--sync-on-commit") as server:
        command = [sys.executable, "-c", SAVERS, server.url, str(int(transactions)), str(int(bulk))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as savers:
            try:
                confirmed = [await asyncio.to_thread(savers.stdout.readline) for _ in range(100)]
                await asyncio.to_thread(server.kill)
            finally:
                savers.kill()
            confirmed += await asyncio.to_thread(savers.stdout.readlines)
        await asyncio.to_thread(server.start)
        async with MongoDBStore(uri=server.url, db_name="x", transactions=None if transactions else False) as store:
            await assert_whole(store, {name.strip() for name in confirmed})


@pytest.mark.parametrize("transactions", [None, False])
async def test_a_document_over_16_mib_is_refused_with_field_and_size(mongodb_url, transactions):
    """The message names the field that is too large, and nothing was sent."""
    async with MongoDBStore(uri=mongodb_url, transactions=transactions) as store:
        large = a_message(content={"format": 2, "parts": [{"type": "text", "text": "x" * 17_000_000}]})
        for changes in ([Save(MESSAGES, large)], [Save(THREADS, a_thread()), Save(MESSAGES, large)]):
            with pytest.raises(InvalidInputError, match=r"mastra_messages m: .*16,7\d\d,\d\d\d .*field is content with 17,0"):
                await store.records.apply(*changes)
        assert await store.records.fetch(Get(THREADS, ("t",))) == (None,)


async def test_text_that_looks_like_an_expression_is_text(mongodb_url):
    """Titles, keys and values that begin with $ or hold dots are data in every kind of update."""
    async with MongoDBStore(uri=mongodb_url) as store:
        odd = {"$title": "$title", "a.b": {"$set": "$$ROOT"}, "$expr": ["$id"]}
        await store.records.apply(Save(THREADS, a_thread(title="$id", metadata=odd)))
        patch = Patch(
            THREADS,
            ("t",),
            put={"title": "$resourceId"},
            merge={"metadata": {"$new": "$$NOW", "x.y": "$id"}},
            raise_to={"updated_at": at(1)},
        )
        expected = a_thread(title="$resourceId", metadata={**odd, "$new": "$$NOW", "x.y": "$id"}, updated=1)
        assert await store.records.apply(patch) == [expected]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "none of them"),
        ({"uri": "mongodb://h/x", "client": object()}, "uri and client"),
        ({"uri": "mongodb://ada:geheim@h"}, "name of a database"),
        ({"uri": "mongodb://ada:ge@heim@h/x"}, "cannot be read"),
        ({"uri": "mongodb://h/x", "indexes": [{"keys": {"a": 1}}]}, "collection"),
    ],
    ids=["nothing", "two-ways", "no-database", "unreadable", "index"],
)
def test_settings_that_cannot_be_are_refused_without_a_secret(arguments, said):
    """What is wrong is said before anything is connected to."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        MongoDBStore(**arguments)
    assert "heim" not in str(caught.value)


def test_url_is_taken_for_uri_with_a_warning():
    """Code of the seed's time works, and is told the new name."""
    with pytest.warns(DeprecationWarning, match="call it uri"):
        MongoDBStore(url="mongodb://h/x")


async def test_a_url_opens_the_store(mongodb_url):
    """`mongodb://` is answered by this plugin."""
    assert plugin_for("mongodb") is not None
    async with open_store(mongodb_url) as store:
        assert isinstance(store, MongoDBStore)
        await store.records.ping()


async def test_a_standalone_server_is_found_to_have_no_transactions_and_says_so():
    """A turn is written whole there too, and `mastra check` prints which way is in force."""
    with own_mongodb("--standalone") as server:
        async with MongoDBStore(uri=server.url, db_name="x") as store:
            await store.memory.save_turn(thread=a_thread(), messages=[a_message("m1"), a_message("m2", created=1)])
            assert [message.id for message in (await store.memory.list_messages("t")).items] == ["m1", "m2"]
            assert store.records.engine.capabilities["atomic"].level == "EMULATED"
            (note,) = (await store.records.inspect()).notes
            assert "journal" in note
            assert not (await store.records.inspect()).missing
        with pytest.raises(ConfigurationError, match="replica set"):
            await MongoDBStore(uri=server.url, db_name="x", transactions=True).init()


async def test_own_indexes_are_made_and_the_default_ones_can_be_left_out(mongodb_url):
    """An operator who makes the indexes by hand gets their commands, and may add others."""
    own = {"collection": "mastra_threads", "keys": {"metadata.team": 1}, "options": {"name": "team"}}
    async with MongoDBStore(uri=mongodb_url, skip_default_indexes=True, indexes=[own]):
        with pymongo.MongoClient(mongodb_url) as client:
            assert set(client.get_default_database().mastra_threads.index_information()) == {"_id_", "team"}
    async with MongoDBStore(uri=mongodb_url) as store:
        assert not (await store.records.inspect()).missing
