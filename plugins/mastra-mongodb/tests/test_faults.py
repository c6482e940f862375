"""What breaks: the server away or killed, a crash in the middle of a batch, documents that are too large, wrong settings."""

from __future__ import annotations

import asyncio

import pymongo
import pytest

from mastra_core.errors import ConfigurationError, InvalidInputError, StorageUnavailableError
from mastra_core.plugins.manager import plugin_for
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Get, Query
from mastra_core.testing.samples import a_message, a_thread, at, turn
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
@pytest.mark.parametrize("transactions", [None, False])
async def test_a_killed_server_loses_no_acknowledged_turn_and_keeps_none_half(transactions):
    """Of 32 savers that the server dies under, what was confirmed is there, nothing is there in part, and the store goes on by itself."""
    # SecantusDB keeps its log in its own memory for a while unless it is told to write it; a mongod confirms what is in its journal.
    with own_mongodb("--sync-on-commit") as server:
        store = MongoDBStore(uri=server.url, db_name="x", options={"serverSelectionTimeoutMS": 60_000}, transactions=transactions)
        await store.records.apply(Save(THREADS, a_thread()))
        confirmed: set[int] = set()

        async def save(saver):
            for number in range(saver * 100, saver * 100 + 6):
                pair = [a_message(f"{number}{part}", created=2 * number + i) for i, part in enumerate("ua")]
                try:
                    await store.records.apply(*turn(a_thread(updated=number), pair, now=number))
                except StorageUnavailableError:
                    return
                confirmed.add(number)

        savers = [asyncio.create_task(save(saver)) for saver in range(32)]
        while len(confirmed) < 40:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await asyncio.gather(*savers)
        (found,) = await store.records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": "t"}))
        halves = [message.id for message in found]
        pairs = {name[:-1] for name in halves}
        assert len(halves) == 2 * len(pairs), "a turn is there in part"
        assert {str(number) for number in confirmed} <= pairs
        await store.close()


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
