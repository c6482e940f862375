"""DynamoDBStore: builds the engine; must not make a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mastra_core.errors import ConfigurationError
from mastra_core.storage.store import Store
from mastra_dynamodb.consumption import Consumed
from mastra_dynamodb.engine import DynamoDBEngine
from mastra_dynamodb.options import DynamoDBConfig, check_endpoint, check_region, check_table_name, read_config, read_credentials
from mastra_dynamodb.ttl import read_ttl

OPTIONS = ("region", "endpoint")
FORM = "dynamodb://TABLE?region=eu-west-1, and &endpoint=http://localhost:8000 for DynamoDB Local"


class DynamoDBStore(Store):
    """A store in one DynamoDB table, which the TypeScript package `@mastra/dynamodb` reads and writes too.

    Args:
        id: its name in errors and logs; "dynamodb" if not given.
        table_name: the table; it must exist, with its indexes.
        region: the AWS region; None is what the environment says.
        endpoint: the URL of another service, such as DynamoDB Local.
        credentials: `access_key_id`, `secret_access_key` and perhaps `session_token`, also by boto3's names; None is boto3's own search.
        ttl: when records expire, by entity (`thread`, `message`, `resource`, `workflow_snapshot`, `score`, and `span`, also called
            `trace`): `{"enabled": True, "default_ttl_seconds": 2592000, "attribute_name": "ttl"}`. Every write renews the time. What has
            expired is not read any more, also while DynamoDB has not deleted it yet; the table deletes it if its time to live is on.
        client: a boto3 DynamoDB client to use instead, in place of region, endpoint and credentials; it is not closed.
        config: all of these in one dictionary, as TypeScript takes them; not beside the others.

    Raises:
        ConfigurationError: *table_name* is missing, an option is not known or cannot be that, or there are two ways to connect.
    """

    def __init__(
        self,
        *,
        id: str | None = None,
        table_name: str | None = None,
        region: str | None = None,
        endpoint: str | None = None,
        credentials: Mapping[str, str] | None = None,
        ttl: Mapping[str, Mapping[str, Any]] | None = None,
        client: Any = None,
        config: DynamoDBConfig | None = None,
    ) -> None:
        arguments = {"id": id, "table_name": table_name, "region": region, "endpoint": endpoint, "credentials": credentials, "ttl": ttl}
        found = read_config(config, {**arguments, "client": client})
        if "client" in found and {"region", "endpoint", "credentials"}.intersection(found):
            raise ConfigurationError("DynamoDBStore takes a client, or region, endpoint and credentials to make one; found both")
        engine = DynamoDBEngine(
            check_table_name(found.get("table_name")),
            region=check_region(found.get("region")),
            endpoint=check_endpoint(found.get("endpoint")),
            credentials=read_credentials(found.get("credentials")),
            client=found.get("client"),
            expiries=read_ttl(found.get("ttl")),
        )
        super().__init__(engine, id=found.get("id", "dynamodb"), product="dynamodb")
        self._consumed = engine.consumed

    def consumed(self) -> Mapping[str, Consumed]:
        """What the requests of this store took so far, as DynamoDB told with each answer.

        By operation as IAM and CloudWatch name it: "BatchGetItem", "Query", "TransactWriteItems" and so on, those alone that were sent. The
        figures of one call of the store are the difference between two answers, if nothing else runs in between.
        """
        return self._consumed()


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
