"""What mastra-dynamodb offers; importing this imports no driver."""

from __future__ import annotations

from mastra_core.plugins import CommandDescription, StoreDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The DynamoDB store."""
    return [StoreDescription(schemes=("dynamodb",), factory="mastra_dynamodb.store:open_dynamodb", summary="Amazon DynamoDB")]


@hookimpl
def mastra_commands() -> list[CommandDescription]:
    """`mastra dynamodb`."""
    return [CommandDescription(name="dynamodb", factory="mastra_dynamodb.cli:commands", summary="templates, permissions and a local table")]
