"""What the errors of a remote libSQL server mean to a user: the error, the mend, and whether trying again is exact."""

from __future__ import annotations

from mastra_core.errors import StorageError, StorageUnavailableError, StoredDataError
from mastra_core.storage.libsql.hrana import TOO_LARGE, HranaError
from mastra_core.storage.records.engine import Fault

_STATUSES = {
    400: "the server did not understand the request; check that it is a libSQL server (sqld or Turso) of 2024 or newer",
    401: "the server refused the auth token; give a valid one as auth_token=…, such as `turso db tokens create DATABASE` prints",
    403: "the auth token may not do this; give one with the right to read and write as auth_token=…",
    404: "there is no libSQL database at this address; check the URL, and that the database was created",
    408: "the server waited too long for the request; try again",
    413: "the request is longer than the server takes; save fewer or shorter messages at once, or use chunked=True",
    429: "the server is asked too often; lower the number of concurrent calls or raise its limit",
}
_REDIRECTED = "the server names another address, and tokens are not sent on; give that address as the URL (is it https?)"
_BROKEN = "the server, or a proxy before it, failed; check its log. What was not confirmed may or may not have been stored"
_BUSY = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_SNAPSHOT"})
_PASSING = frozenset({408, 429})
_UNAVAILABLE = {
    "SQLITE_READONLY": "the database is read-only there; use the primary's address, or a token with the right to write",
    "SQLITE_AUTH": "the auth token does not allow this statement; give one with the right to read and write",
    "SQLITE_IOERR": "the server's disk answered with an I/O error; check its health and free space",
    "SQLITE_FULL": "the server's disk, or the database's quota, is full. What was saved before is safe, and nothing of this write was kept",
    "SQLITE_CANTOPEN": "the server cannot open the database; check its log",
    "SQLITE_NOTADB": "what the server opens is no database; check its data folder",
    "BLOCKED": "the server blocks this operation, as over a quota; look at the database's plan or limits",
    TOO_LARGE: "the answer is longer than the server gives at once; read fewer rows at once",
}


def diagnose(error: BaseException, *, url: str) -> Fault | None:
    """The fault of an error met at *url*; None for what is no error of the server."""
    if not isinstance(error, HranaError):
        return None
    text = f"libSQL at {url}: {error}"
    if error.status == 0:
        kept = "nothing was written" if error.without_effect else "what was not confirmed may or may not have been stored"
        message = f"{text}: check that the server runs and can be reached; {kept}"
        return Fault(error=StorageUnavailableError, message=message, retry=error.without_effect)
    if error.status != 200:
        return _of_status(error, f"{text} (HTTP {error.status})")
    return _of_code(error, text)


def _of_status(error: HranaError, text: str) -> Fault:
    """The fault of an answer that is no batch's."""
    if error.status in _STATUSES:
        return Fault(error=StorageUnavailableError, message=f"{text}: {_STATUSES[error.status]}", retry=error.status in _PASSING)
    if 300 <= error.status < 400:
        return Fault(error=StorageUnavailableError, message=f"{text}: {_REDIRECTED}")
    return Fault(error=StorageUnavailableError, message=f"{text}: {_BROKEN}", retry=error.without_effect and error.status >= 500)


def _of_code(error: HranaError, text: str) -> Fault:
    """The fault of a statement or a batch."""
    if error.code in _BUSY:
        message = f"{text}: other writers kept the database locked; end long transactions, or try again"
        return Fault(error=StorageUnavailableError, message=message, retry=True)
    for code, mend in _UNAVAILABLE.items():
        if error.code.startswith(code):
            return Fault(error=StorageUnavailableError, message=f"{text}: {mend}")
    if error.code.startswith("SQLITE_CORRUPT"):
        return Fault(error=StoredDataError, message=f"{text}: the database is damaged; restore a backup on the server")
    if is_unknown_name(error):
        mend = "a table or column was removed while the store was open; open the store again, which adds what is missing"
        return Fault(error=StorageUnavailableError, message=f"{text}: {mend}")
    code = error.code or "no code"
    message = f"{text}: the server refused the statement ({code}); this is a bug of mastra-core or of the server, please report it"
    return Fault(error=StorageError, message=message)


def is_unknown_name(error: HranaError) -> bool:
    """Whether there is no such table or column."""
    return "no such table" in str(error) or "no such column" in str(error)


def is_there_already(error: HranaError) -> bool:
    """Whether another process added the same thing."""
    return "already exists" in str(error) or "duplicate column" in str(error)


def is_forbidden(error: HranaError) -> bool:
    """Whether nothing may be written with this token, or at this server."""
    return error.status == 403 or error.code.startswith(("SQLITE_READONLY", "SQLITE_AUTH"))
