"""A database that `@mastra/mongodb` wrote is read as it reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pymongo
import pytest
from bson import json_util

from mastra_core.testing.equality import assert_same
from mastra_mongodb.store import MongoDBStore
from tests.interop.readback import answers, expected

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def said():
    """What the TypeScript API answered to each call, by the name of the call."""
    return json.loads((GOLDEN / "readback.json").read_text())["results"]


@pytest.fixture
def golden(mongodb_url):
    """The golden database, with the indexes that TypeScript made."""
    written = json_util.loads((GOLDEN / "documents.ejson.json").read_text())
    with pymongo.MongoClient(mongodb_url) as client:
        database = client.get_default_database()
        for name, documents in written["collections"].items():
            database[name].insert_many(documents)
            for index in written["indexes"].get(name, ()):
                if index["name"] != "_id_":
                    database[name].create_index(list(index["key"].items()), name=index["name"], unique=bool(index.get("unique")))
        yield database


async def test_everything_reads_back_as_typescript_reads_it(golden, mongodb_url, said):
    """Must hold: "`golden/mongodb/documents.ejson.json` loads and reads back": threads, messages, resources, runs, scores, in every list."""
    async with MongoDBStore(uri=mongodb_url) as store:
        found, wanted = await answers(store, said), expected(said)
    assert set(found) == set(wanted)
    for name, answer in wanted.items():
        assert_same(found[name], shown_in_lists(answer) if name.startswith("threads.list") else answer)


def shown_in_lists(threads):
    """TypeScript's lists show {} where it stored null, and its getThreadById shows null; ours is None in both."""
    return [{field: value for field, value in thread.items() if (field, value) != ("metadata", {})} for thread in threads]


async def test_opening_changes_nothing_that_typescript_wrote(golden, mongodb_url):
    """Every document stays as it was, and every index of TypeScript's; ours are added beside them."""
    before = {name: list(golden[name].find()) for name in golden.list_collection_names()}
    indexes = {name: set(golden[name].index_information()) for name in before}
    async with MongoDBStore(uri=mongodb_url) as store:
        await store.records.ping()
    assert {name: list(golden[name].find()) for name in before} == before
    assert all(held <= set(golden[name].index_information()) for name, held in indexes.items())
