"""The budget of one agent turn, counted by the driver's own listener."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pymongo
import pytest
from pymongo import AsyncMongoClient

from mastra_core.storage.records.changes import Delete, Patch, Save
from mastra_core.storage.records.kinds import KINDS, MESSAGES, THREADS
from mastra_core.storage.records.query import Get, Is, Window
from mastra_core.storage.records.span_kinds import SPANS, Span
from mastra_core.testing.samples import a_message, a_resource, a_thread, at
from mastra_mongodb.store import MongoDBStore
from mastra_mongodb.wire import document_of
from tests.mongodb_journal import Commands

SIZES = [10, 1_000, pytest.param(100_000, marks=pytest.mark.scale)]


@pytest.fixture
async def counted(mongodb_url):
    """A store over a client that is listened to, and the listener."""
    commands = Commands()
    async with (
        AsyncMongoClient(mongodb_url, event_listeners=[commands]) as client,
        MongoDBStore(client=client, db_name=urlsplit(mongodb_url).path.strip("/")) as store,
    ):
        commands.taken()
        yield store, commands


def load(url, size):
    """A thread of *size* messages and its resource, by the driver itself; beside it as many threads of others as a thousand."""
    with pymongo.MongoClient(url) as client:
        database = client[urlsplit(url).path.strip("/")]
        database.mastra_threads.insert_one(document_of(THREADS, a_thread()))
        database.mastra_threads.insert_many([document_of(THREADS, a_thread(f"x{n}", created=n)) for n in range(min(size, 1000))])
        database.mastra_resources.insert_one(document_of(KINDS[2], a_resource(working_memory="# Ada")))
        for start in range(0, size, 5000):
            names = range(start, min(size, start + 5000))
            database.mastra_messages.insert_many([document_of(MESSAGES, a_message(f"m{n:06}", created=n)) for n in names])


def exchange(number, thread_id="t"):
    return [a_message(f"{thread_id}{number}{part}", thread_id=thread_id, created=10**8 + 2 * number + i) for i, part in enumerate("ua")]


@pytest.mark.parametrize("size", SIZES)
async def test_a_turn_is_one_command_to_read_and_two_to_write(counted, mongodb_url, size):
    """One aggregate; one bulk write and the commit.

    Must hold: "Commands per turn as budgeted, by pymongo's command listener, the same at 10 / 1,000 / 100,000 messages."
    """
    store, commands = counted
    # Beside the loop: a client whose loop stands still takes its server for dead, and asks again.
    await asyncio.to_thread(load, mongodb_url, size)
    turn = await store.memory.read_turn("t", resource_id="r", last=10, with_resource=True)
    assert commands.taken() == ["aggregate"]
    assert [message.id for message in turn.messages] == [f"m{n:06}" for n in range(size - 10, size)]
    assert turn.thread is not None
    assert turn.resource is not None
    await store.memory.save_turn(thread=turn.thread, messages=exchange(1), existed=True)
    assert commands.taken() == ["bulkWrite", "commitTransaction"]
    await store.memory.save_turn(thread=a_thread("new"), messages=exchange(1, "new"))
    assert commands.taken() == ["bulkWrite", "commitTransaction"]


async def test_a_turn_is_three_commands_to_write_before_mongodb_8(counted, mongodb_url):
    """A server without the bulk write over collections is told each collection's writes, and the commit."""
    store, commands = counted
    load(mongodb_url, 10)
    store.records.engine._connection.has_bulk_write = False
    for existed in (True, False):
        await store.memory.save_turn(
            thread=a_thread("t" if existed else "new"), messages=exchange(1, "t" if existed else "new"), existed=existed
        )
        assert commands.taken() == ["update", "update", "commitTransaction"]
    assert [message.id for message in (await store.memory.list_messages("new")).items] == ["new1u", "new1a"]


async def test_the_other_operations_cost_what_is_stated(counted, mongodb_url):
    """One change is one command, windows one aggregate more, a message that is saved again one read before the commit."""
    store, commands = counted
    load(mongodb_url, 20)
    await store.records.apply(Patch(THREADS, ("t",), put={"title": "new"}, when=(Is(("title",), ""),)))
    assert commands.taken() == ["findAndModify"]
    await store.records.fetch(Window(MESSAGES, "by_thread", around=("m000005",), before=2, after=1), Get(THREADS, ("t",)))
    assert commands.taken() == ["aggregate", "aggregate"]
    await store.memory.save_turn(thread=a_thread(), messages=[a_message("m000005", role="system")], existed=True)
    assert commands.taken() == ["bulkWrite", "aggregate", "commitTransaction"]
    await store.records.apply(*(Save(MESSAGES, a_message(f"n{number}")) for number in range(200)), atomic=False)
    assert commands.taken() == ["bulkWrite"]
    await store.records.apply(*(Delete(MESSAGES, (f"n{number}",), answer=False) for number in range(200)), atomic=False)
    assert commands.taken() == ["bulkWrite"]
    assert [message.id for message in await store.memory.list_messages("t")] == [f"m{number:06}" for number in range(20)]


async def test_a_walk_over_everything_goes_on_past_a_page(counted, raw):
    """Whoever exports all messages or all spans gets all of them, 500 with each command."""
    store, commands = counted
    raw.mastra_messages.insert_many([document_of(MESSAGES, a_message(f"m{n:04}")) for n in range(1001)])
    spans = [Span(trace_id=f"t{n % 3}", span_id=f"s{n:04}", name="n", span_type="tool_call", started_at=at(n)) for n in range(1001)]
    raw.mastra_ai_spans.insert_many([document_of(SPANS, span) for span in spans])
    assert [message.id async for message in store.memory.iter_all_messages()] == [f"m{n:04}" for n in range(1001)]
    assert commands.taken().count("aggregate") == 3
    assert [span.span_id async for _, span in store.records.engine.scan(SPANS, after=None)] == [span.span_id for span in spans]
    assert commands.taken().count("aggregate") == 3


async def test_a_prepared_database_opens_with_one_read(counted, mongodb_url):
    """Start-up costs one read of what the database says of itself."""
    _, commands = counted
    again = Commands()
    async with AsyncMongoClient(mongodb_url, event_listeners=[again]) as client:
        store = MongoDBStore(client=client, db_name=urlsplit(mongodb_url).path.strip("/"))
        await store.init()
        await store.close()
    assert again.taken() == ["aggregate"]
    assert commands.taken() == []
