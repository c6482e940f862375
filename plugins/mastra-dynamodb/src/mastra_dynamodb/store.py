"""DynamoDBStore: builds the engine; must not make a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mastra_core.errors import ConfigurationError
from mastra_core.storage.store import Store
from mastra_dynamodb.engine import DynamoDBEngine

OPTIONS = ("region", "endpoint")
FORM = "dynamodb://TABLE?region=eu-west-1, and &endpoint=http://localhost:8000 for DynamoDB Local"


class DynamoDBStore(Store):
    """A store in one DynamoDB table, which the TypeScript package `@mastra/dynamodb` reads and writes too. Not yet released.

    Args:
        id: its name in errors and logs.
        table_name: the table; it must exist, with its indexes.
        region: the AWS region; None is what the environment says.
        endpoint: the URL of another service, such as DynamoDB Local.
        credentials: boto3's `aws_access_key_id`, `aws_secret_access_key`, `aws_session_token`; None is boto3's own search.
        client: a boto3 DynamoDB client to use instead, in place of region, endpoint and credentials; it is not closed.

    Raises:
        ConfigurationError: *table_name* is missing, or there are two ways to connect.
    """

    def __init__(
        self,
        *,
        id: str = "dynamodb",
        table_name: str = "",
        region: str | None = None,
        endpoint: str | None = None,
        credentials: Mapping[str, str] | None = None,
        client: Any = None,
    ) -> None:
        if not table_name:
            raise ConfigurationError("DynamoDBStore needs a table_name; the table must exist, the store does not create it")
        if client is not None and (region, endpoint, credentials) != (None, None, None):
            raise ConfigurationError("DynamoDBStore takes a client, or region, endpoint and credentials to make one; found both")
        engine = DynamoDBEngine(table_name, region=region, endpoint=endpoint, credentials=credentials, client=client)
        super().__init__(engine, id=id, product="dynamodb")


def open_dynamodb(url: str) -> DynamoDBStore:
    """The store of a `dynamodb://` URL; what the plugin's description names.

    Raises:
        ConfigurationError: the URL has no table, or an option that is not known.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown or "@" in parts.netloc or parts.path.strip("/"):
        what = f"the options {unknown}" if unknown else "credentials" if "@" in parts.netloc else f"the path {parts.path!r}"
        raise ConfigurationError(f"a dynamodb:// URL cannot hold {what}; its form is {FORM}. Credentials come from the environment.")
    return DynamoDBStore(table_name=parts.netloc, region=options.get("region"), endpoint=options.get("endpoint"))
