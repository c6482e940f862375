"""Writes that are refused or tried again: ids that differ by case alone, items too large, and transactions in one another's way."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import attrs
import pytest
from botocore.exceptions import ClientError

from mastra_core import clock
from mastra_core.errors import ConflictError, InvalidInputError, StorageUnavailableError
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import RESOURCES, THREADS, Message, Resource, Thread
from mastra_dynamodb import engine
from mastra_dynamodb.store import DynamoDBStore
from tests.contract import racing
from tests.servers.counting import counting_requests
from tests.servers.dynamodb import connect

AT = clock.from_text("2024-01-01T00:00:00.000Z")
KEYS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}


def thread(id: str, **fields: Any) -> Thread:
    return Thread(id=id, resource_id="r", created_at=AT, updated_at=AT, **fields)


@pytest.fixture
async def store(dynamodb_client: Any, dynamodb_table: str) -> Any:
    """A store on a table of its own."""
    async with DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client) as store:
        yield store


async def test_an_id_that_differs_by_case_alone_is_refused_and_overwrites_nothing(store: DynamoDBStore) -> None:
    """Build: "Ids that differ only by case raise `ConflictError` instead of overwriting (the key format lower-cases)"; it names both."""
    await store.records.apply(Save(THREADS, thread("Abc", title="first")))
    for change in (Save(THREADS, thread("aBC", title="second")), Save(THREADS, thread("aBC"), only=(), answer=False)):
        with pytest.raises(ConflictError, match=r"aBC.*lower-cases.*Abc"):
            await store.records.apply(change)
    assert await store.memory.get_thread_by_id("aBC") is None
    assert (await store.memory.get_thread_by_id("Abc")).title == "first"
    with pytest.raises(ConflictError, match=r"lower-cases"):
        await store.records.apply(Save(THREADS, thread("x")), Save(THREADS, thread("X")))


@pytest.mark.parametrize("size", [409_300, 409_550, 500_000])
async def test_an_item_over_400_kilobytes_is_refused_before_anything_is_sent(
    store: DynamoDBStore, dynamodb_client: Any, dynamodb_table: str, size: int
) -> None:
    """Build: "Items over 400 KB are …, or refused with size and limit before anything is written": keys and all that is kept beside the
    text counted, the record and its largest attribute named; whether it is new or grows.
    """
    large = {"format": 2, "parts": [], "content": "x" * size}
    small = Message(id="s", thread_id="t", resource_id="r", content={"format": 2, "parts": []})
    fitting = attrs.evolve(small, id="f", content={**large, "content": "x" * 409_000})
    await store.memory.save_turn(thread=thread("t"), messages=[small, fitting])
    before = dynamodb_client.scan(TableName=dynamodb_table)["Items"]
    with counting_requests(dynamodb_client) as counted:
        for write in (
            lambda: store.memory.save_messages([attrs.evolve(small, id="a"), attrs.evolve(small, id="m", content=large)]),
            lambda: store.memory.update_messages([{"id": "s", "content": {"content": "x" * size}}]),
            lambda: store.memory.update_thread("t", title="x", metadata={"large": "x" * size}),
        ):
            with pytest.raises(
                InvalidInputError, match=r"(mastra_messages [ms]|mastra_threads t): has [\d,]+ bytes.*at most 409,600.*is \w+ with"
            ):
                await write()
    assert "TransactWriteItems" not in counted.operations
    assert dynamodb_client.scan(TableName=dynamodb_table)["Items"] == before


async def test_an_item_that_others_made_too_large_is_refused_and_named(
    store: DynamoDBStore, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """What is hung on a thread by its messages is not known before: DynamoDB refuses the whole, and nothing of it is written."""
    await store.memory.save_thread(thread("t", metadata={"large": "x" * 408_900}))
    with pytest.raises(
        InvalidInputError, match=r"item \$mastra#entity_thread#id_t would have more than the 409,600 bytes.*nothing was written"
    ):
        await store.memory.save_messages([Message(id=str(number), thread_id="t", resource_id="r") for number in range(20)])
    assert len(dynamodb_client.scan(TableName=dynamodb_table)["Items"]) == 1


async def test_savers_of_one_thread_in_a_process_do_not_cancel_each_other(store: DynamoDBStore, dynamodb_client: Any) -> None:
    """Build: "One queue per thread in a process keeps concurrent savers from cancelling each other's transactions": each is sent once."""
    await store.memory.save_thread(thread("t"))
    before = store.consumed()["TransactWriteItems"].requests
    with counting_requests(dynamodb_client) as counted:
        await asyncio.gather(
            *(
                store.memory.save_turn(thread=thread("t"), messages=[Message(id=f"{n}", thread_id="t", resource_id="r")], existed=True)
                for n in range(32)
            )
        )
    assert Counter(counted.operations) == {"TransactWriteItems": 32}
    assert store.consumed()["TransactWriteItems"].requests - before == 32
    assert (await store.memory.list_messages("t", per_page=None, include_total=True)).total == 32


async def test_keys_that_stay_unread_are_told_with_the_mend(
    dynamodb_client: Any, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Build: "unprocessed items retried, `StorageUnavailableError` past them": a read that is not whole is none."""
    monkeypatch.setattr(engine, "TRIES", 4)

    def leave(parsed: dict[str, Any], **_: Any) -> None:
        parsed |= {"Responses": {dynamodb_table: []}, "UnprocessedKeys": {dynamodb_table: {"Keys": asked[-1]}}}

    asked: list[Any] = []
    client = connect(dynamodb_client.meta.endpoint_url)
    note = "provide-client-params.dynamodb.BatchGetItem"
    client.meta.events.register(note, lambda params, **_: asked.append(params["RequestItems"][dynamodb_table]["Keys"]))
    async with DynamoDBStore(table_name=dynamodb_table, client=client) as store:
        await store.memory.save_thread(thread("t"))
        client.meta.events.register("after-call.dynamodb.BatchGetItem", leave)
        with pytest.raises(StorageUnavailableError, match=r"left 1 keys unread at each of 4 tries; raise its capacity"):
            await store.memory.get_thread_by_id("t")
        assert len(asked) == 4
    client.close()


