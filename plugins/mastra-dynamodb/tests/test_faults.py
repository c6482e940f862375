"""What a user is told when DynamoDB cannot do what was asked: the cause and its own mend."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError, SSLError, UnauthorizedSSOTokenError

from mastra_core import clock
from mastra_core.errors import ConfigurationError, ConflictError, InvalidInputError, StorageUnavailableError
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kinds import RESOURCES, THREADS, Message, Resource, Thread
from mastra_dynamodb import engine
from mastra_dynamodb.faults import fault_of
from mastra_dynamodb.store import DynamoDBStore, open_dynamodb
from tests.contract import racing
from tests.servers.counting import counting_requests
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


@pytest.mark.usefixtures("impatient")
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
        (
            ClientError({"Error": {"Code": "AccessDeniedException"}}, "TransactWriteItems"),
            "allow dynamodb:UpdateItem, DeleteItem and",
            False,
        ),
        (ClientError({"Error": {"Code": "ExpiredTokenException"}}, "Query"), "token .* has expired", False),
        (ClientError({"Error": {"Code": "UnrecognizedClientException"}}, "Query"), "credentials were not accepted", False),
        (ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "TransactWriteItems"), "throttles", True),
        (ClientError({"Error": {"Code": "InternalServerError"}}, "Query"), "try again", True),
        (ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems"), "try again", False),
        (NoCredentialsError(), "no complete AWS credentials", False),
        (ConnectTimeoutError(endpoint_url="http://x"), "could not be reached", True),
        (SSLError(endpoint_url="https://x", error="wrong version"), "wrong version.*Check whether the endpoint is http or https", False),
    ],
)
def test_each_cause_has_its_own_mend(error: Exception, mend: str, retry: bool) -> None:
    """Only what wrote nothing, or can be written twice, is tried again."""
    fault = fault_of(error, table="t", region="eu-west-1")
    assert fault is not None
    assert fault.retry is retry
    with pytest.raises(StorageUnavailableError, match=mend):
        raise fault.error(fault.message)


DENIED = (
    "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: dynamodb:DescribeTable on resource: "
    "arn:aws:dynamodb:us-east-1:123456789012:table/mine because no identity-based policy allows the dynamodb:DescribeTable action"
)
AWS = {
    "expired token": ("ExpiredTokenException", "The security token included in the request is expired"),
    "no permission": ("AccessDeniedException", DENIED),
    "throttled": ("ThrottlingException", "Throughput exceeds the current throughput limit for your account."),
    "wrong key": ("UnrecognizedClientException", "The security token included in the request is invalid."),
}
"""What AWS answers where DynamoDB Local has nothing to say: its code, and its words."""

TELLS = {
    "wrong region": r"DynamoDB table 'mastra-test-\w+' in eu-west-9: there is no such table\. Correct table_name or region",
    "missing credentials": r"no complete AWS credentials were found; pass credentials=…, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or",
    "expired token": r"the session token of the credentials has expired; get a new one, for example with `aws sso login`",
    "missing table": r"there is no such table\..*, or create it: mastra ddl dynamodb://nowhere > table\.json && aws dynamodb create-table",
    "missing index": r"table 'mastra-test-\w+-bare' has no index 'gsi1', along which .*\. Add it: aws dynamodb update-table --cli-input-json",
    "no permission": (
        r"no permission for DescribeTable; allow dynamodb:DescribeTable on arn:aws:dynamodb:us-east-1:123456789012:table/mine in the IAM "
        r"policy of these credentials\. All that a store needs is printed by: mastra dynamodb policy --table mastra-test-\w+"
    ),
    "throttled": r"throttles DescribeTable; raise the table's capacity, or switch it to on-demand",
    "wrong key": r"the credentials were not accepted \(UnrecognizedClientException\); check the access key, the secret and the region",
    "no region": r"no AWS region is set; pass region=… or set AWS_REGION",
}
"""What a user reads in each case: the cause, and what to do."""


@pytest.fixture
def bare_table(dynamodb_client: Any, dynamodb_table: str) -> Iterator[str]:
    """The table of somebody who made keys and no index."""
    name = f"{dynamodb_table}-bare"
    attributes = [{"AttributeName": part, "AttributeType": "S"} for part in ("pk", "sk")]
    schema = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    dynamodb_client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=attributes, KeySchema=schema)
    yield name
    dynamodb_client.delete_table(TableName=name)


@pytest.fixture
def no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody has said anything of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def regional(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server where each region has tables of its own, as AWS has."""
    with DynamoDBServer(tmp_path_factory.mktemp("regional"), shared=False) as server:
        yield server.url


