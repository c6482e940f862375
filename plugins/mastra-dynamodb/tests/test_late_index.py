"""Own writes are read at once, while the index of messages stands still: what AWS may do for a moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.erasing import Erased
from mastra_core.storage.records.changes import Delete, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.query import Query
from mastra_core.storage.records.span_kinds import Span
from mastra_core.testing.samples import at
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
async def store(frozen: Any, dynamodb_table: str) -> AsyncIterator[DynamoDBStore]:
    """A store before that client, with two threads."""
    async with DynamoDBStore(table_name=dynamodb_table, client=frozen) as store:
        for name in ("t", "u"):
            await store.memory.save_thread(Thread(id=name, resource_id="r", created_at=AT, updated_at=AT))
        yield store


@pytest.fixture
def memory(store: DynamoDBStore) -> MemoryDomain:
    """Its memory domain."""
    return store.memory


async def save(memory: MemoryDomain, *ids: str, thread: str = "t") -> None:
    """Messages in the order of their ids."""
    await memory.save_messages([Message(id=name, thread_id=thread, resource_id="r") for name in ids])


async def shown(memory: MemoryDomain, *, thread: str = "t", last: int = 10) -> list[str]:
    """The ids of a thread's newest messages."""
    return [message.id for message in (await memory.read_turn(thread, resource_id="r", last=last)).messages]


async def test_messages_that_the_index_does_not_show_yet_are_read(memory: MemoryDomain, frozen: Any) -> None:
    """Build: "GSIs are eventually consistent, and an agent must read its own writes": what was saved is in the history at once; later the
    index takes over, and nothing comes twice.
    """
    await save(memory, "a", "b")
    assert await shown(memory) == ["a", "b"]
    assert await shown(memory, last=1) == ["b"]
    frozen.deliver()
    await save(memory, "c")
    assert await shown(memory) == ["a", "b", "c"]
    assert await shown(memory, last=2) == ["b", "c"]


async def test_what_the_index_has_not_delivered_costs_one_request_more(memory: MemoryDomain, frozen: Any, dynamodb_client: Any) -> None:
    """Build: "fetch consistently only those that the index has not yet delivered": three requests while it is behind, else two."""
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
    """Build: "it lags on updates and deletes too": the index may show an old copy; the history does not."""
    await save(memory, "a", "b")
    frozen.deliver()
    await memory.save_messages([Message(id="a", thread_id="t", resource_id="r", role="assistant")])
    found = (await memory.read_turn("t", resource_id="r", last=10)).messages
    assert [(message.id, message.role) for message in found] == [("a", "assistant"), ("b", "user")]


async def test_a_deleted_message_is_gone_at_once(memory: MemoryDomain, frozen: Any) -> None:
    """Build: "it lags on updates and deletes too": the history does not show it, and the page is filled up with older messages."""
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
    """Must hold: "deleting the thread leaves no item behind", not even the note of what was written last."""
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
    deleted_by_typescript(dynamodb_client, dynamodb_table, "a", "b")
    whole = Query(MESSAGES, "by_thread", at={"thread_id": "t"})
    assert [await memory.records.purge(whole, limit=1) for _ in range(2)] == [1, 0]
    assert await memory.get_thread_by_id("t") is not None
    assert [found.id for found in await memory.list_messages_by_id(["a", "b", "c"])] == []


def deleted_by_typescript(client: Any, table: str, *ids: str) -> None:
    """Remove messages as TypeScript does, which leaves no mark."""
    for name in ids:
        client.delete_item(TableName=table, Key=wire.key_item(keys.item_key(MESSAGES, (name,))))


