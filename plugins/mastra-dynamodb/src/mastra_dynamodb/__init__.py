"""DynamoDB storage for Mastra. Importing this imports no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mastra_dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBStore"]


def __getattr__(name: str) -> Any:
    """The store, imported when it is first asked for: the plugin is loaded to be described, without boto3."""
    if name == "DynamoDBStore":
        from mastra_dynamodb.store import DynamoDBStore

        return DynamoDBStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
