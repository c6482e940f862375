"""Memory: which store it uses, and recalling a thread without a run."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core import ConfigurationError, InvalidInputError, Memory, OwnershipError, ThreadNotFoundError
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.records.kinds import Message


def said(number: int, *, resource: str = "u1") -> Message:
    return Message(
        id=f"m{number:02}", thread_id="t1", resource_id=resource, content={"format": 2, "parts": [{"type": "text", "text": str(number)}]}
    )


@pytest.fixture
async def memory() -> Memory:
    memory = Memory(InMemoryStore())
    await memory.create_thread(thread_id="t1", resource_id="u1", title="Numbers")
    await memory.save_messages([said(n, resource="u1" if n % 2 else "guest") for n in range(25)])
    return memory


def ids(page: Any) -> list[int]:
    return [int(message.id[1:]) for message in page]


async def test_recall_gives_the_newest_messages_oldest_first(memory: Memory) -> None:
    """As many as a run reads, whoever of the thread said them."""
    page = await memory.recall(thread_id="t1", resource_id="u1")
    assert ids(page) == list(range(15, 25))
    assert (page.has_more, page.page, page.per_page, page.total) == (True, 0, 10, None)


async def test_recall_turns_pages_backwards_in_time(memory: Memory) -> None:
    """Page 1 is what came before the newest."""
    page = await memory.recall(thread_id="t1", page=2, include_total=True)
    assert (ids(page), page.has_more, page.total) == ([0, 1, 2, 3, 4], False, 25)
    assert ids(await memory.recall(thread_id="t1", per_page=3)) == [22, 23, 24]
    assert ids(await memory.recall(thread_id="t1", per_page=None)) == list(range(25))
    assert ids(await memory.recall(thread_id="t1", per_page=0)) == []


async def test_recall_in_an_order_of_ones_own_counts_from_that_end(memory: Memory) -> None:
    """An order that is asked for is kept."""
    assert ids(await memory.recall(thread_id="t1", per_page=2, order_by={"direction": "ASC"})) == [0, 1]
    assert ids(await memory.recall(thread_id="t1", per_page=2, order_by={"direction": "DESC"})) == [24, 23]


async def test_recall_includes_wanted_messages_with_their_neighbours(memory: Memory) -> None:
    """A message found elsewhere comes with what surrounds it, in order."""
    page = await memory.recall(thread_id="t1", per_page=2, include=[{"id": "m05", "with_previous_messages": 1, "with_next_messages": 1}])
    assert ids(page) == [4, 5, 6, 23, 24]


async def test_recall_follows_the_option_of_the_memory() -> None:
    """last_messages is what a run reads, and the default here."""
    memory = Memory(InMemoryStore(), options={"last_messages": 2})
    await memory.create_thread(thread_id="t1", resource_id="u1")
    await memory.save_messages([said(n) for n in range(5)])
    assert ids(await memory.recall(thread_id="t1")) == [3, 4]


async def test_recall_tells_a_missing_thread_from_one_of_another_owner(memory: Memory) -> None:
    """The texts of the contract §5.5."""
    with pytest.raises(ThreadNotFoundError, match="No thread found with id nope"):
        await memory.recall(thread_id="nope", resource_id="u1")
    with pytest.raises(OwnershipError, match="Thread with id t1 is for resource with id u1 but resource zz was queried"):
        await memory.recall(thread_id="t1", resource_id="zz")
    assert ids(await memory.recall(thread_id="nope")) == []


@pytest.mark.parametrize("wrong", [{"per_page": -1}, {"per_page": True}, {"page": -1}, {"order_by": {"field": "title"}}])
async def test_recall_refuses_pages_and_orders_that_cannot_be(memory: Memory, wrong: dict[str, Any]) -> None:
    """As every list does."""
    with pytest.raises(InvalidInputError):
        await memory.recall(thread_id="t1", **wrong)


async def test_threads_are_made_found_listed_and_deleted(memory: Memory) -> None:
    """The thread methods of TypeScript's Memory."""
    made = await memory.create_thread(resource_id="u1", metadata={"tag": 1})
    found = await memory.get_thread_by_id(made.id)
    assert found == made
    assert made.title == ""
    assert await memory.get_thread_by_id(made.id, resource_id="u2") is None
    assert [t.id for t in await memory.list_threads(filter={"metadata": {"tag": 1}})] == [made.id]
    await memory.delete_thread("t1")
    assert [t.id for t in await memory.list_threads(filter={"resource_id": "u1"})] == [made.id]
    assert ids(await memory.recall(thread_id="t1")) == []


async def test_a_memory_without_storage_says_where_to_put_one() -> None:
    """The text of the contract §5.1, and the mend."""
    with pytest.raises(ConfigurationError, match=r"Memory requires a storage provider to function.*Memory\(storage=LibSQLStore\("):
        await Memory().recall(thread_id="t1")


def test_what_is_no_store_is_refused_without_repeating_it() -> None:
    """Connection options may hold a password."""
    with pytest.raises(ConfigurationError, match="found a dict") as raised:
        Memory({"password": "hunter2"})  # type: ignore[arg-type]
    assert "hunter2" not in str(raised.value)


async def test_a_storage_of_its_own_wins_over_mastras() -> None:
    """Agent-level storage overrides the instance's."""
    own, shared = InMemoryStore(id="own"), InMemoryStore(id="shared")
    memory = Memory(own)
    memory.attach(shared)
    assert (memory.storage, memory.has_own_storage) == (own, True)


async def test_closing_a_memory_closes_its_own_store_and_no_mastras() -> None:
    """Whoever opened it closes it."""
    shared = InMemoryStore()
    borrowing, owning = Memory(), Memory(InMemoryStore())
    borrowing.attach(shared)
    for memory in (borrowing, owning):
        await memory.create_thread(resource_id="u1")
        await memory.close()
    assert len(await borrowing.list_threads()) == 1
    with pytest.raises(Exception, match="is closed"):
        await owning.list_threads()


def test_a_url_is_opened_by_its_plugin() -> None:
    """The default store, by name."""
    memory = Memory(":memory:")
    assert memory.storage is not None
    assert memory.storage.product == "libsql"
    memory.sync.close()


def test_blocking_recall_needs_no_event_loop() -> None:
    """`memory.sync` has every method."""
    memory = Memory(InMemoryStore())
    memory.sync.create_thread(thread_id="t1", resource_id="u1")
    memory.sync.save_messages([said(1)])
    assert ids(memory.sync.recall(thread_id="t1", resource_id="u1")) == [1]
