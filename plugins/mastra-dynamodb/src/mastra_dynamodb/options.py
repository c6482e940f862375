"""What a DynamoDBStore is told, in either of its forms. Knows names and shapes; must not know boto3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypedDict

from mastra_core.errors import ConfigurationError
from mastra_core.storage.options import refuse_unknown

TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
ENDPOINT = re.compile(r"https?://[^\s/@]+(/[^\s@]*)?")
REGION = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
"""Of any text that is a name of a host: DynamoDB Local takes each."""

CREDENTIALS: Mapping[str, str] = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
}
"""By the seed's names in snake case: boto3's, which are taken too."""


class DynamoDBConfig(TypedDict, total=False):
    """The arguments of DynamoDBStore as one dictionary, as TypeScript takes them: `DynamoDBStore(config={…})`."""

    id: str
    table_name: str
    region: str | None
    endpoint: str | None
    credentials: Mapping[str, str] | None
    ttl: Mapping[str, Mapping[str, Any]] | None
    client: Any


def read_config(config: object, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a store: *given*, or those in *config*.

    Args:
        config: the dictionary, or None.
        given: arguments that were passed beside it, by name; None is one that was not.

    Raises:
        ConfigurationError: both were given, or *config* has an option that is not known.
    """
    passed = {name: value for name, value in given.items() if value is not None}
    if config is None:
        return passed
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"DynamoDBStore: config must be a dictionary, found {type(config).__name__}")
    refuse_unknown(config, known=list(DynamoDBConfig.__annotations__), at="DynamoDBStore: config")
    doubled = [name for name in passed if name != "id" or "id" in config]
    if doubled:
        raise ConfigurationError(
            f"DynamoDBStore takes config, or the same options as arguments; found both config and {', '.join(doubled)}"
        )
    return {**passed, **{name: value for name, value in config.items() if value is not None}}


def check_table_name(name: object) -> str:
    """*name*, if DynamoDB takes it.

    Raises:
        ConfigurationError: it is missing, or has other characters or another length.
    """
    if not name:
        raise ConfigurationError("DynamoDBStore needs a table_name; the table must exist, the store does not create it")
    if not isinstance(name, str) or not TABLE_NAME.fullmatch(name):
        raise ConfigurationError(f"DynamoDBStore: table_name has 3 to 255 letters, digits, '_', '.' and '-'; found {name!r}")
    return name


def check_endpoint(endpoint: object) -> str | None:
    """*endpoint*, if requests can go there; None is AWS.

    Raises:
        ConfigurationError: it is no URL of http or https.
    """
    if endpoint is None:
        return None
    if not isinstance(endpoint, str) or not ENDPOINT.fullmatch(endpoint):
        found = "one that holds credentials" if "@" in str(endpoint) else repr(endpoint)
        raise ConfigurationError(f"DynamoDBStore: endpoint is a URL such as 'http://localhost:8000'; found {found}")
    return endpoint


def check_region(region: object) -> str | None:
    """*region*, if a region can have that name; None is what the environment says.

    Raises:
        ConfigurationError: no region can.
    """
    if region is None or (isinstance(region, str) and REGION.fullmatch(region)):
        return region
    raise ConfigurationError(f"DynamoDBStore: region is a name such as 'eu-west-1'; found {region!r}")


def read_credentials(credentials: object) -> dict[str, str] | None:
    """Keyword arguments of boto3's client; None searches for credentials as boto3 does.

    Raises:
        ConfigurationError: a name is not known, or a key is not complete; no value is shown.
    """
    if credentials is None:
        return None
    if not isinstance(credentials, Mapping):
        raise ConfigurationError(f"DynamoDBStore: credentials must be a dictionary of {', '.join(CREDENTIALS)}")
    refuse_unknown(credentials, known=[*CREDENTIALS, *CREDENTIALS.values()], at="DynamoDBStore: credentials")
    found = {CREDENTIALS.get(name, name): value for name, value in credentials.items() if value is not None}
    for name, boto3_name in list(CREDENTIALS.items())[:2]:
        if not isinstance(found.get(boto3_name), str) or not found[boto3_name]:
            raise ConfigurationError(f"DynamoDBStore: credentials have no {name}; give both halves of the key, or no credentials at all")
    return found
