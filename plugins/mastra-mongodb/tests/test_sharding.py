"""The shard keys that the README recommends: which commands of a turn carry them, so that one shard alone is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener

from mastra_core.storage.records.kinds import KINDS
from mastra_core.testing.samples import a_message, a_thread
from mastra_mongodb.indexes import unique
from mastra_mongodb.store import MongoDBStore

README = (Path(__file__).parents[1] / "README.md").read_text()
RECOMMENDED = {
    name: tuple(re.findall(r'(\w+): (?:1|"hashed")', keys))
    for name, keys in re.findall(r'sh\.shardCollection\("mastra\.(\w+)", \{(.*?)\}\)', README)
}


def given(filters):
    """The fields whose value is given: a range of them would not tell the shard of a hashed key."""
    return frozenset(name for name, wanted in filters.items() if not isinstance(wanted, Mapping) or set(wanted) <= {"$eq", "$in"})


class Filters(CommandListener):
    """What each command looks for: the collection, and the fields whose value is given."""

    def __init__(self):
        self.asked = []

    def started(self, event):
        command = event.command
        if event.command_name == "aggregate":
            self.read(command["aggregate"], command["pipeline"])
        elif event.command_name == "bulkWrite":
            names = [one["ns"].partition(".")[2] for one in command["nsInfo"]]
            for one in command["ops"]:
                place = next(one[action] for action in ("update", "insert", "delete") if action in one)
                self.asked.append((names[place], given(one.get("filter", one.get("document")))))
        elif event.command_name == "update":
            self.asked += [(command["update"], given(one["q"])) for one in command["updates"]]
        elif event.command_name == "findAndModify":
            self.asked.append((command["findAndModify"], given(command["query"])))

    def read(self, collection, pipeline):
        self.asked.append((collection, given(pipeline[0]["$match"])))
        for stage in pipeline:
            if "$unionWith" in stage:
                self.read(stage["$unionWith"]["coll"], stage["$unionWith"]["pipeline"])

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass

    def without_key(self):
        """What was asked of collections without the key that the README recommends, since the last time."""
        asked, self.asked = self.asked, []
        assert asked
        return [(name, fields) for name, fields in asked if not fields >= set(RECOMMENDED[name])]


@pytest.mark.parametrize("bulk", [True, False], ids=["mongodb-8", "before"])
async def test_every_write_of_a_turn_goes_to_one_shard_and_so_does_every_read_but_the_history(mongodb_url, bulk):
    """Issue: "shard keys recommended per collection, and queries that carry them": the history of a thread is asked of every shard."""
    filters = Filters()
    async with (
        AsyncMongoClient(mongodb_url, event_listeners=[filters]) as client,
        MongoDBStore(client=client, db_name=urlsplit(mongodb_url).path.strip("/")) as store,
    ):
        filters.asked = []
        store.records.engine._connection.has_bulk_write = bulk
        for existed in (False, True):
            await store.memory.save_turn(thread=a_thread(), messages=[a_message(f"m{existed}")], existed=existed)
            assert filters.without_key() == []
        await store.memory.read_turn("t", resource_id="r", last=10, with_resource=True)
        assert filters.without_key() == [("mastra_messages", frozenset({"thread_id"}))]
        await store.memory.update_thread("t", title="new", metadata={"a": 1})
        await store.memory.update_resource("r", metadata={"a": 1})
        assert filters.without_key() == []


def test_each_collection_has_a_shard_key_that_its_unique_index_allows():
    """MongoDB refuses to shard a collection by fields that its unique index does not begin with; whether they are hashed is all one."""
    assert set(RECOMMENDED) == {kind.name for kind in KINDS}
    for kind in KINDS:
        columns = tuple(name for name, _ in unique(kind).keys)
        assert columns[: len(RECOMMENDED[kind.name])] == RECOMMENDED[kind.name]
