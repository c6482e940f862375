"""What a libSQL server acknowledged survives: kill -9, several stores and processes at once, very long answers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from mastra_core import clock
from mastra_core.errors import StorageUnavailableError, StoreClosedError
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.changes import Delete, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from tests.contract.racing import assert_one_won_and_nothing_is_lost, race, suspend
from tests.servers.sqld import Sql, SqldServer

START = clock.from_text("2024-01-01T00:00:00.000Z")

SAVER = """
import asyncio, sys
from mastra_core import clock
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread

async def main(url, name):
    async with LibSQLStore(url=url) as store:
        thread = Thread(id=name, resource_id="u", created_at=clock.now(), updated_at=clock.now())
        turns = [[Message(id=f"{name}-{number}-{part}", thread_id=name) for part in range(2)] for number in range(20)]
        await asyncio.gather(*(store.memory.save_turn(thread=thread, messages=turn) for turn in turns))

asyncio.run(main(*sys.argv[1:]))
"""


def thread(name: str) -> Thread:
    return Thread(id=name, resource_id="u", created_at=START, updated_at=START)


@pytest.fixture
async def store(sqld_url: str) -> AsyncIterator[LibSQLStore]:
    """A store on an empty database."""
    async with LibSQLStore(url=sqld_url) as store:
        yield store


async def test_kill_9_of_the_server_loses_nothing_acknowledged_and_the_store_recovers(sqld: SqldServer) -> None:
    """32 tasks save while the server dies: each is told, no turn that was acknowledged is gone or half there, and the same store goes on."""
    acknowledged: list[str] = []

    async def save(store: LibSQLStore, name: str) -> None:
        for number in range(10_000):
            turn = [Message(id=f"{name}-{number}-{part}", thread_id=name) for part in range(2)]
            await store.memory.save_turn(thread=thread(name), messages=turn)
            acknowledged.append(f"{name}-{number}")
            if len(acknowledged) == 200:
                await asyncio.to_thread(sqld.kill)

    async with LibSQLStore(url=sqld.url) as store:
        outcomes = await asyncio.gather(*(save(store, f"t{index}") for index in range(32)), return_exceptions=True)
        assert [outcome for outcome in outcomes if not isinstance(outcome, StorageUnavailableError)] == []
        sqld.start()
        rows = Sql(sqld.url).execute("SELECT id FROM mastra_messages")
        turns = [message_id.rpartition("-")[0] for (message_id,) in rows]
        assert set(acknowledged) <= set(turns)
        assert {turns.count(turn) for turn in turns} == {2}
        await store.memory.save_turn(thread=thread("after"), messages=[Message(id="after", thread_id="after")])
        assert [message.id async for message in store.memory.iter_messages("after")] == ["after"]


async def test_a_message_of_a_megabyte_comes_back_equal(store: LibSQLStore) -> None:
    """Long tool results and documents are kept whole."""
    content = {"format": 2, "parts": [{"type": "text", "text": 'é😀"\\\n\u0000' * 150_000}]}
    await store.memory.save_turn(thread=thread("t"), messages=[Message(id="m", thread_id="t", content=content)])
    turn = await store.memory.read_turn("t", resource_id="u", last=10)
    assert turn.messages[0].content == content


async def test_answers_over_the_servers_limit_of_10_mb_arrive_whole(store: LibSQLStore) -> None:
    """A thread of 24 MB is saved in one step and read at once, though the server answers at most 10 MB in one piece."""
    await store.memory.save_thread(thread("t"))
    text = "x" * 2_000_000
    messages = [
        Message(id=f"m{number:02d}", thread_id="t", resource_id="u", content={"format": 2, "parts": [], "content": text})
        for number in range(12)
    ]
    small = [store.memory.save_thread(thread(f"small-{number}")) for number in range(5)]
    saved, *_ = await asyncio.gather(store.memory.save_messages(messages), *small)
    assert [message.id for message in saved] == [message.id for message in messages]
    page = await store.memory.list_messages("t", per_page=None)
    assert [len(message.content["content"]) for message in page.items] == [2_000_000] * 12
    assert (await store.memory.list_threads()).total == 6


async def test_a_write_whose_answer_is_very_long_does_not_disturb_those_that_share_its_request(store: LibSQLStore) -> None:
    """24 MB are deleted and given back while others save: each write takes place once, and only once."""
    await store.memory.save_thread(thread("t"))
    long = {"format": 2, "parts": [], "content": "x" * 2_000_000}
    keys = [f"m{number:02d}" for number in range(12)]
    await store.memory.save_messages([Message(id=key, thread_id="t", resource_id="u", content=long) for key in keys])
    records = store.memory.records
    small = [Save(THREADS, thread(f"small-{number}"), present="refuse") for number in range(4)]
    deletes = [Delete(MESSAGES, (key,)) for key in keys]
    outcomes = await asyncio.gather(
        records.apply(small[0]), records.apply(*deletes), records.apply(small[1]), records.apply(*small[2:]), return_exceptions=True
    )
    assert outcomes[0] == [thread("small-0")]
    assert [message.id for message in outcomes[1]] == keys
    assert outcomes[2:] == [[thread("small-1")], [thread("small-2"), thread("small-3")]]
    assert [message async for message in store.memory.iter_messages("t")] == []


async def test_two_stores_of_one_database_see_each_other_and_lose_no_update(store: LibSQLStore, sqld_url: str) -> None:
    """Two services share a server: each reads what the other has just written, and no merge of either is lost."""
    async with LibSQLStore(url=sqld_url) as other:
        await store.memory.save_thread(thread("t"))
        for number in range(10):
            writer, reader = (store, other) if number % 2 else (other, store)
            await writer.memory.save_turn(thread=thread("t"), messages=[Message(id=f"m{number}", thread_id="t")])
            turn = await reader.memory.read_turn("t", resource_id="u", last=1)
            assert turn.messages[-1].id == f"m{number}"
        merges = [(store, other)[number % 2].memory.update_thread("t", title="T", metadata={f"k{number}": number}) for number in range(40)]
        updates = [(store, other)[number % 2].memory.update_resource("u", metadata={f"k{number}": number}) for number in range(20)]
        await asyncio.gather(*merges, *updates)
        found, resource = await store.memory.get_thread_by_id("t"), await other.memory.get_resource_by_id("u")
    assert found is not None
    assert found.metadata == {f"k{number}": number for number in range(40)}
    assert resource is not None
    assert resource.metadata == {f"k{number}": number for number in range(20)}


async def test_stores_that_open_an_older_database_at_once_all_succeed(sqld_url: str) -> None:
    """A release that adds a column is rolled out to several processes at the same time: one adds it, the others find it there."""
    Sql(sqld_url).execute('CREATE TABLE mastra_threads (id TEXT PRIMARY KEY NOT NULL, "resourceId" TEXT NOT NULL, title TEXT NOT NULL)')
    stores = [LibSQLStore(url=sqld_url) for _ in range(6)]
    await asyncio.gather(*(store.init() for store in stores))
    await stores[5].memory.save_thread(thread("t"))
    assert await stores[0].memory.get_thread_by_id("t") == thread("t")
    for store in stores:
        await store.close()


def test_six_processes_open_one_fresh_database_at_once_and_lose_nothing(sqld_url: str) -> None:
    """Workers of a deployment start together on an empty database: one makes the tables, all save."""
    command = [sys.executable, "-c", SAVER, sqld_url]
    processes = [subprocess.Popen([*command, f"t{index}"], stderr=subprocess.PIPE, text=True) for index in range(6)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    rows = Sql(sqld_url).execute("SELECT thread_id, count(*) FROM mastra_messages GROUP BY thread_id ORDER BY thread_id")
    assert rows == [(f"t{index}", 40) for index in range(6)]


async def test_of_sixteen_resumes_in_four_processes_one_wins_and_no_result_is_lost(sqld_url: str) -> None:
    """Semantics §2.14: of N concurrent resumes exactly one wins; and every step's result survives."""
    await suspend(sqld_url)
    winners = await asyncio.to_thread(race, sqld_url)
    await assert_one_won_and_nothing_is_lost(sqld_url, winners)


