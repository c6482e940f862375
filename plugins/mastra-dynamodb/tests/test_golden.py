"""A table that `@mastra/dynamodb` wrote is read as it reads it, and gone on with."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.changes import Delete, Save
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.store import Store
from mastra_core.testing.equality import assert_same
from mastra_dynamodb.store import DynamoDBStore
from mastra_dynamodb.table import creation
from tests.interop.readback import answers, expected

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def said() -> Mapping[str, Any]:
    """What the TypeScript API answered to each call, by the name of the call."""
    results: Mapping[str, Any] = json.loads((GOLDEN / "readback.json").read_text())["results"]
    return results


@pytest.fixture(scope="module")
def items() -> list[dict[str, Any]]:
    """Every item of the golden table. DynamoDB allows no empty text in a key, and no item of AWS has one."""
    found: list[dict[str, Any]] = json.loads((GOLDEN / "items.json").read_text())
    return found


@pytest.fixture
async def store(dynamodb_client: Any, dynamodb_table: str, items: list[dict[str, Any]]) -> AsyncIterator[DynamoDBStore]:
    """A store over the golden table."""
    for item in items:
        dynamodb_client.put_item(TableName=dynamodb_table, Item=item)
    async with DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client) as store:
        yield store


async def test_everything_reads_back_as_typescript_reads_it(store: Store, said: Mapping[str, Any]) -> None:
    """Build: "what TypeScript wrote without that list still reads through the index": threads, messages, resources, runs and scores of a
    TypeScript program are there, in every list.
    """
    found, wanted = await answers(store, said), expected(said, hidden="entity")
    assert set(found) == set(wanted)
    for name, answer in wanted.items():
        assert_same(found[name], answer)


async def test_runs_and_scores_have_the_attributes_that_typescript_writes(
    store: Store, dynamodb_client: Any, dynamodb_table: str, items: list[dict[str, Any]]
) -> None:
    """Saved again by us, an item is as TypeScript wrote it but for when it changed, and for ids that it has not, which we leave out."""
    for run in await store.workflows.list_workflow_runs():
        given: dict[str, Any] = {"run_id": run.run_id, "snapshot": run.snapshot, "resource_id": run.resource_id}
        await store.workflows.delete_workflow_run_by_id(run.run_id, workflow_name=run.workflow_name)
        await store.workflows.persist_workflow_snapshot(run.workflow_name, created_at=run.created_at, updated_at=run.updated_at, **given)
    for item in items:
        if item["entity"]["S"] == "score":
            old = await store.scores.get_score_by_id(item["id"]["S"])
            assert old is not None
            await store.records.apply(Delete(SCORES, (old.id,)))
            await store.records.apply(Save(SCORES, old))
    for item in items:
        if item["entity"]["S"] in {"score", "workflow_snapshot"}:
            key = {"pk": item["pk"], "sk": item["sk"]}
            found = dynamodb_client.get_item(TableName=dynamodb_table, Key=key, ConsistentRead=True)["Item"]
            assert plain(found) == plain(item)


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item with JSON as values, and without the time of its change and the keys of ids that are not there."""
    texts = {name: next(iter(value.values())) for name, value in item.items() if name != "updatedAt"}
    gone = {name[:-2] for name, text in texts.items() if name.endswith("pk") and text.endswith("id_")}
    kept = {name: text for name, text in texts.items() if text != "" and name[:-2] not in gone}
    return {name: json.loads(text) if text[:1] in {"{", "["} else text for name, text in kept.items()}


async def test_text_that_typescript_scored_is_text(store: Store, dynamodb_client: Any, dynamodb_table: str) -> None:
    """TypeScript keeps a text input as it is and not as JSON; ours comes back to it as it was, too."""
    (first, *_), table = list(await store.scores.list_scores_by_run_id("score-run-1")), dynamodb_table
    key = {"pk": {"S": f"$mastra#entity_score#id_{first.id}"}, "sk": {"S": "$score_1#entity_score"}}
    for text in ("just text", "", "{not json", "NaN"):
        dynamodb_client.update_item(
            TableName=table, Key=key, UpdateExpression="SET #i = :i", ExpressionAttributeNames={"#i": "input"},
            ExpressionAttributeValues={":i": {"S": text}},
        )  # fmt: skip
        found = await store.scores.get_score_by_id(first.id)
        assert found is not None
        assert found.input == text
        given = {field: getattr(found, field) for field in type(found).__annotations__ if field not in {"created_at", "updated_at"}}
        await store.scores.save_score({**given, "output": text})  # type: ignore[typeddict-item]  # the fields are a score's
        item = dynamodb_client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        assert (item["input"], item["output"]) == ({"S": text}, {"S": text})


async def test_a_missing_index_is_named_at_first_use_with_the_command_that_adds_it(
    dynamodb_client: Any, dynamodb_table: str, items: list[dict[str, Any]], said: Mapping[str, Any]
) -> None:
    """Build: "a missing index is found at first use and named in the error, with the command that adds it".

    The package's set-up guide makes gsi1 and gsi2 alone: what lies along them is listed; another list is refused, not read at the price
    of the whole table, and is there once the command that the error prints has been run.
    """
    name = f"{dynamodb_table}-two"
    document = json.loads(creation(name))
    document["GlobalSecondaryIndexes"] = document["GlobalSecondaryIndexes"][:2]
    document["AttributeDefinitions"] = document["AttributeDefinitions"][:6]
    dynamodb_client.create_table(**document)
    try:
        for item in items:
            dynamodb_client.put_item(TableName=name, Item=item)
        async with DynamoDBStore(table_name=name, client=dynamodb_client) as store:
            assert (await store.memory.list_threads(filter={"resource_id": "user-a"})).total == 2
            assert (await store.scores.list_scores_by_run_id("score-run-1")).total
            with pytest.raises(
                ConfigurationError, match=r"no index 'gsi4', along which score items are listed\. Add it: aws dynamodb"
            ) as caught:
                await store.scores.list_scores_by_entity_id("agent-1", entity_type="AGENT")
        (command,) = re.findall(r"--cli-input-json '(.*?)'", str(caught.value))
        dynamodb_client.update_table(**json.loads(command))
        await built(dynamodb_client, name)
        async with DynamoDBStore(table_name=name, client=dynamodb_client) as store:
            await store.scores.list_scores_by_entity_id("agent-1", entity_type="AGENT")
    finally:
        dynamodb_client.delete_table(TableName=name)


async def built(client: Any, name: str) -> None:
    """Wait until every index of the table can be used."""
    async with asyncio.timeout(30):
        while any(index["IndexStatus"] != "ACTIVE" for index in client.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"]):
            await asyncio.sleep(0.05)