async def test_one_transaction_holds_98_messages_and_their_thread(store: DynamoDBStore) -> None:
    """A larger call is refused with the limit and the alternative, and nothing is written."""
    await store.memory.save_thread(thread("t"))
    messages = [Message(id=f"{number:03d}", thread_id="t", resource_id="r") for number in range(99)]
    with pytest.raises(InvalidInputError, match=r"98.*chunked=True"):
        await store.memory.save_messages(messages)
    assert len(await store.memory.save_messages(messages[:98])) == 98
    assert (await store.memory.list_messages("t", per_page=None, include_total=True)).total == 98


@pytest.mark.usefixtures("impatient")
async def test_a_transaction_that_keeps_colliding_names_its_items(store: DynamoDBStore, dynamodb_client: Any) -> None:
    """Must hold: "A transaction cancelled by a conflict retries, and its error names the item."

    Other writers are waited for a bounded number of times.
    """

    def collide(**_: Any) -> Any:
        reasons = [{"Code": "TransactionConflict"}]
        raise ClientError({"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}, "TransactWriteItems")

    event = "before-call.dynamodb.TransactWriteItems"
    dynamodb_client.meta.events.register(event, collide)
    try:
        with pytest.raises(ConflictError, match=r"entity_resource#id_u.*16 tries; nothing was written"):
            await store.records.apply(Save(RESOURCES, Resource(id="u", created_at=AT, updated_at=AT)))
    finally:
        dynamodb_client.meta.events.unregister(event, collide)


async def test_writers_of_two_stores_lose_nothing(store: DynamoDBStore, dynamodb_client: Any, dynamodb_table: str) -> None:
    """Two stores share no queue, as two processes: their transactions collide, are repeated, and every merge is there."""
    await store.memory.save_thread(thread("t"))
    async with DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client) as other:
        merges = [(one, f"{name}{number}") for name, one in (("a", store), ("b", other)) for number in range(8)]
        await asyncio.gather(*(one.records.apply(Patch(THREADS, ("t",), merge={"metadata": {key: 1}})) for one, key in merges))
    assert len((await store.memory.get_thread_by_id("t")).metadata) == 16


async def test_a_transaction_that_another_one_was_in_the_way_of_is_sent_again(
    store: DynamoDBStore, dynamodb_client: Any, dynamodb_table: str
) -> None:
    """Must hold: "A transaction cancelled by a conflict retries": whoever saves sees nothing of it, and the turn is written once."""
    tries = 0

    def collide(**_: Any) -> None:
        nonlocal tries
        tries += 1
        if tries <= 3:
            reasons = [{"Code": "None"}, {"Code": "None"}, {"Code": "TransactionConflict"}]
            raise ClientError({"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}, "TransactWriteItems")

    event = "before-call.dynamodb.TransactWriteItems"
    dynamodb_client.meta.events.register(event, collide)
    try:
        await store.memory.save_turn(thread=thread("t"), messages=[Message(id=name, thread_id="t", resource_id="r") for name in "ab"])
    finally:
        dynamodb_client.meta.events.unregister(event, collide)
    assert tries == 4
    assert {item["id"]["S"] for item in dynamodb_client.scan(TableName=dynamodb_table)["Items"]} == {"t", "a", "b"}


async def test_of_four_processes_that_resume_a_run_one_wins_and_no_result_is_lost(dynamodb_url: str) -> None:
    """Must hold: "Two processes resume one run: one wins"; each also reports its steps, at the same moment."""
    await racing.suspend(dynamodb_url)
    await racing.assert_one_won_and_nothing_is_lost(dynamodb_url, racing.race(dynamodb_url))
