"""What a turn and a long thread cost: requests and capacity, whatever the length of the thread (semantics §4)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS, Message, Resource, Thread
from mastra_dynamodb import keys, wire
from mastra_dynamodb.consumption import Consumed
from mastra_dynamodb.store import DynamoDBStore
from tests.servers.counting import TcpProxy, counting_requests
from tests.servers.dynamodb import connect

START = clock.from_text("2024-01-01T00:00:00.000Z")
THREAD = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
PARALLEL = 8


@pytest.fixture
def client(dynamodb_endpoint: str) -> Iterator[Any]:
    """A client of the test's own, whose requests are counted."""
    client = connect(dynamodb_endpoint)
    yield client
    client.close()


@pytest.fixture
async def store(client: Any, dynamodb_table: str) -> AsyncIterator[DynamoDBStore]:
    """A store with a thread and a resource."""
    async with DynamoDBStore(table_name=dynamodb_table, client=client) as store:
        await store.memory.save_thread(THREAD)
        await store.records.apply(Save(RESOURCES, Resource(id="u", working_memory="x" * 300, created_at=START, updated_at=START)))
        yield store


@pytest.fixture
def memory(store: DynamoDBStore) -> MemoryDomain:
    """Its memory domain."""
    return store.memory


@pytest.fixture
def throttled(refusal: Callable[[str], Any]) -> Callable[[Any], Any]:
    """What the service answers when it throttles."""
    answer: Callable[[Any], Any] = refusal("ThrottlingException")
    return answer


def content(size: int) -> dict[str, Any]:
    """A message of *size* characters of text, which TypeScript's format holds twice."""
    return {"format": 2, "parts": [{"type": "text", "text": "x" * size}], "content": "x" * size}


