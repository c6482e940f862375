"""What an error of pymongo means to a user, each with its own mend; and which errors only say that somebody else was quicker.

Must not know records or commands. No message of the driver is repeated where it may hold an address or a document.
"""

from __future__ import annotations

from typing import Any

from bson.errors import BSONError
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ClientBulkWriteException,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from mastra_core.errors import InvalidInputError, StorageError, StorageUnavailableError, StoredDataError
from mastra_core.storage.records.engine import Fault

DRIVER_ERRORS: tuple[type[BaseException], ...] = (PyMongoError, BSONError)

DUPLICATE = frozenset({11000, 11001})
_BUSY = frozenset({24, 112, 246, 251})
"""LockTimeout, WriteConflict, SnapshotUnavailable, NoSuchTransaction."""
_TOO_LARGE = frozenset({10334, 17280, 17419, 17420})
_MENDS = {
    13: "the user may not do this, or the uri names none; name one, or grant it the role readWrite on the database",
    18: "the server refused the user or password; check them, and authSource, in the uri",
    11: "the server refused the user or password; check them, and authSource, in the uri",
    14031: "the server is out of disk; give it more",
    20: "this server has no transactions; pass transactions=False, or make it a replica set",
    263: "this server has no transactions here; pass transactions=False, or make it a replica set",
}


def codes_of(error: BaseException) -> frozenset[int]:
    """The server's codes for an error, also for the single writes of a batch."""
    found: set[Any] = set()
    if isinstance(error, OperationFailure):
        found.add(error.code)
    if isinstance(error, ClientBulkWriteException):
        failed: Any = error.write_errors
        found |= {one.get("code") for one in failed or ()}
        if error.error is not None:
            found |= codes_of(error.error)
    elif isinstance(error, BulkWriteError):
        written: Any = error.details
        found |= {one.get("code") for one in written.get("writeErrors", ())}
    return frozenset(code for code in found if isinstance(code, int))


def is_duplicate(error: PyMongoError) -> bool:
    """Whether a record of the same key is there already."""
    return isinstance(error, DuplicateKeyError) or bool(codes_of(error) & DUPLICATE)


def is_busy(error: PyMongoError) -> bool:
    """Whether another writer was in the way, so that nothing was written and trying again is exact."""
    return bool(codes_of(error) & _BUSY) or (labelled(error, "TransientTransactionError") and not is_lost(error))


def is_lost(error: PyMongoError) -> bool:
    """Whether the connection is what failed."""
    inner = getattr(error, "error", None)
    return isinstance(error, ConnectionFailure) or isinstance(inner, ConnectionFailure)


def labelled(error: PyMongoError, label: str) -> bool:
    """Whether the driver or the server put *label* on an error, or on what caused it."""
    inner = getattr(error, "error", None)
    return error.has_error_label(label) or (isinstance(inner, PyMongoError) and inner.has_error_label(label))


def fault_of(error: BaseException, *, database: str) -> Fault | None:
    """The meaning of one of DRIVER_ERRORS; None for what only a mistake of ours can cause.

    Args:
        error: what pymongo raised.
        database: the database's name, for messages.
    """
    where = f"MongoDB database {database!r}"
    if isinstance(error, BSONError):
        return Fault(error=StoredDataError, message=f"{where}: a document cannot be read ({error}); mend or delete it in the database")
    if isinstance(error, DocumentTooLarge) or codes_of(error) & _TOO_LARGE:
        return Fault(
            error=InvalidInputError,
            message=f"{where}: a record would be over 16 MiB with what is stored of it; save less in it, or keep large values elsewhere",
        )
    if isinstance(error, ServerSelectionTimeoutError):
        # Nothing was sent.
        found = f"no server that takes writes answered within the time allowed ({_said(error)})"
        mend = (
            "Name the file of its authority by tlsCAFile, and the host as its certificate does."
            if "CERTIFICATE_VERIFY_FAILED" in found
            else "Check that it runs, the host and port in the uri, tls=true if it wants TLS and none if not, and the network; "
            "serverSelectionTimeoutMS sets the time."
        )
        return Fault(error=StorageUnavailableError, message=f"{where}: {found}. {mend}")
    if isinstance(error, ConfigurationError | InvalidURI):
        return Fault(error=StorageUnavailableError, message=f"{where}: the uri or an option cannot be used ({type(error).__name__})")
    if isinstance(error, PyMongoError) and is_lost(error):
        # A read and a single write were tried twice by the driver; of a transaction nothing is written before it is committed.
        return Fault(
            error=StorageUnavailableError,
            message=f"{where}: the connection was lost ({_said(error)}); what was not confirmed may not be stored. Try again.",
            retry=isinstance(error, AutoReconnect) and labelled(error, "TransientTransactionError"),
        )
    return _of_codes(error, where)


def _of_codes(error: BaseException, where: str) -> Fault | None:
    codes = codes_of(error)
    for code, mend in _MENDS.items():
        if code in codes:
            return Fault(error=StorageUnavailableError, message=f"{where}: {mend} (code {code})")
    if not codes:
        return None
    name = (error.details or {}).get("codeName") if isinstance(error, OperationFailure) else None
    shown = ", ".join(map(str, sorted(codes)))
    return Fault(error=StorageError, message=f"{where}: the server refused a command (code {shown}{f', {name}' if name else ''})")


def _said(error: BaseException) -> str:
    """The class and, without addresses and topology, the words of an error of the network."""
    inner = getattr(error, "error", None) or error
    return f"{type(inner).__name__}: {str(inner).partition(',')[0].partition(' (configured')[0]}"[:160]