async def test_an_erasure_ends_while_the_index_shows_what_typescript_deleted(
    store: DynamoDBStore, frozen: Any, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """More than one step of messages that are gone: nobody waits for the index, and only what is of the thread is left out of the table."""
    ids = [f"{number:03d}" for number in range(60)]
    await save(store.memory, *ids)
    frozen.deliver()
    deleted_by_typescript(dynamodb_client, dynamodb_table, *ids)
    async with asyncio.timeout(30):
        assert await store.erase(thread_id="t") == Erased(threads=1)
    assert [item["id"]["S"] for item in dynamodb_client.scan(TableName=dynamodb_table)["Items"]] == ["u"]


async def test_old_threads_are_pruned_while_the_index_shows_what_typescript_deleted(
    store: DynamoDBStore, frozen: Any, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """The same for threads that nobody has used for long."""
    ids = [f"{number:03d}" for number in range(60)]
    await store.records.apply(*(Save(MESSAGES, Message(id=name, thread_id="t", resource_id="r", created_at=AT)) for name in ids))
    frozen.deliver()
    deleted_by_typescript(dynamodb_client, dynamodb_table, *ids)
    async with asyncio.timeout(30):
        report = await store.prune({"threads": {"max_age": "30d"}})
    assert report["threads"].deleted == 2
    assert dynamodb_client.scan(TableName=dynamodb_table)["Items"] == []


async def test_the_traces_of_somebody_are_erased_while_the_index_still_shows_them(
    store: DynamoDBStore, frozen: Any, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """The index is gone through once, however long it shows what was erased."""
    frozen.late = "$mastra#entity_ai_span#"
    root = Span(trace_id="T", span_id="S", name="n", span_type="generic", started_at=at(0), created_at=at(0), resource_id="x")
    below = Span(trace_id="T", span_id="C", name="n", span_type="generic", started_at=at(1), created_at=at(1), parent_span_id="S")
    await store.observability.batch_create_spans([root, below])
    frozen.deliver()
    async with asyncio.timeout(30):
        assert (await store.erase(resource_id="x")).spans == 2
    assert await store.observability.get_trace("T") is None


async def test_what_was_written_last_is_purged_in_parts_though_no_index_shows_it(
    memory: MemoryDomain, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """The note of what was written last stays until all of it is gone, also where a list is asked for less than a purge may delete."""
    await save(memory, "a", "b", "c", "d")
    await memory.records.apply(Delete(THREADS, ("t",)))
    part = Query(MESSAGES, "by_thread", at={"thread_id": "t"}, limit=2)
    assert [await memory.records.purge(part, limit=1000) for _ in range(3)] == [2, 2, 0]
    assert [item["id"]["S"] for item in dynamodb_client.scan(TableName=dynamodb_table)["Items"]] == ["u"]


def marks_on(client: Any, table: str, thread: str = "t") -> list[str]:
    """The ids of the messages that a thread remembers as written last."""
    item = client.get_item(TableName=table, Key=wire.key_item(keys.item_key(THREADS, (thread,))), ConsistentRead=True)["Item"]
    return sorted(mark.key[0] for mark in wire.marks_of(item).values())


async def test_an_import_leaves_no_more_marks_than_a_thread_can_hold(
    memory: MemoryDomain, frozen: Any, dynamodb_client: Any, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics: "`chunked=True` writes oldest first": of any number; the oldest marks go sooner, and for what is newest they are there."""
    monkeypatch.setattr(recent, "MANY", 100)
    monkeypatch.setattr(recent, "CROWDED_MILLISECONDS", 1000)
    ids = [f"{number:03d}" for number in range(200)]
    await memory.save_messages([Message(id=name, thread_id="t", resource_id="r") for name in ids], chunked=True)
    assert len(marks_on(dynamodb_client, dynamodb_table)) < 150
    assert await shown(memory) == ids[-10:]
    frozen.deliver()
    assert [message.id for message in await memory.list_messages("t", per_page=None)] == ids


async def test_a_mark_that_grows_old_during_a_write_goes_with_the_next(
    memory: MemoryDomain, dynamodb_client: Any, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that writes for hours and never reads leaves nothing on the thread."""

    def pass_by(**_: Any) -> None:
        monkeypatch.setattr(recent, "KEPT_MILLISECONDS", -1000)

    await save(memory, "a")
    event = "before-call.dynamodb.TransactWriteItems"
    dynamodb_client.meta.events.register(event, pass_by)
    try:
        await save(memory, "b")
    finally:
        dynamodb_client.meta.events.unregister(event, pass_by)
    assert marks_on(dynamodb_client, dynamodb_table) == ["a", "b"]
    await save(memory, "c")
    assert marks_on(dynamodb_client, dynamodb_table) == ["c"]


async def test_a_thread_full_of_marks_of_other_processes_is_written_to(
    memory: MemoryDomain, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """Who did not leave them, and has not read the thread, learns of them when they are in the way; they go as any others."""
    key = wire.key_item(keys.item_key(THREADS, ("t",)))
    item = dynamodb_client.get_item(TableName=dynamodb_table, Key=key)["Item"]
    made = clock.to_milliseconds(clock.now()) - recent.CROWDED_MILLISECONDS - 1000
    mark = wire.mark_value(wire.Mark(("m" * 36,), None))
    room = wire.MAX_ITEM_BYTES - wire.size_of({**item, **key}) - 100
    many = room // wire.size_of({f"{keys.MARKS}{made:011x}000000": mark})
    dynamodb_client.put_item(TableName=dynamodb_table, Item={**item, **{f"{keys.MARKS}{made:011x}{n:06x}": mark for n in range(many)}})
    ids = [f"{number:03d}" for number in range(10)]
    await save(memory, *ids)
    assert await shown(memory) == ids
    assert len(marks_on(dynamodb_client, dynamodb_table)) == many - recent.MAX_GOING + 10


@pytest.mark.scale
async def test_thousands_of_messages_are_imported_and_erased(dynamodb_client: Any, dynamodb_table: str) -> None:
    """A thread of any length: what its item remembers of the last seconds stays within what one item may have."""
    async with DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client) as store:
        await store.memory.save_thread(Thread(id="t", resource_id="r", created_at=AT, updated_at=AT))
        messages = [Message(id=clock.new_id(), thread_id="t", resource_id="r") for _ in range(6000)]
        await store.memory.save_messages(messages, chunked=True)
        assert await store.erase(thread_id="t") == Erased(threads=1, messages=6000)
    assert dynamodb_client.scan(TableName=dynamodb_table)["Items"] == []


async def test_old_marks_go_with_the_next_write(
    memory: MemoryDomain, dynamodb_client: Any, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread's item does not grow: a write takes along the marks that no reader needs any more."""
    monkeypatch.setattr(recent, "KEPT_MILLISECONDS", -1000)
    for number in range(5):
        await save(memory, f"{number}a", f"{number}b")
    assert marks_on(dynamodb_client, dynamodb_table) == ["4a", "4b"]
