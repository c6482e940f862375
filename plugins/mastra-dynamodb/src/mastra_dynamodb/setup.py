"""Making a table, for local development and tests; in production an operator makes it. The store itself never does."""

from __future__ import annotations

from typing import Any

from mastra_core.errors import ConfigurationError, StorageUnavailableError
from mastra_core.storage.records.wire import decode_json
from mastra_dynamodb.engine import connect
from mastra_dynamodb.faults import DRIVER_ERRORS, fault_of
from mastra_dynamodb.options import check_endpoint, check_region, check_table_name
from mastra_dynamodb.table import creation

SECONDS = 300


def create_table(table: str, *, region: str | None = None, endpoint: str | None = None, ttl: str | None = None) -> None:
    """Make the table with all its indexes, paid by request, and wait until it can be used; credentials as boto3 finds them.

    Args:
        table: its name.
        region: the AWS region; None is what the environment says.
        endpoint: the URL of another service, such as DynamoDB Local.
        ttl: the attribute by which items expire; None turns time to live not on.

    Raises:
        ConfigurationError: the name, region or endpoint cannot be that, or the table exists.
        StorageUnavailableError: the service cannot be reached, or does not allow it.
    """
    parameters: Any = decode_json(creation(check_table_name(table)))
    try:
        client = connect(region=check_region(region), endpoint=check_endpoint(endpoint), credentials={})
        try:
            client.create_table(**parameters)
            client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": SECONDS})
            if ttl is not None:
                client.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": ttl})
        except client.exceptions.ResourceInUseException as error:
            msg = f"DynamoDB table {table!r} exists already; nothing was changed. See what it lacks: mastra check dynamodb://{table}"
            raise ConfigurationError(msg) from error
        finally:
            client.close()
    except DRIVER_ERRORS as error:
        fault = fault_of(error, table=table, region=region or "the region of the environment")
        raise (StorageUnavailableError(str(error)) if fault is None else fault.error(fault.message)) from error
