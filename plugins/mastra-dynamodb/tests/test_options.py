"""How a store is told where its table is: as arguments, or in one dictionary as TypeScript's."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kinds import Thread
from mastra_dynamodb.store import DynamoDBStore, open_dynamodb

KEY = {"access_key_id": "fakeMyKeyId", "secret_access_key": "fakeSecretAccessKey"}


async def written_and_read(store: DynamoDBStore) -> None:
    async with store:
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=clock.now(), updated_at=clock.now()))
        assert await store.memory.get_thread_by_id("t") is not None


@pytest.mark.parametrize("names", [{}, {"access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key"}])
async def test_local_development_as_the_seed_shows_it(dynamodb_endpoint: str, dynamodb_table: str, names: dict[str, str]) -> None:
    """A table name, a region, the endpoint of DynamoDB Local and any key, by the seed's names or boto3's."""
    key = {names.get(name, name): value for name, value in KEY.items()}
    where: Any = {"table_name": dynamodb_table, "region": "us-east-1", "endpoint": dynamodb_endpoint, "credentials": key}
    await written_and_read(DynamoDBStore(**where))
    await written_and_read(DynamoDBStore(id="mine", config=where))
    assert DynamoDBStore(config={**where, "id": "inner"}).id == "inner"


async def test_a_client_that_was_handed_in_is_not_closed(dynamodb_client: Any, dynamodb_table: str) -> None:
    """It is the caller's."""
    await written_and_read(DynamoDBStore(config={"table_name": dynamodb_table, "client": dynamodb_client}))
    assert dynamodb_client.describe_table(TableName=dynamodb_table)["Table"]["TableName"] == dynamodb_table


@pytest.mark.parametrize(
    "options, said",
    [
        ({}, r"needs a table_name"),
        ({"table_name": "a b"}, r"3 to 255 letters.*found 'a b'"),
        ({"table_name": "table", "config": {"table_name": "other"}}, r"found both config and table_name"),
        ({"id": "a", "config": {"table_name": "table", "id": "b"}}, r"found both config and id"),
        ({"config": {"tableName": "table"}}, r"no option 'tableName'.*Did you mean 'table_name'"),
        ({"config": "table"}, r"config must be a dictionary, found str"),
        ({"table_name": "table", "client": object(), "region": "us-east-1"}, r"found both"),
        ({"table_name": "table", "credentials": {"accessKeyId": "x"}}, r"no option 'accessKeyId'.*Did you mean 'access_key_id'"),
        ({"table_name": "table", "credentials": {"access_key_id": "x"}}, r"no secret_access_key; give both halves"),
        (
            {"table_name": "table", "endpoint": "localhost:8000"},
            r"endpoint is a URL such as 'http://localhost:8000'; found 'localhost:8000'",
        ),
        ({"table_name": "table", "endpoint": "http://u:secret'@h"}, r"endpoint is a URL such as .*; found one that holds credentials"),
        ({"table_name": "table", "endpoint": 8000}, r"endpoint is a URL such as .*; found 8000"),
        ({"table_name": "table", "region": "eu west"}, r"region is a name such as 'eu-west-1'; found 'eu west'"),
        ({"table_name": "table", "region": 1}, r"region is a name such as 'eu-west-1'; found 1"),
        ({"table_name": "table", "credentials": "secret"}, r"credentials must be a dictionary"),
    ],
)
def test_a_wrong_option_is_refused_with_its_mend(options: Any, said: str) -> None:
    """Before anything is connected, and without a secret in the message."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        DynamoDBStore(**options)
    assert "secret'" not in str(caught.value)


@pytest.mark.parametrize("url", ["dynamodb://key:secret@table", "dynamodb://table/path", "dynamodb://table?ttl=5"])
def test_a_url_holds_a_table_a_region_and_an_endpoint_alone(url: str) -> None:
    """What else a store takes is for code."""
    with pytest.raises(ConfigurationError, match="its form is dynamodb://TABLE") as caught:
        open_dynamodb(url)
    assert "secret" not in str(caught.value)
