"""Time to live: the TTL indexes that are made, changed and reported, and what MongoDB then deletes."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pymongo
import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb.store import MongoDBStore
from mastra_mongodb.wire import document_of

DAY = 24 * 60 * 60
EVERY = {"thread": 90 * DAY, "message": timedelta(days=30), "resource": DAY, "workflow_snapshot": DAY, "score": DAY, "span": 7 * DAY}


def times(url):
    """By collection, the field and the seconds after it of every TTL index."""
    with pymongo.MongoClient(url) as client:
        database = client.get_default_database()
        return {
            name: {index["key"][0][0]: index["expireAfterSeconds"]}
            for name in database.list_collection_names()
            for index in database[name].index_information().values()
            if "expireAfterSeconds" in index
        }


async def test_each_entity_has_its_index(mongodb_url):
    """Issue: "TTL indexes for retention as an option": in seconds or as a timedelta, after what writes renew; none without."""
    async with MongoDBStore(uri=mongodb_url):
        assert times(mongodb_url) == {}
    async with MongoDBStore(uri=mongodb_url, ttl={**EVERY, "eval": 1}) as store:
        assert not (await store.records.inspect()).missing
    assert times(mongodb_url) == {
        "mastra_threads": {"updatedAt": 90 * DAY},
        "mastra_messages": {"createdAt": 30 * DAY},
        "mastra_resources": {"updatedAt": DAY},
        "mastra_workflow_snapshot": {"updatedAt": DAY},
        "mastra_scorers": {"updatedAt": DAY},
        "mastra_ai_spans": {"createdAt": 7 * DAY},
    }


async def test_spans_may_be_called_traces(mongodb_url):
    """`trace` is what TypeScript's option calls them; two times by the two names are refused, before anything is connected to."""
    async with MongoDBStore(uri=mongodb_url, ttl={"trace": DAY, "span": timedelta(days=1)}) as store:
        assert not (await store.records.inspect()).missing
    assert times(mongodb_url) == {"mastra_ai_spans": {"createdAt": DAY}}
    with pytest.raises(ConfigurationError, match=r"'span' and 'trace' are two names of the same records, found 1 and 2; give one of them"):
        MongoDBStore(uri="mongodb://h/x", ttl={"span": 1, "trace": 2})


async def test_another_time_is_put_in_force_also_one_that_once_was(mongodb_url):
    """Whoever changes the option and changes it back has what the option says; what TypeScript indexed stays."""
    for seconds in (DAY, 2 * DAY, DAY):
        store = MongoDBStore(uri=mongodb_url, ttl={"message": seconds})
        async with store:
            await store.records.ping()
        assert times(mongodb_url) == {"mastra_messages": {"createdAt": seconds}}


async def test_an_index_on_that_field_without_a_time_is_given_it(mongodb_url):
    """An operator's own plain index of the same field is no reason not to start."""
    with pymongo.MongoClient(mongodb_url) as client:
        client.get_default_database().mastra_messages.create_index("createdAt", name="theirs")
    async with MongoDBStore(uri=mongodb_url, ttl={"message": DAY}) as store:
        await store.records.ping()
    assert times(mongodb_url) == {"mastra_messages": {"createdAt": DAY}}


async def test_check_says_what_expires_and_what_nobody_asked_for(mongodb_url):
    """`mastra check` names the times in force, and warns of a TTL index that the store was not told of."""
    async with MongoDBStore(uri=mongodb_url, ttl={"message": DAY}) as store:
        found = await store.records.inspect()
        assert any("mastra_messages 86400 seconds after createdAt" in note for note in found.notes)
        assert found.warnings == ()
    async with MongoDBStore(uri=mongodb_url) as store:
        (warning,) = (await store.records.inspect()).warnings
        assert "mastra_messages" in warning
        assert "drop the index" in warning


async def test_what_an_operator_is_to_run_changes_the_time(mongodb_url):
    """`mastra check` prints the command that puts another time in force, and running it does."""
    async with MongoDBStore(uri=mongodb_url, ttl={"message": DAY}) as store:
        await store.records.ping()
    told = (await MongoDBStore(uri=mongodb_url, ttl={"message": 2 * DAY}).records.engine.inspect()).missing
    with pymongo.MongoClient(mongodb_url) as client:
        for command in told:
            client.get_default_database().command(json.loads(command))
    assert times(mongodb_url) == {"mastra_messages": {"createdAt": 2 * DAY}}


@pytest.mark.scale
async def test_what_has_expired_is_deleted(mongodb_url):
    """MongoDB looks about once a minute: the old message goes, the new one and the thread that was written since stay."""
    name = urlsplit(mongodb_url).path.strip("/")
    async with MongoDBStore(uri=mongodb_url, ttl={"message": 3600, "thread": 3600}) as store:
        now = clock.now()
        with pymongo.MongoClient(mongodb_url) as client:
            client[name].mastra_threads.insert_one(document_of(THREADS, a_thread()))
            client[name].mastra_messages.insert_one(document_of(MESSAGES, a_message("old")))
        await store.memory.update_thread("t", title="renewed", metadata={})
        await store.memory.save_messages(
            [a_message("new", created=clock.to_milliseconds(now) - clock.to_milliseconds(a_thread().created_at))]
        )
        for _ in range(150):
            kept = [message.id for message in await store.memory.list_messages("t")]
            if kept != ["old", "new"]:
                break
            await asyncio.sleep(1)
        assert kept == ["new"]
        assert await store.memory.get_thread_by_id("t") is not None


@pytest.mark.parametrize(
    "ttl", [{"messages": 1}, {"message": 0}, {"message": -1}, {"message": True}, {"message": 2.0**31}, {"message": "1d"}]
)
def test_a_time_that_cannot_be_is_refused(ttl):
    """What is wrong is said with the entity, before anything is connected to."""
    with pytest.raises(ConfigurationError, match="message"):
        MongoDBStore(uri="mongodb://h/x", ttl=ttl)
