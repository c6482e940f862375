"""What an error of boto3 means to a user, each with its own mend. Must not know records or requests."""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from mastra_core.errors import InvalidInputError, StorageUnavailableError
from mastra_core.storage.records.engine import Fault

DRIVER_ERRORS: tuple[type[BaseException], ...] = (BotoCoreError, ClientError)

CONFLICT_CODE = "TransactionConflict"
REFUSAL_CODE = "ConditionalCheckFailed"
INVALID_CODE = "ValidationError"
THROTTLING_CODES = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
    }
)
_FAILING = frozenset({"InternalServerError", "ServiceUnavailable", "TransactionInProgressException"})
_CREDENTIALS = frozenset(
    {"UnrecognizedClientException", "InvalidSignatureException", "InvalidAccessKeyId", "MissingAuthenticationTokenException"}
)
_DENIED = re.compile(r"not authorized to perform: ([\w-]+:\w+) on resource: (\S+)")
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})


def code_of(error: BaseException) -> str:
    """The service's code of an error, or ""."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def reasons_of(error: BaseException) -> list[dict[str, Any]]:
    """Why each item of a cancelled transaction was not written, in order; empty for any other error."""
    if not isinstance(error, ClientError) or code_of(error) != "TransactionCanceledException":
        return []
    reasons = error.response.get("CancellationReasons", [])
    return [dict(reason) for reason in reasons]


def retries_of(error: BaseException) -> int:
    """How often the driver sent a request again before it gave up."""
    return int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) if isinstance(error, ClientError) else 0


def is_throttled(error: BaseException) -> bool:
    """Whether a request, or an item of its transaction, was refused since there were too many: it wrote nothing."""
    return not THROTTLING_CODES.isdisjoint({code_of(error), *(str(reason.get("Code")) for reason in reasons_of(error))})


def fault_of(error: BaseException, *, table: str, region: str) -> Fault | None:
    """The meaning of one of DRIVER_ERRORS; None for what only a mistake of ours can cause.

    Args:
        error: what boto3 raised.
        table: the table's name.
        region: the region, for messages.
    """
    where = f"DynamoDB table {table!r} in {region}"
    local = _local_fault(error, where)
    if local is not None or not isinstance(error, ClientError):
        return local or Fault(error=StorageUnavailableError, message=f"{where} did not answer: {_words(error)}.")
    code, operation = code_of(error), error.operation_name
    if is_throttled(error):
        mend = "raise the table's capacity, or switch it to on-demand"
        return Fault(error=StorageUnavailableError, message=f"{where} throttles {operation}; {mend}.", retry=True)
    if code in _FAILING:
        # boto3 has tried several times with one token; another time of a write would carry a new one, and could write twice.
        retry = operation not in {"TransactWriteItems", "DeleteItem"}
        return Fault(error=StorageUnavailableError, message=f"{where} failed at {operation} ({code}); try again.", retry=retry)
    if code == "ValidationException" and "size" in str(error):
        return Fault(error=InvalidInputError, message=f"{where} refused an item as too large: {_words(error)}. Save less in one record.")
    known = _mend(code, error=error, table=table)
    return None if known is None else Fault(error=StorageUnavailableError, message=f"{where}: {known}")


def _mend(code: str, *, error: ClientError, table: str) -> str | None:
    if code == "ResourceNotFoundException":
        return (
            "there is no such table. Correct table_name or region, or create it: "
            f"mastra ddl dynamodb://{table} > table.json && aws dynamodb create-table --cli-input-json file://table.json"
        )
    if code == "AccessDeniedException":
        return _permission(error, table=table)
    if code in _EXPIRED:
        return "the session token of the credentials has expired; get a new one, for example with `aws sso login`."
    if code in _CREDENTIALS:
        return f"the credentials were not accepted ({code}); check the access key, the secret and the region."
    return None


def _permission(error: ClientError, *, table: str) -> str:
    """What to allow: AWS names the action and the resource; of a transaction the action is that of an item in it."""
    operation = error.operation_name
    told = _DENIED.search(str(error))
    own = "dynamodb:UpdateItem, DeleteItem and ConditionCheckItem" if operation == "TransactWriteItems" else f"dynamodb:{operation}"
    action, resource = (told[1], told[2]) if told else (own, f"table/{table} and table/{table}/index/*")
    return (
        f"no permission for {operation}; allow {action} on {resource} in the IAM policy of these credentials. "
        f"All that a store needs is printed by: mastra dynamodb policy --table {table}"
    )


def _local_fault(error: BaseException, where: str) -> Fault | None:
    message = None
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        message = (
            "no complete AWS credentials were found; pass credentials=…, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a role."
        )
    elif isinstance(error, CredentialRetrievalError | ProfileNotFound | SSOError | TokenRetrievalError):
        message = f"the AWS credentials could not be read: {_words(error)}."
    elif isinstance(error, NoRegionError):
        message = "no AWS region is set; pass region=… or set AWS_REGION."
    elif isinstance(error, SSLError):
        message = f"no safe connection: {_words(error)}. Check whether the endpoint is http or https, and whose certificates are trusted."
    elif isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        # Nothing was sent.
        return Fault(
            error=StorageUnavailableError,
            message=f"{where} could not be reached: {_words(error)}. Check endpoint, region and network.",
            retry=True,
        )
    return None if message is None else Fault(error=StorageUnavailableError, message=f"{where}: {message}")


def _words(error: BaseException) -> str:
    return str(error).rstrip(".")
