"""What mastra-dynamodb offers; importing this imports no driver."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The DynamoDB store."""
    return [
        StoreDescription(schemes=("dynamodb",), factory="mastra_dynamodb.store:open_dynamodb", summary="Amazon DynamoDB (not yet released)")
    ]