@pytest.mark.usefixtures("no_aws", "impatient")
@pytest.mark.parametrize("cause", TELLS)
async def test_each_cause_is_its_own_clear_error(
    cause: str, dynamodb_endpoint: str, dynamodb_table: str, bare_table: str, regional: str, front: Any
) -> None:
    """Must hold: "Wrong region, missing credentials, expired token, missing table, missing index, no permission: each its own clear error."

    It says what to do, names the store, shows no secret, and is not what any other cause says.
    """
    given: dict[str, Any] = {"region": "us-east-1", "endpoint": dynamodb_endpoint, "credentials": {**KEYS, "aws_session_token": "hush"}}
    names = {"missing table": "nowhere", "missing index": bare_table}
    if cause == "wrong region":
        here = connect(regional)
        create_table(here, dynamodb_table)
        here.close()
        given |= {"region": "eu-west-9", "endpoint": regional}
    elif cause in {"missing credentials", "no region"}:
        del given["credentials" if cause == "missing credentials" else "region"]
    elif cause in AWS:
        front.refused[""] = AWS[cause]
        given["endpoint"] = front.url
    store = DynamoDBStore(id="mine", table_name=names.get(cause, dynamodb_table), **given)
    with pytest.raises(ConfigurationError if cause == "missing index" else StorageUnavailableError) as caught:
        await store.init()
    await store.close()
    said = str(caught.value)
    assert [other for other, tells in TELLS.items() if re.search(tells, said)] == [cause], said
    assert getattr(caught.value, "store_id", "mine") == "mine"
    assert "hush" not in said


async def test_a_table_that_is_missing_stays_missing(dynamodb_client: Any) -> None:
    """Build: "The adapter never creates the table by itself", whatever is asked of it."""
    store = DynamoDBStore(table_name="nowhere", client=dynamodb_client)
    with pytest.raises(StorageUnavailableError, match="there is no such table"):
        await store.memory.save_thread(thread("t"))
    await store.records.inspect()
    with pytest.raises(dynamodb_client.exceptions.ResourceNotFoundException):
        dynamodb_client.describe_table(TableName="nowhere")


async def test_the_table_is_found_in_its_region(regional: str, dynamodb_table: str) -> None:
    """What is no such table in another region opens in its own."""
    here = connect(regional)
    create_table(here, dynamodb_table)
    here.close()
    async with DynamoDBStore(table_name=dynamodb_table, region="us-east-1", endpoint=regional, credentials=KEYS) as store:
        await store.init()


@pytest.mark.parametrize("cause", [cause for cause in AWS if cause != "throttled"])
@pytest.mark.parametrize("operation, action", [("TransactWriteItems", "UpdateItem"), ("BatchGetItem", "BatchGetItem"), ("Query", "Query")])
async def test_a_refusal_is_told_also_when_the_store_is_open(
    cause: str, operation: str, action: str, dynamodb_table: str, front: Any
) -> None:
    """A token may expire, and a permission lack, for one of the requests that reads and writes make; of a transaction AWS names the action
    of an item, which is what a policy can allow.
    """
    given: dict[str, Any] = {"region": "us-east-1", "endpoint": front.url, "credentials": KEYS}
    async with DynamoDBStore(id="mine", table_name=dynamodb_table, **given) as store:
        await store.init()
        code, words = AWS[cause]
        front.refused[operation] = (code, words.replace("DescribeTable", action))
        with pytest.raises(StorageUnavailableError) as caught:
            await (
                store.memory.save_thread(thread("t"))
                if operation == "TransactWriteItems"
                else store.memory.read_turn("t", resource_id="r", last=2)
            )
    tells = TELLS[cause].replace("for DescribeTable", f"for {operation}")
    assert re.search(tells.replace("dynamodb:DescribeTable", f"dynamodb:{action}"), str(caught.value)), caught.value
    assert caught.value.store_id == "mine"


@pytest.mark.usefixtures("no_aws")
async def test_credentials_that_cannot_be_read_are_told_as_boto3_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is not there, or a sign-in that is over: boto3 knows where it looked, and what to do."""
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(
        StorageUnavailableError, match=r"the AWS credentials could not be read: The config profile \(gone\) could not be found"
    ):
        await DynamoDBStore(table_name="mine", region="us-east-1").init()
    fault = fault_of(UnauthorizedSSOTokenError(), table="t", region="r")
    assert fault is not None
    assert re.search(r"credentials could not be read: The SSO session .* has expired .*aws sso login", fault.message)


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
