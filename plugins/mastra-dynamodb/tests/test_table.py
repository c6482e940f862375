"""The table that an operator makes from what we print, on DynamoDB Local."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from mastra_core.errors import ConfigurationError
from mastra_dynamodb.store import DynamoDBStore


@pytest.fixture
def name(dynamodb_client: Any) -> Iterator[str]:
    """The name of a table that the test makes."""
    name = f"mastra-test-{uuid.uuid4().hex}"
    yield name
    if name in dynamodb_client.list_tables()["TableNames"]:
        dynamodb_client.delete_table(TableName=name)


async def built(client: Any, name: str) -> None:
    """Wait until every index of the table can be used, as an operator does: one can be added at a time."""
    async with asyncio.timeout(30):
        while any(index["IndexStatus"] != "ACTIVE" for index in client.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"]):
            await asyncio.sleep(0.05)


async def test_what_ddl_prints_makes_a_table_that_is_complete(dynamodb_client: Any, name: str) -> None:
    """`mastra ddl URL` is what `aws dynamodb create-table --cli-input-json` takes; before it, the same is what is missing."""
    store = DynamoDBStore(table_name=name, client=dynamodb_client)
    (document,) = store.records.ddl()
    before = await store.records.inspect()
    assert (before.missing, before.version) == ((document,), None)
    assert f"there is no table {name!r} here" in before.notes[0]
    dynamodb_client.create_table(**json.loads(document))
    after = await store.records.inspect()
    assert after.missing == ()
    assert after.server == "DynamoDB (us-east-1)"
    assert (await store.memory.list_threads(filter={"resource_id": "r"})).total == 0
    await store.close()


async def test_an_index_that_is_missing_is_printed_as_what_adds_it(dynamodb_client: Any, name: str) -> None:
    """A table that has keys and no index gets each by one UpdateTable, and opens then."""
    document = json.loads(DynamoDBStore(table_name=name).records.ddl()[0])
    del document["GlobalSecondaryIndexes"]
    document["AttributeDefinitions"] = document["AttributeDefinitions"][:2]
    dynamodb_client.create_table(**document)
    store = DynamoDBStore(table_name=name, client=dynamodb_client)
    with pytest.raises(ConfigurationError, match="no index 'gsi1'"):
        await store.init()
    additions = (await store.records.inspect()).missing
    assert additions
    for addition in additions:
        dynamodb_client.update_table(**json.loads(addition))
        await built(dynamodb_client, name)
    assert (await store.records.inspect()).missing == ()
    await store.init()
    await store.close()
