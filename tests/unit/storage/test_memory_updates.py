"""The second half of the memory domain, on the model and on the embedded store: updates, moves, clones, lists by id and resource."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import ConflictError, InvalidInputError, ThreadNotFoundError
from mastra_core.storage import InMemoryStore, LibSQLStore
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kinds import Message, Resource, Thread

START = clock.from_text("2024-01-01T00:00:00.000Z")


@pytest.fixture(params=["in memory", "libsql"])
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryDomain]:
    """A memory domain with the threads a and b of the resource u."""
    store = InMemoryStore() if request.param == "in memory" else LibSQLStore(url=f"file:{tmp_path}/memory.db")
    async with store:
        for name in ("a", "b"):
            await store.memory.save_thread(Thread(id=name, resource_id="u", title="T", created_at=START, updated_at=START))
        yield store.memory


def said(number: int, *, thread_id: str = "a", at: timedelta = timedelta()) -> Message:
    """A message of one instant with many others, unless *at* says otherwise."""
    return Message(id=f"m{number:04}", thread_id=thread_id, resource_id="u", created_at=START + at)


async def test_concurrent_updates_of_different_keys_all_survive(memory: MemoryDomain) -> None:
    """Threads, messages and resources alike: nobody's metadata is lost."""
    await memory.save_messages([said(1)])
    await asyncio.gather(
        *(memory.update_thread("a", metadata={f"k{i}": i}) for i in range(16)),
        *(memory.update_messages([{"id": "m0001", "content": {"metadata": {f"k{i}": i}}}]) for i in range(16)),
        *(memory.update_resource("u", metadata={f"k{i}": i}) for i in range(16)),
    )
    expected = {f"k{i}": i for i in range(16)}
    thread, resource = await memory.get_thread_by_id("a"), await memory.get_resource_by_id("u")
    assert thread is not None
    assert resource is not None
    assert (thread.metadata, resource.metadata) == (expected, expected)
    assert (await memory.list_messages("a")).items[0].content["metadata"] == expected


async def test_an_update_of_a_thread_keeps_what_it_does_not_name(memory: MemoryDomain) -> None:
    """The title stays when only metadata is given, and the other way round; a missing thread is named."""
    assert (await memory.update_thread("a", metadata={"x": {"y": None}})).title == "T"
    updated = await memory.update_thread("a", title="")
    assert (updated.title, updated.metadata, updated.created_at) == ("", {"x": {"y": None}}, START)
    assert updated.updated_at > START
    with pytest.raises(ThreadNotFoundError, match="Thread nope not found"):
        await memory.update_thread("nope", title="x")


async def test_a_message_moves_with_an_update_and_marks_both_threads(memory: MemoryDomain) -> None:
    """Ids that do not exist are passed over; a thread that does not exist is refused, and nothing moves."""
    await memory.save_messages([said(1), said(2)])
    before = clock.now()
    moved = await memory.update_messages([{"id": "m0001", "thread_id": "b"}, {"id": "nope", "role": "user"}])
    assert [(m.id, m.thread_id, m.created_at) for m in moved] == [("m0001", "b", START)]
    for name in ("a", "b"):
        thread = await memory.get_thread_by_id(name)
        assert thread is not None
        assert thread.updated_at >= before
    with pytest.raises(ThreadNotFoundError, match="Thread nowhere not found"):
        await memory.update_messages([{"id": "m0002", "thread_id": "nowhere"}])
    with pytest.raises(InvalidInputError, match="Did you mean 'thread_id'"):
        await memory.update_messages([{"id": "m0002", "threadId": "b"}])  # type: ignore[typeddict-unknown-key]
    assert [m.id for m in await memory.list_messages("a")] == ["m0002"]


