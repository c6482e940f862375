"""How the table is made: the parameters of CreateTable and UpdateTable, as JSON documents for an operator. Makes no request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mastra_core.storage.records.wire import dump_json
from mastra_dynamodb.keys import LAYOUTS, index_names

INDEXES = 7
"""The TypeScript package asks gsi1 to gsi7 (contract §3.7); an index in which no item lies costs nothing."""


NEEDED = "gsi1"
"""Without it there is no turn of an agent."""


def creation(table: str) -> str:
    """The parameters of CreateTable, for `aws dynamodb create-table --cli-input-json`."""
    names = [f"gsi{number}" for number in range(1, INDEXES + 1)]
    return _document(
        {
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": _attributes("", *names),
            "KeySchema": _keys(""),
            "GlobalSecondaryIndexes": [_index(name) for name in names],
        }
    )


def addition(table: str, name: str) -> str:
    """The parameters of UpdateTable that add an index, for `aws dynamodb update-table --cli-input-json`."""
    updates = [{"Create": _index(name)}]
    return _document({"TableName": table, "AttributeDefinitions": _attributes(name), "GlobalSecondaryIndexUpdates": updates})


def lacking(there: Collection[str]) -> dict[str, str]:
    """The indexes that records lie in and that are not *there*, each with the entity that is listed along it."""
    return {name: layout.entity for layout in LAYOUTS.values() for name in index_names(layout) if name not in there}


def missing_index(table: str, name: str) -> str:
    """What a user is told when a list needs an index that the table has not."""
    entities = " and ".join(sorted(layout.entity for layout in LAYOUTS.values() if name in index_names(layout)))
    return (
        f"DynamoDB table {table!r} has no index {name!r}, along which {entities} items are listed. Add it: "
        f"aws dynamodb update-table --cli-input-json '{addition(table, name)}'. Items that lie in it are there as soon as it is ACTIVE; "
        "one index can be added at a time, and the store must be opened anew"
    )


def _index(name: str) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _keys(name), "Projection": {"ProjectionType": "ALL"}}


def _keys(prefix: str) -> list[dict[str, str]]:
    return [{"AttributeName": f"{prefix}pk", "KeyType": "HASH"}, {"AttributeName": f"{prefix}sk", "KeyType": "RANGE"}]


def _attributes(*prefixes: str) -> list[dict[str, str]]:
    return [{"AttributeName": f"{prefix}{part}", "AttributeType": "S"} for prefix in prefixes for part in ("pk", "sk")]


def _document(parameters: dict[str, Any]) -> str:
    return dump_json(parameters, at="parameters")
