"""What SQLite's result codes mean to a user (sqlite.org/rescode.html): the error, the mend, and whether trying again is exact."""

from __future__ import annotations

from mastra_core.errors import StorageError, StorageUnavailableError, StoredDataError
from mastra_core.storage.libsql.driver import BUSY_TIMEOUT_SECONDS, error_code
from mastra_core.storage.records.engine import Fault

ERROR, BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB = 1, 5, 6, 8, 10, 11, 13, 14, 26

_UNAVAILABLE = {
    READONLY: "the database is read-only; make the file and its folder writable, or open it without mode=ro",
    IOERR: "the disk answered with an I/O error; check its health, its free space and that the file was not removed",
    FULL: "the disk is full; free some space. What was saved before is safe, and nothing of this write was kept",
    CANTOPEN: "the file cannot be opened; check that its folder exists and that you may read and write there",
    NOTADB: "the file is not an SQLite database; check the path, or move the file away to start a new one",
}


def is_unknown_name(error: BaseException) -> bool:
    """Whether a statement named a table or column that is not there."""
    return error_code(error) == ERROR and "no such" in str(error)


def diagnose(error: BaseException, *, path: str) -> Fault:
    """The fault of a SQLite error met at *path*."""
    code, text = error_code(error), f"{path}: {error}"
    if code in {BUSY, LOCKED}:
        msg = f"{text}: another process has kept the database locked for more than {BUSY_TIMEOUT_SECONDS:g} s; end its long transaction"
        return Fault(error=StorageUnavailableError, message=msg, retry=True)
    if code in _UNAVAILABLE:
        return Fault(error=StorageUnavailableError, message=f"{text}: {_UNAVAILABLE[code]}")
    if code == CORRUPT:
        msg = f"{text}: the file is damaged; restore a backup, or recover what is readable with `sqlite3 FILE .recover`"
        return Fault(error=StoredDataError, message=msg)
    if is_unknown_name(error):
        msg = f"{text}: a table or column was removed; `mastra check file:{path}` prints what is missing, and the statements that add it"
        return Fault(error=StorageUnavailableError, message=msg)
    return Fault(
        error=StorageError, message=f"{text}: SQLite refused the statement (code {code}); this is a bug of mastra-core, please report it"
    )
