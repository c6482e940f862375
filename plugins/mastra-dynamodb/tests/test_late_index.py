"""Own writes are read at once, while the index of messages stands still: what AWS may do for a moment."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.query import Query
from mastra_dynamodb import keys, recent, wire
from mastra_dynamodb.store import DynamoDBStore
from tests.servers.counting import counting_requests
from tests.servers.dynamodb import create_table

AT = clock.from_text("2024-01-01T00:00:00.000Z")


@pytest.fixture
def frozen(lagging: Any, dynamodb_client: Any, dynamodb_table: str) -> Any:
    """A client whose index shows only what `deliver()` lets through."""
    shadow = f"mastra-test-{uuid.uuid4().hex}"
    create_table(dynamodb_client, shadow)
    yield lagging(dynamodb_client, table=dynamodb_table, shadow=shadow, frozen=True)
    dynamodb_client.delete_table(TableName=shadow)


@pytest.fixture
async def memory(frozen: Any, dynamodb_table: str) -> AsyncIterator[MemoryDomain]:
    """The memory domain of a store before that client, with two threads."""
    async with DynamoDBStore(table_name=dynamodb_table, client=frozen) as store:
        for name in ("t", "u"):
            await store.memory.save_thread(Thread(id=name, resource_id="r", created_at=AT, updated_at=AT))
        yield store.memory


async def save(memory: MemoryDomain, *ids: str, thread: str = "t") -> None:
    """Messages in the order of their ids."""
    await memory.save_messages([Message(id=name, thread_id=thread, resource_id="r") for name in ids])


async def shown(memory: MemoryDomain, *, thread: str = "t", last: int = 10) -> list[str]:
    """The ids of a thread's newest messages."""
    return [message.id for message in (await memory.read_turn(thread, resource_id="r", last=last)).messages]


async def test_messages_that_the_index_does_not_show_yet_are_read(memory: MemoryDomain, frozen: Any) -> None:
    """What was saved is in the history at once; later the index takes over, and nothing comes twice."""
    await save(memory, "a", "b")
    assert await shown(memory) == ["a", "b"]
    assert await shown(memory, last=1) == ["b"]
    frozen.deliver()
    await save(memory, "c")
    assert await shown(memory) == ["a", "b", "c"]
    assert await shown(memory, last=2) == ["b", "c"]


async def test_what_the_index_has_not_delivered_costs_one_request_more(memory: MemoryDomain, frozen: Any, dynamodb_client: Any) -> None:
    """Three requests while the index is behind, two when it is current."""
    await save(memory, "a", "b")
    with counting_requests(dynamodb_client) as counted:
        await shown(memory)
    assert sorted(counted.operations) == ["BatchGetItem", "BatchGetItem", "Query"]
    frozen.deliver()
    with counting_requests(dynamodb_client) as counted:
        await shown(memory)
    assert sorted(counted.operations) == ["BatchGetItem", "Query"]


async def test_a_large_import_does_not_make_the_last_messages_dear(memory: MemoryDomain, frozen: Any, dynamodb_client: Any) -> None:
    """After 98 messages at once the last ten are still two requests: older ones are known to lie further back."""
    await save(memory, *(f"{number:03d}" for number in range(98)))
    frozen.deliver()
    with counting_requests(dynamodb_client) as counted:
        assert await shown(memory) == [f"{number:03d}" for number in range(88, 98)]
    assert sorted(counted.operations) == ["BatchGetItem", "Query"]


async def test_a_changed_message_is_read_as_it_is(memory: MemoryDomain, frozen: Any) -> None:
    """The index may show an old copy; the history does not."""
    await save(memory, "a", "b")
    frozen.deliver()
    await memory.save_messages([Message(id="a", thread_id="t", resource_id="r", role="assistant")])
    found = (await memory.read_turn("t", resource_id="r", last=10)).messages
    assert [(message.id, message.role) for message in found] == [("a", "assistant"), ("b", "user")]


async def test_a_deleted_message_is_gone_at_once(memory: MemoryDomain, frozen: Any) -> None:
    """The index may still show it; the history does not, and the page is filled up with older messages."""
    await save(memory, "a", "b", "c")
    frozen.deliver()
    await memory.delete_messages(["b"])
    assert await shown(memory, last=2) == ["a", "c"]


async def test_a_moved_message_is_in_its_new_thread_only(memory: MemoryDomain, frozen: Any) -> None:
    """Both threads learn of it in the step that moves it."""
    await save(memory, "a", "b")
    frozen.deliver()
    await save(memory, "a", thread="u")
    assert (await shown(memory), await shown(memory, thread="u")) == (["b"], ["a"])


async def test_a_deleted_thread_takes_along_what_the_index_does_not_show(
    memory: MemoryDomain, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """Nothing is left behind, not even the note of what was written last."""
    await save(memory, "a", "b")
    await memory.delete_thread("t")
    await memory.delete_thread("u")
    assert await shown(memory) == []
    assert dynamodb_client.scan(TableName=dynamodb_table, ConsistentRead=True)["Items"] == []


async def test_messages_of_a_deleted_thread_are_not_listed_while_the_index_shows_them(memory: MemoryDomain, frozen: Any) -> None:
    """The index is not trusted where nothing says what it may have missed."""
    await save(memory, "a", "b")
    frozen.deliver()
    await memory.delete_thread("t")
    assert await shown(memory) == []


async def test_a_purge_ends_and_counts_what_went_while_the_index_shows_what_typescript_deleted(
    memory: MemoryDomain, frozen: Any, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """What TypeScript deletes leaves no mark: whoever empties a list until nothing is left passes over it, and does not wait for the index."""
    await save(memory, "a", "b", "c")
    frozen.deliver()
    for name in "ab":
        dynamodb_client.delete_item(TableName=dynamodb_table, Key=wire.key_item(keys.item_key(MESSAGES, (name,))))
    whole = Query(MESSAGES, "by_thread", at={"thread_id": "t"})
    assert [await memory.records.purge(whole, limit=1) for _ in range(2)] == [1, 0]
    assert await memory.get_thread_by_id("t") is not None
    assert [found.id for found in await memory.list_messages_by_id(["a", "b", "c"])] == []


async def test_old_marks_go_with_the_next_write(
    memory: MemoryDomain, dynamodb_client: Any, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread's item does not grow: a write takes along the marks that no reader needs any more."""
    monkeypatch.setattr(recent, "KEPT_MILLISECONDS", -1000)
    for number in range(5):
        await save(memory, f"{number}a", f"{number}b")
    item = dynamodb_client.get_item(TableName=dynamodb_table, Key=wire.key_item(keys.item_key(THREADS, ("t",))))["Item"]
    assert sorted(mark.key for mark in wire.marks_of(item).values()) == [("4a",), ("4b",)]
