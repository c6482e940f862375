"""What a user is told when DynamoDB cannot do what was asked: the cause and its own mend."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from mastra_core import clock
from mastra_core.errors import ConfigurationError, ConflictError, InvalidInputError, StorageUnavailableError
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS, Message, Resource, Thread
from mastra_dynamodb.faults import fault_of
from mastra_dynamodb.store import DynamoDBStore, open_dynamodb
from tests.contract import racing
from tests.servers.dynamodb import DynamoDBServer, connect, create_table
from tests.servers.process import free_port

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
    """DynamoDB's key format lower-cases ids: the second one gets a ConflictError that names both."""
    await store.records.apply(Save(THREADS, thread("Abc", title="first")))
    for change in (Save(THREADS, thread("aBC", title="second")), Save(THREADS, thread("aBC"), only=(), answer=False)):
        with pytest.raises(ConflictError, match=r"aBC.*lower-cases.*Abc"):
            await store.records.apply(change)
    assert await store.memory.get_thread_by_id("aBC") is None
    assert (await store.memory.get_thread_by_id("Abc")).title == "first"
    with pytest.raises(ConflictError, match=r"lower-cases"):
        await store.records.apply(Save(THREADS, thread("x")), Save(THREADS, thread("X")))


async def test_an_item_over_400_kilobytes_is_refused_before_anything_is_sent(store: DynamoDBStore) -> None:
    """The error names the record, its size and the largest attribute."""
    large = Message(id="m", thread_id="t", created_at=AT, content={"text": "x" * 410_000})
    with pytest.raises(InvalidInputError, match=r"mastra_messages m: has 41\d,\d+ bytes.*409,600.*content"):
        await store.records.apply(Save(THREADS, thread("t")), Save(MESSAGES, large))
    assert await store.memory.get_thread_by_id("t") is None


async def test_one_transaction_holds_98_messages_and_their_thread(store: DynamoDBStore) -> None:
    """A larger call is refused with the limit and the alternative, and nothing is written."""
    await store.memory.save_thread(thread("t"))
    messages = [Message(id=f"{number:03d}", thread_id="t", resource_id="r") for number in range(99)]
    with pytest.raises(InvalidInputError, match=r"98.*chunked=True"):
        await store.memory.save_messages(messages)
    assert len(await store.memory.save_messages(messages[:98])) == 98
    assert (await store.memory.list_messages("t", per_page=None, include_total=True)).total == 98


async def test_a_transaction_that_keeps_colliding_names_its_items(store: DynamoDBStore, dynamodb_client: Any) -> None:
    """Other writers are waited for a bounded number of times; then the ConflictError says on which items."""

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
    """Issue: "A transaction cancelled by a conflict retries": whoever saves sees nothing of it, and the turn is written once."""
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
    """Issue: "Two processes resume one run: one wins"; each also reports its steps, at the same moment."""
    await racing.suspend(dynamodb_url)
    await racing.assert_one_won_and_nothing_is_lost(dynamodb_url, racing.race(dynamodb_url))


async def test_a_missing_table_says_how_to_create_it(dynamodb_client: Any) -> None:
    """The store never creates its table."""
    with pytest.raises(StorageUnavailableError, match=r"'nowhere'.*no such table.*mastra ddl dynamodb://nowhere"):
        await DynamoDBStore(table_name="nowhere", client=dynamodb_client).init()


async def test_a_missing_index_is_named_with_the_command_that_adds_it(dynamodb_client: Any, dynamodb_table: str) -> None:
    """The table of somebody who created keys and no index."""
    name = f"{dynamodb_table}-bare"
    attributes = [{"AttributeName": part, "AttributeType": "S"} for part in ("pk", "sk")]
    schema = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    dynamodb_client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=attributes, KeySchema=schema)
    try:
        with pytest.raises(ConfigurationError, match=r"no index 'gsi1'.*aws dynamodb update-table"):
            await DynamoDBStore(table_name=name, client=dynamodb_client).init()
    finally:
        dynamodb_client.delete_table(TableName=name)


async def test_an_endpoint_where_nobody_listens_is_told_without_credentials() -> None:
    """The error says where it looked and what to check, not with which keys."""
    store = DynamoDBStore(
        table_name="table",
        region="eu-west-1",
        endpoint=f"http://127.0.0.1:{free_port()}",
        credentials={**KEYS, "aws_secret_access_key": "hush"},
    )
    with pytest.raises(StorageUnavailableError, match=r"eu-west-1 could not be reached.*Check endpoint") as caught:
        await store.init()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "error, mend, retry",
    [
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "Query"), "allow dynamodb:Query on table/t", False),
        (ClientError({"Error": {"Code": "ExpiredTokenException"}}, "Query"), "token .* has expired", False),
        (ClientError({"Error": {"Code": "UnrecognizedClientException"}}, "Query"), "credentials were not accepted", False),
        (ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "TransactWriteItems"), "throttles", True),
        (ClientError({"Error": {"Code": "InternalServerError"}}, "Query"), "try again", True),
        (ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems"), "try again", False),
        (NoCredentialsError(), "no complete AWS credentials", False),
        (ConnectTimeoutError(endpoint_url="http://x"), "could not be reached", True),
    ],
)
def test_each_cause_has_its_own_mend(error: Exception, mend: str, retry: bool) -> None:
    """Only what wrote nothing, or can be written twice, is tried again."""
    fault = fault_of(error, table="t", region="eu-west-1")
    assert fault is not None
    assert fault.retry is retry
    with pytest.raises(StorageUnavailableError, match=mend):
        raise fault.error(fault.message)


