"""What PostgreSQL's errors mean to a user (SQLSTATE, appendix A of its manual): the error, the mend, and whether trying again is exact."""

from __future__ import annotations

import psycopg
from psycopg_pool import PoolTimeout

from mastra_core.errors import StorageError, StorageUnavailableError
from mastra_core.storage.records.engine import Fault

_MENDS = {
    "28": "the server refused the user or password; check them in the connection string",
    "3D": "there is no such database; create it with CREATE DATABASE",
    "42501": "the role may not do this; grant it the right, or let an operator make the tables",
    "53": "the server is out of connections, memory or disk; lower the number of connections or give it more",
    "57": "the server is shutting down or starting; try again in a moment",
}


def diagnose(error: BaseException) -> Fault | None:
    """The fault of an error of psycopg or its pool; None for what only a bug of ours can cause."""
    state = getattr(error, "sqlstate", None) or ""
    text = str(error).partition("\n")[0]
    for prefix, mend in _MENDS.items():
        if state.startswith(prefix):
            return Fault(error=StorageUnavailableError, message=f"PostgreSQL: {text}: {mend}")
    if isinstance(error, PoolTimeout):
        return Fault(
            error=StorageUnavailableError, message=f"PostgreSQL: no connection within the time allowed ({text}): check that the server runs"
        )
    if isinstance(error, psycopg.OperationalError) and not state:
        return Fault(
            error=StorageUnavailableError,
            message=f"PostgreSQL: {text}: check that the server runs and can be reached; what was not confirmed may be lost",
        )
    return Fault(error=StorageError, message=f"PostgreSQL: {text} ({state})") if state else None
