"""Threads longer than what the memory domain reads at once are copied and moved whole, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from mastra_core.errors import StorageUnavailableError, ThreadNotFoundError
from mastra_core.storage import InMemoryStore, LibSQLStore
from mastra_core.storage.domains.clearing import BATCH
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kinds import Message
from mastra_core.testing.samples import a_message, a_thread, at

LENGTH = 2 * BATCH + 300


@pytest.fixture(params=["in memory", "libsql"])
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryDomain]:
    """A memory domain with a thread of LENGTH messages of one instant."""
    store = InMemoryStore() if request.param == "in memory" else LibSQLStore(url=f"file:{tmp_path}/memory.db")
    async with store:
        await store.memory.save_thread(a_thread(title="T"))
        await store.memory.save_messages([numbered(number) for number in range(LENGTH)], chunked=True)
        yield store.memory


def numbered(number: int) -> Message:
    """A message that tells its place."""
    return a_message(f"m{number:04}", content={"format": 2, "parts": [], "metadata": {"n": number}})


@pytest.fixture
def longest(memory: MemoryDomain, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each read answered."""
    lengths: list[int] = []
    fetch = memory.records.fetch

    async def counted(*reads):
        answers = await fetch(*reads)
        lengths.extend(len(answer) for answer in answers if isinstance(answer, list))
        return answers

    monkeypatch.setattr(memory.records, "fetch", counted)
    return lengths


@pytest.mark.parametrize("limit", [None, BATCH + 100, BATCH, 1])
async def test_a_clone_of_a_long_thread_has_its_newest_messages_in_order(
    memory: MemoryDomain, longest: list[int], limit: int | None
) -> None:
    """Messages of one instant keep their order under new ids, and no more than a page is ever in memory."""
    clone = await memory.clone_thread("t", new_thread_id="c", options={} if limit is None else {"message_limit": limit})
    assert max(longest) <= BATCH
    assert clone.count == (limit or LENGTH)
    assert clone.thread.metadata is not None
    assert clone.thread.metadata["clone"]["lastMessageId"] == f"m{LENGTH - 1:04}"
    copies = [message.content["metadata"]["n"] async for message in memory.iter_messages("c")]
    assert copies == list(range(LENGTH - clone.count, LENGTH))


@pytest.mark.parametrize("error", [StorageUnavailableError("gone"), asyncio.CancelledError()], ids=["error", "cancelled"])
async def test_a_clone_that_fails_in_the_middle_leaves_nothing(
    memory: MemoryDomain, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """No half of a thread is found under the new id, which is free again."""
    apply, failing = memory.records.apply, iter([None, None, error])

    async def failing_at_the_second_page(*changes, **options):
        if isinstance(trouble := next(failing, None), BaseException):
            raise trouble
        return await apply(*changes, **options)

    monkeypatch.setattr(memory.records, "apply", failing_at_the_second_page)
    with pytest.raises(type(error)):
        await memory.clone_thread("t", new_thread_id="c")
    assert await memory.get_thread_by_id("c") is None
    assert (await memory.list_messages("c")).items == ()
    assert (await memory.clone_thread("t", new_thread_id="c")).count == LENGTH


async def test_a_clone_that_is_deleted_in_the_middle_stays_deleted(memory: MemoryDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting wins: no message is left under the id of a thread that is gone."""
    apply, pages = memory.records.apply, iter(range(9))

    async def deleting_after_the_first_page(*changes, **options):
        answers = await apply(*changes, **options)
        if next(pages) == 1:
            await memory.delete_thread("c")
        return answers

    monkeypatch.setattr(memory.records, "apply", deleting_after_the_first_page)
    with pytest.raises(ThreadNotFoundError, match="Thread c not found; it was deleted while messages were copied to it"):
        await memory.clone_thread("t", new_thread_id="c")
    assert (await memory.list_messages("c")).items == ()


async def test_a_clone_ends_where_its_source_ended_when_it_began(memory: MemoryDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said in the source meanwhile is not in the copy, whose metadata names its last message."""
    apply, pages = memory.records.apply, iter(range(9))

    async def saying_more(*changes, **options):
        answers = await apply(*changes, **options)
        if next(pages) == 1:
            await memory.save_messages([attrs.evolve(numbered(LENGTH), created_at=at(5))])
        return answers

    monkeypatch.setattr(memory.records, "apply", saying_more)
    clone = await memory.clone_thread("t", new_thread_id="c")
    assert clone.count == LENGTH
    assert [message.content["metadata"]["n"] async for message in memory.iter_messages("c")] == list(range(LENGTH))


async def test_a_long_thread_changes_its_owner_to_the_last_message(memory: MemoryDomain, longest: list[int]) -> None:
    """The old owner finds nothing of it any more, however long it is."""
    await memory.update_thread_resource_id("t", resource_id="s")
    assert max(longest) <= BATCH
    assert (await memory.list_messages_by_resource_id("s", include_total=True, per_page=1)).total == LENGTH
    assert (await memory.list_messages_by_resource_id("r", include_total=True, per_page=1)).total == 0


async def test_a_long_thread_is_cleared_whole(memory: MemoryDomain) -> None:
    """Clearing works in steps and leaves nothing."""
    await memory.save_messages([attrs.evolve(numbered(LENGTH), created_at=at(5))])
    await memory.dangerously_clear_all()
    assert (await memory.list_threads()).total == 0
    assert (await memory.list_messages_by_resource_id("r", include_total=True, per_page=1)).total == 0