@pytest.mark.parametrize(
    "code, said",
    [
        ("ExpiredTokenException", r"table .* in us-east-1: the session token of the credentials has expired; get a new one"),
        ("UnrecognizedClientException", r"the credentials were not accepted \(UnrecognizedClientException\); check the access key"),
        ("AccessDeniedException", r"no permission for {}; allow dynamodb:{} on table/mastra-test-\w+ and table/mastra-test-\w+/index/\*"),
        ("ResourceNotFoundException", r"there is no such table. Correct table_name or region, or create it: mastra ddl dynamodb://"),
        ("ProvisionedThroughputExceededException", r"throttles {}; raise the table's capacity, or switch it to on-demand"),
    ],
)
@pytest.mark.parametrize("operation", ["DescribeTable", "TransactWriteItems", "BatchGetItem", "Query"])
async def test_each_refusal_of_the_service_is_its_own_clear_error(
    dynamodb_endpoint: str, dynamodb_table: str, refusal: Any, code: str, said: str, operation: str
) -> None:
    """Issue: "Wrong region, missing credentials, expired token, missing table, missing index, no permission: each its own clear error".

    At opening, writing and reading: the store says what to do, names itself, and shows no secret.
    """
    client = connect(dynamodb_endpoint)
    store = DynamoDBStore(id="mine", table_name=dynamodb_table, client=client)
    if operation != "DescribeTable":
        await store.init()
    client.meta.events.register(f"before-send.dynamodb.{operation}", lambda request, **_: refusal(code)(request))
    with pytest.raises(StorageUnavailableError, match=said.format(operation, operation)) as caught:
        await (
            store.memory.save_thread(thread("t"))
            if operation == "TransactWriteItems"
            else store.memory.read_turn("t", resource_id="r", last=2)
        )
    assert caught.value.store_id == "mine"
    await store.close()
    client.close()


async def test_missing_credentials_and_a_missing_region_are_told_before_anything_is_sent(
    dynamodb_endpoint: str, dynamodb_table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue: "Wrong region, missing credentials, …: each its own clear error"."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageUnavailableError, match=r"no complete AWS credentials were found; pass credentials=…, set AWS_ACCESS_KEY_ID"):
        await DynamoDBStore(table_name=dynamodb_table, region="us-east-1", endpoint=dynamodb_endpoint).init()
    with pytest.raises(StorageUnavailableError, match=r"no AWS region is set; pass region=… or set AWS_REGION"):
        await DynamoDBStore(table_name=dynamodb_table, credentials=KEYS).init()


async def test_a_region_that_has_not_the_table_is_named(dynamodb_table: str, tmp_path: Path) -> None:
    """Issue: "Wrong region, …: its own clear error": a table is there in one region alone, and the error says in which it was looked for."""
    (tmp_path / "server").mkdir()
    with DynamoDBServer(tmp_path / "server", shared=False) as server:
        here = connect(server.url)
        create_table(here, dynamodb_table)
        here.close()
        async with DynamoDBStore(table_name=dynamodb_table, region="us-east-1", endpoint=server.url, credentials=KEYS) as store:
            await store.init()
        elsewhere = DynamoDBStore(table_name=dynamodb_table, region="eu-west-9", endpoint=server.url, credentials=KEYS)
        with pytest.raises(StorageUnavailableError, match=rf"'{dynamodb_table}' in eu-west-9: there is no such table. Correct .* region"):
            await elsewhere.init()
        await elsewhere.close()


def test_a_mistake_of_ours_is_not_dressed_up() -> None:
    """A request that DynamoDB does not understand is a bug to be seen."""
    assert (
        fault_of(ClientError({"Error": {"Code": "ValidationException", "Message": "bad expression"}}, "Query"), table="t", region="r")
        is None
    )


async def test_a_url_opens_the_store(dynamodb_endpoint: str, dynamodb_table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dynamodb://TABLE?region=…&endpoint=…`, with credentials from the environment; the client made is closed with the store."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    async with open_dynamodb(f"dynamodb://{dynamodb_table}?region=eu-west-1&endpoint={dynamodb_endpoint}") as store:
        await store.memory.save_thread(thread("t"))
        await store.records.ping()
        assert await store.memory.get_thread_by_id("t") == thread("t")


@pytest.mark.parametrize(
    "url, found",
    [
        ("dynamodb://key:secret@t", "credentials"),
        ("dynamodb://t?regoin=x", "regoin"),
        ("dynamodb://t/x", "/x"),
        ("dynamodb://", "table_name"),
    ],
)
def test_a_url_that_holds_something_else_is_refused(url: str, found: str) -> None:
    """The error says what was found and the form; a password in it is not repeated."""
    with pytest.raises(ConfigurationError, match=found) as caught:
        open_dynamodb(url)
    assert "secret" not in str(caught.value)


def test_two_ways_to_connect_are_refused(dynamodb_client: Any) -> None:
    """A client, or what to make one of."""
    with pytest.raises(ConfigurationError, match=r"found both"):
        DynamoDBStore(table_name="t", region="eu-west-1", client=dynamodb_client)
