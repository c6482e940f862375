"""What a user is told when DynamoDB cannot do what was asked: the cause and its own mend."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError, SSLError, UnauthorizedSSOTokenError

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.testing.samples import a_thread
from mastra_dynamodb.faults import fault_of
from mastra_dynamodb.store import DynamoDBStore, open_dynamodb
from tests.servers.dynamodb import DynamoDBServer, connect, create_table
from tests.servers.process import free_port

KEYS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}


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
        await store.memory.save_thread(a_thread())
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
                store.memory.save_thread(a_thread())
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
        await store.memory.save_thread(a_thread())
        await store.records.ping()
        assert await store.memory.get_thread_by_id("t") == a_thread()


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
