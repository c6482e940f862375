"""Every answer of the readback.json of `@mastra/mongodb`, asked of us, so that nothing of it goes unread."""

from __future__ import annotations

from pathlib import Path

import pymongo
import pytest
from bson import json_util

from mastra_core.storage.records.span_kinds import SPANS
from mastra_core.testing.equality import assert_same
from mastra_mongodb.store import MongoDBStore
from tests.interop.questions import ELSEWHERE, Golden, said_in, unneeded
from tests.servers.fixtures import fresh_mongodb_database

GOLDEN = Path(__file__).parent / "golden"
SAID = said_in(GOLDEN)
BUGS = {"messages.list.thread-edge.last2desc": "two messages of one millisecond come oldest first, though newest first was asked for"}
"""Answers of TypeScript that are none, and why."""
HIDDEN = {field.stored for field in SPANS.fields if field.stored.startswith(("parentEntity", "rootEntity"))}
"""Stored names of a span's fields that `@mastra/mongodb` does not write, so that it shows none."""


@pytest.fixture(scope="module")
def read_url(mongodb_server):
    """The URL of the golden database, for tests that only read."""
    written = json_util.loads((GOLDEN / "documents.ejson.json").read_text())
    with fresh_mongodb_database(mongodb_server) as url, pymongo.MongoClient(url) as client:
        database = client.get_default_database()
        for name, documents in written["collections"].items():
            database[name].insert_many(documents)
        yield url


@pytest.fixture
async def golden(read_url):
    """A store over the golden database."""
    async with MongoDBStore(uri=read_url) as store:
        yield Golden(store, SAID, hidden=HIDDEN)


@pytest.mark.parametrize("name", [name for name in SAID if name not in {*ELSEWHERE, *BUGS}])
async def test_an_answer_of_typescript_is_ours_too(golden, name):
    """Must hold: "`golden/mongodb/documents.ejson.json` loads and reads back as `readback.json`"."""
    ask, at = golden.question(name)
    assert_same(as_lists_show(await ask(golden, at)), as_lists_show(golden.expected(name)))


@pytest.mark.parametrize("name", BUGS)
async def test_where_typescript_fails_we_answer(golden, name):
    """Each exception is there, and our answer is not what TypeScript says: else it would be none."""
    ask, at = golden.question(name)
    answer, theirs = await ask(golden, at), golden.expected(name)
    assert [message["id"] for message in answer["messages"]] == [message["id"] for message in reversed(theirs["messages"])]


def test_what_is_excepted_is_there():
    """An exception that nothing in readback.json needs is dropped, and so is a question that nobody asked."""
    assert unneeded(SAID) == set()


def as_lists_show(answer):
    """An answer in which a thread without metadata has {}, as in TypeScript's lists; its getThreadById has null, and MongoDB's `_id`."""
    if isinstance(answer, dict) and isinstance(answer.get("threads"), list):
        return {**answer, "threads": [{**thread, "metadata": thread["metadata"] or {}} for thread in answer["threads"]]}
    if isinstance(answer, dict):
        return {name: without_id(value) for name, value in answer.items()}
    return answer


def without_id(value):
    return {name: held for name, held in value.items() if name != "_id"} if isinstance(value, dict) else value