async def test_closing_finishes_what_was_accepted(sqld_url: str) -> None:
    """A save that was under way when close() was called is kept or refused, and never half of either."""
    store = LibSQLStore(url=sqld_url)
    await store.memory.save_thread(thread("t"))
    saves = [
        asyncio.ensure_future(store.memory.save_turn(thread=thread("t"), messages=[Message(id=f"m{i}", thread_id="t")])) for i in range(20)
    ]
    await asyncio.sleep(0)
    await store.close()
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert all(isinstance(outcome, tuple | StoreClosedError) for outcome in outcomes), outcomes
    saved = {f"m{number}" for number, outcome in enumerate(outcomes) if isinstance(outcome, tuple)}
    assert saved
    assert {message_id for (message_id,) in Sql(sqld_url).execute("SELECT id FROM mastra_messages")} == saved


async def test_closing_waits_for_a_read_that_is_under_way(sqld_url: str) -> None:
    """Whoever asked before close() gets the answer."""
    store = LibSQLStore(url=sqld_url)
    await store.memory.save_thread(thread("t"))
    read = asyncio.ensure_future(store.memory.list_threads())
    for _ in range(4):
        await asyncio.sleep(0)
    await store.close()
    assert (await read).total == 1


async def test_a_save_that_was_given_up_takes_no_other_along(store: LibSQLStore) -> None:
    """Users who cancel, before their write is sent or while it is under way, disturb nobody whose write shares the request."""
    saves = [
        asyncio.ensure_future(store.memory.save_turn(thread=thread(f"t{i}"), messages=[Message(id=f"m{i}", thread_id=f"t{i}")]))
        for i in range(40)
    ]
    for _ in range(4):
        await asyncio.sleep(0)  # the first 32 are under way then, and the others wait
    for save in saves[::4]:
        save.cancel()
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, tuple)] == list(range(0, 40, 4))
    stored = {thread.id for thread in (await store.memory.list_threads(per_page=None)).items}
    assert stored >= {f"t{number}" for number in range(40) if number % 4}


KEYS = ["", "a", "a.b", "$", "[0]", 'q"uo\\te', "é😀", "line\nbreak", "\x01\x1f\b\x7f", "x y", "null", "__proto__"]
VALUES = [
    None,
    True,
    False,
    {},
    [],
    {"deep": {"n": None}},
    [None, {"b": [1]}],
    "s",
    "",
    0,
    -1,
    12345678901234567890123,
    0.30000000000000004,
    1e23,
]


async def test_metadata_is_merged_one_level_deep_and_no_value_changes(store: LibSQLStore) -> None:
    """Any key, null, a nested object, 17 digits and integers of any length are after a merge what they were before."""
    await store.memory.save_thread(thread("t"))
    expected: dict[str, object] = {}
    for shift in range(len(VALUES)):
        given = {key: VALUES[(index * 5 + shift) % len(VALUES)] for index, key in enumerate(KEYS) if (index + shift) % 3}
        expected |= given
        await store.memory.update_thread("t", title="", metadata=given)
        found = await store.memory.get_thread_by_id("t")
        assert found is not None
        assert found.metadata == expected
        assert {key: repr(value) for key, value in found.metadata.items()} == {key: repr(value) for key, value in expected.items()}