async def test_a_clone_has_the_newest_messages_in_their_order(memory: MemoryDomain) -> None:
    """Messages of one instant keep their order under new ids; the copy is a thread of its own that says where it comes from."""
    numbered = [attrs.evolve(said(n), content={"format": 2, "parts": [], "metadata": {"n": n}}) for n in range(2300)]
    await memory.save_messages(numbered, chunked=True)
    clone = await memory.clone_thread("a", new_thread_id="c", options={"message_limit": 1100})
    assert (clone.count, clone.thread.title, clone.thread.resource_id) == (1100, "Clone of T", "u")
    assert clone.thread.metadata is not None
    assert clone.thread.metadata["clone"]["sourceThreadId"] == "a"
    assert clone.thread.metadata["clone"]["lastMessageId"] == "m2299"
    copies = [message async for message in memory.iter_messages("c")]
    assert [copy.content["metadata"]["n"] for copy in copies] == list(range(1200, 2300))
    assert len([message async for message in memory.iter_messages("a")]) == 2300
    with pytest.raises(ConflictError, match="Thread with id c already exists"):
        await memory.clone_thread("a", new_thread_id="c")
    with pytest.raises(ThreadNotFoundError, match="Source thread with id nope not found"):
        await memory.clone_thread("nope")


async def test_a_clone_takes_the_messages_it_is_asked_for(memory: MemoryDomain) -> None:
    """By date and by id, and the newest of those."""
    await memory.save_messages([said(number, at=timedelta(days=number)) for number in range(9)])
    span = {
        "start_date": START + timedelta(days=2),
        "end_date": START + timedelta(days=7),
        "message_ids": ["m0001", "m0003", "m0005", "m0007"],
    }
    clone = await memory.clone_thread("a", new_thread_id="c", options={"message_filter": span, "message_limit": 2})  # type: ignore[typeddict-item]
    assert clone.count == 2
    assert [m.created_at for m in await memory.list_messages("c")] == [START + timedelta(days=5), START + timedelta(days=7)]


async def test_a_thread_changes_its_owner_with_all_its_messages(memory: MemoryDomain) -> None:
    """The old owner finds nothing of it any more."""
    await memory.save_messages([said(number) for number in range(1200)], chunked=True)
    assert (await memory.update_thread_resource_id("a", resource_id="v")).resource_id == "v"
    assert (await memory.list_messages_by_resource_id("v", include_total=True, per_page=1)).total == 1200
    assert (await memory.list_messages_by_resource_id("u", include_total=True, per_page=1)).total == 0
    assert await memory.get_thread_by_id("a", resource_id="u") is None
    with pytest.raises(ThreadNotFoundError, match='Thread "nope" not found'):
        await memory.update_thread_resource_id("nope", resource_id="v")


async def test_messages_are_found_by_id_and_by_resource_in_order(memory: MemoryDomain) -> None:
    """Unknown ids are passed over; a resource's messages come from all threads."""
    await memory.save_messages([said(2, at=timedelta(seconds=2)), said(1, thread_id="b", at=timedelta(seconds=1))])
    assert [m.id for m in await memory.list_messages_by_id(["m0002", "nope", "m0001"])] == ["m0001", "m0002"]
    assert [m.id for m in await memory.list_messages_by_resource_id("u")] == ["m0001", "m0002"]
    newest = await memory.list_messages_by_resource_id("u", per_page=1, order_by={"direction": "DESC"})
    assert ([m.id for m in newest], newest.has_more) == (["m0002"], True)


async def test_resources_are_saved_whole_and_updated_in_part(memory: MemoryDomain) -> None:
    """save_resource replaces, update_resource keeps what it does not name, and creates."""
    await memory.update_resource("new", working_memory="# A")
    updated = await memory.update_resource("new", metadata={"z": [1]})
    assert (updated.working_memory, updated.metadata) == ("# A", {"z": [1]})
    await memory.save_resource(Resource(id="new", working_memory=None, created_at=START, updated_at=START))
    assert await memory.get_resource_by_id("new") == Resource(id="new", created_at=START, updated_at=START)


async def test_clearing_leaves_nothing(memory: MemoryDomain) -> None:
    """Threads, messages and resources are gone."""
    await memory.save_messages([said(1)])
    await memory.update_resource("u", metadata={})
    await memory.dangerously_clear_all()
    assert (await memory.list_threads()).total == 0
    assert await memory.get_resource_by_id("u") is None
    assert (await memory.list_messages_by_id(["m0001"])).items == ()