def load(client: Any, table: str, count: int, *, first: int = 0, text: int = 50, tied: int = 1) -> None:
    """A thread of *count* messages as TypeScript writes them, *tied* in each millisecond, by BatchWriteItem; those from *first* on."""

    def item(index: int) -> dict[str, Any]:
        message = Message(
            id=f"m{index:06d}",
            thread_id="t",
            resource_id="u",
            created_at=START + timedelta(milliseconds=index // tied),
            content=content(text),
        )
        fields = wire.fields_of(MESSAGES, message)
        return {**fields, **wire.frame_of(MESSAGES, fields), **wire.key_item(keys.item_key(MESSAGES, (message.id,)))}

    def put(start: int) -> None:
        requests = [{"PutRequest": {"Item": item(index)}} for index in range(start, min(count, start + 25))]
        while requests:
            requests = client.batch_write_item(RequestItems={table: requests})["UnprocessedItems"].get(table, [])

    with ThreadPoolExecutor(PARALLEL) as workers:
        list(workers.map(put, range(first, count, 25)))


async def write_turn(memory: MemoryDomain, number: int, *, text: int = 50) -> None:
    """A question and its answer."""
    messages = [Message(id=name, thread_id="t", role=name[-3:], content=content(text)) for name in turn_ids(number)]
    assert len(await memory.save_turn(thread=THREAD, messages=messages, existed=True)) == 2


BUDGET = {0.5: (2.0, 9), 1.0: (2.5, 9), 1.45: (3.0, 15), 1.6: (3.5, 15)}
"""By the size of every message's item in kB of 1,024 bytes: what a turn's read and its write take. An empty message has 0.43 kB."""


async def check_turns(memory: MemoryDomain, client: Any, table: str, count: int) -> None:
    """What turns take on a thread of *count* messages, the newest of each size in BUDGET."""
    load(client, table, count)
    thread = stored(client, table, keys.item_key(THREADS, ("t",)))
    await write_turn(memory, 0, text=0)
    frames = [wire.size_of(stored(client, table, keys.item_key(MESSAGES, (name,)))) for name in ("m000000", turn_ids(0)[0])]
    # The one loaded has 50 characters, held twice.
    loaded, written = frames[0] - 100, frames[1]
    for size, (read, write) in BUDGET.items():
        reset(client, table, thread)
        most = int(size * 1024)
        load(client, table, count, first=max(0, count - 10), text=(most - loaded) // 2)
        await write_turn(memory, 0, text=(most - written) // 2)
        for with_resource in (False, True):
            with counting_requests(client) as reading:
                turn = await memory.read_turn("t", resource_id="u", last=10, with_resource=with_resource)
            assert (len(turn.messages), turn.thread is not None, turn.resource is not None) == (10, True, with_resource)
            sizes = {wire.size_of(stored(client, table, keys.item_key(MESSAGES, (message.id,)))) for message in turn.messages}
            assert sizes <= {most - 1, most}
            assert sorted(reading.operations) == ["BatchGetItem", "Query"]
            # Working memory rides along: no request more, and the unit of its own item.
            assert reading.units == read + with_resource, (size, reading.capacity)
        with counting_requests(client) as writing, noting_items(client) as places:
            await write_turn(memory, 1, text=(most - written) // 2)
        assert writing.operations == ["TransactWriteItems"]
        assert write_units(client, table, places) == write, size


def turn_ids(number: int) -> list[str]:
    """The ids of a question and its answer."""
    return [f"{number:032d}-{role}" for role in ("usr", "ast")]


def reset(client: Any, table: str, thread: Any) -> None:
    """Take two turns back: their messages, and what they left on the thread."""
    for name in (*turn_ids(0), *turn_ids(1)):
        client.delete_item(TableName=table, Key=wire.key_item(keys.item_key(MESSAGES, (name,))))
    client.put_item(TableName=table, Item=thread)


@contextmanager
def noting_items(client: Any) -> Iterator[list[tuple[str, str]]]:
    """The places of the items in each transaction that *client* sends within."""
    places: list[tuple[str, str]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        places.extend(wire.place_of(next(iter(item.values()))["Key"]) for item in params["TransactItems"])

    client.meta.events.register("provide-client-params.dynamodb.TransactWriteItems", note)
    yield places
    client.meta.events.unregister("provide-client-params.dynamodb.TransactWriteItems", note)


def write_units(client: Any, table: str, places: Sequence[tuple[str, str]]) -> int:
    """What AWS charges for a transaction: twice for its items and once for their index, in whole kilobytes of each item.

    DynamoDB Local's own figures for transactions are wrong, hence the formula.
    """
    return 3 * sum(math.ceil(wire.size_of(stored(client, table, place)) / 1024) for place in places)


def stored(client: Any, table: str, place: tuple[str, str]) -> Any:
    """The item itself."""
    return client.get_item(TableName=table, Key=wire.key_item(place), ConsistentRead=True)["Item"]


@pytest.mark.parametrize("count", [10, 1000, pytest.param(100_000, marks=pytest.mark.scale)])
async def test_a_turn_costs_what_is_budgeted_however_long_its_thread_is(
    memory: MemoryDomain, client: Any, dynamodb_table: str, count: int
) -> None:
    """Must hold: "Requests, RCU and WCU per turn as budgeted in `semantics.md` §4, the same at 10 / 1,000 / 100,000 messages, from
    ReturnConsumedCapacity."

    Two requests in parallel of at most 4 RCU to read a turn with items up to 1.6 kB, one transaction to write it.
    """
    await check_turns(memory, client, dynamodb_table, count)


async def test_a_turn_of_700_characters_costs_15_units_to_write(memory: MemoryDomain, client: Any, dynamodb_table: str) -> None:
    """Messages of 0.7 kB of text, held twice, are items of 2 kB; the thread stays below 1 kB with the marks of three turns on it."""
    for number in range(2):
        await write_turn(memory, number, text=700)
    with noting_items(client) as places:
        await write_turn(memory, 2, text=700)
    assert write_units(client, dynamodb_table, places) == 15
    assert wire.size_of(stored(client, dynamodb_table, keys.item_key(THREADS, ("t",)))) < 1024


async def test_the_two_requests_of_a_read_go_in_parallel(
    memory: MemoryDomain, client: Any, dynamodb_table: str, dynamodb_endpoint: str
) -> None:
    """Build: "a turn's read is two requests in parallel": it takes the time of one."""
    load(client, dynamodb_table, 100)
    with TcpProxy.before(dynamodb_endpoint, hold_seconds=0.2) as proxy:
        slow = connect(proxy.url)
        async with DynamoDBStore(table_name=dynamodb_table, client=slow) as store:
            await store.memory.read_turn("t", resource_id="u", last=10)
            with proxy.counting() as counted:
                await store.memory.read_turn("t", resource_id="u", last=10)
            assert (counted.round_trips, counted.waits) == (2, 1)
        slow.close()


async def test_a_thread_of_2500_messages_is_whole_and_leaves_nothing_behind(store: DynamoDBStore, client: Any, dynamodb_table: str) -> None:
    """Must hold: "2,500 messages of 0.7 kB: total, newest and oldest are right; deleting the thread leaves no item behind".

    Build: "Every query follows pages to the end or to its limit (TypeScript stops at 1 MB)", along the index and in a scan.
    """
    load(client, dynamodb_table, 2500, text=350)
    newest = await store.memory.list_messages("t", per_page=2, order_by={"direction": "DESC"}, include_total=True)
    oldest = await store.memory.list_messages("t", per_page=2)
    assert [message.id for message in newest] == ["m002499", "m002498"]
    assert ([message.id for message in oldest], newest.total, oldest.has_more) == (["m000000", "m000001"], 2500, True)
    assert (await store.memory.list_messages_by_resource_id("u", per_page=1, include_total=True)).total == 2500
    await store.memory.delete_thread("t")
    (left,) = client.scan(TableName=dynamodb_table, ConsistentRead=True)["Items"]
    assert left["entity"] == {"S": "resource"}, "the resource is not the thread's"


async def test_what_was_consumed_is_what_dynamodb_said(store: DynamoDBStore, client: Any, dynamodb_table: str) -> None:
    """Issue: "Consumed capacity per operation (`store.consumed()`)": each figure is the sum over the answers that DynamoDB gave."""
    load(client, dynamodb_table, 50)
    before = store.consumed()
    with counting_requests(client) as counted:
        for number in range(3):
            await write_turn(store.memory, number)
            await store.memory.read_turn("t", resource_id="u", last=10, with_resource=True)
        await store.memory.list_threads()
        await store.records.ping()
        await store.memory.delete_thread("t")
    taken = {name: since(one, before.get(name, Consumed())) for name, one in store.consumed().items()}
    assert {name: one.requests for name, one in taken.items()} == Counter(counted.operations)
    for name, one in taken.items():
        told = sum(charge.units for charge in counted.capacity if charge.operation == name)
        writes = name in {"TransactWriteItems", "DeleteItem"}
        assert (one.write_units, one.read_units, one.retries) == ((told, 0, 0) if writes else (0, told, 0)), name
        assert told > 0


@pytest.mark.parametrize("of_the_driver", [0, 1])
async def test_requests_that_were_sent_again_are_told(
    dynamodb_endpoint: str, dynamodb_table: str, throttled: Callable[[Any], Any], of_the_driver: int
) -> None:
    """Whoever looks why a turn was slow sees that the table throttled it, whether the driver or the engine sent it again."""
    client = connect(dynamodb_endpoint, retries=of_the_driver)
    async with DynamoDBStore(table_name=dynamodb_table, client=client) as store:
        await store.init()
        refused = iter([True, True, False])
        client.meta.events.register("before-send.dynamodb.GetItem", lambda request, **_: throttled(request) if next(refused) else None)
        await store.records.ping()
        assert store.consumed() == {"GetItem": Consumed(requests=1, retries=2, read_units=0.5)}
    client.close()


def since(now: Consumed, before: Consumed) -> Consumed:
    """What was consumed in between."""
    return Consumed(**{name: value - getattr(before, name) for name, value in attrs.asdict(now).items()})


async def test_a_tie_at_the_end_of_a_page_is_read_on(memory: MemoryDomain, client: Any, dynamodb_table: str) -> None:
    """Of messages of one millisecond the last N are those with the highest ids, though the index keeps no order among them;
    such a read is one request more.
    """
    load(client, dynamodb_table, 30, tied=3)
    with counting_requests(client) as reading:
        turn = await memory.read_turn("t", resource_id="u", last=10)
    assert sorted(reading.operations) == ["BatchGetItem", "Query", "Query"]
    assert [message.id for message in turn.messages] == [f"m{index:06d}" for index in range(20, 30)]


async def test_a_written_message_has_the_attributes_that_typescript_writes(memory: MemoryDomain, client: Any, dynamodb_table: str) -> None:
    """The TypeScript package finds and reads the message: keys, index keys, discriminators and JSON text (contract §3.7)."""
    at = clock.from_text("2025-01-02T03:04:05.678Z")
    body = {"format": 2, "parts": [{"type": "text", "text": "hi"}]}
    thread = Thread(id="Thread-ABC", resource_id="User-X", created_at=at, updated_at=at)
    await memory.save_turn(thread=thread, messages=[Message(id="Msg-1", thread_id="Thread-ABC", type="text", content=body, created_at=at)])
    item = stored(client, dynamodb_table, ("$mastra#entity_message#id_msg-1", "$message_1#entity_message"))
    own = {name: value["S"] for name, value in item.items() if name not in {"updatedAt", "~"}}
    assert own == {
        "entity": "message", "createdAt": "2025-01-02T03:04:05.678Z", "id": "Msg-1", "threadId": "Thread-ABC", "role": "user", "type": "text",
        "content": json.dumps(body, separators=(",", ":")), "resourceId": "User-X", "__edb_e__": "message", "__edb_v__": "1",
        "pk": "$mastra#entity_message#id_msg-1", "sk": "$message_1#entity_message",
        "gsi1pk": "$mastra#entity_message#threadid_thread-abc", "gsi1sk": "$message_1#createdat_2025-01-02t03:04:05.678z",
    }  # fmt: skip
    assert clock.is_stored_form(item["updatedAt"]["S"])
