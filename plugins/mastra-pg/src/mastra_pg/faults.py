"""What PostgreSQL's errors mean to a user: the error and the mend.

An error of a statement has an SQLSTATE (appendix A of PostgreSQL's manual). One of connecting has only a text: libpq's, and the server's
in the server's language.
"""

from __future__ import annotations

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from mastra_core.errors import StorageError, StorageUnavailableError
from mastra_core.storage.records.engine import Fault

_WHO = "the server refused the user or password; check them in the connection string"
_WHERE = "there is no such database; create it with CREATE DATABASE, or name another one in the connection string"
_CROWDED = (
    "the server takes no more connections; lower the store's max_connections, put a pooler before the server, or raise its max_connections"
)
_STARTING = "the server is starting or shutting down; try again in a moment"
_POOLER = "a pooler that gives every transaction another session stands before the server; set prepare_threshold=None"
_ROLE = "no server of the connection string is what its target_session_attrs asks for; name the primary, or wait until one is promoted"

_MENDS = {
    "08": "check that the server, and a pooler before it, run and can be reached",
    "25006": "the server takes no writes: it is a standby, or default_transaction_read_only is on, and nothing of this batch is stored. "
    "Connect to the primary, for which target_session_attrs=read-write and all hosts in the connection string find it; after a "
    "switchover try again, which asks anew who is primary",
    "26000": _POOLER,
    "28": _WHO,
    "3D": _WHERE,
    "42501": "the role may not do this; grant it the right, or let an operator make the tables",
    "42P05": _POOLER,
    "53100": "the disk of the server is full; free space there, then save again: nothing of this batch is stored",
    "53200": "the server is out of memory; lower the number of connections, or give it more",
    "53300": _CROWDED,
    "53": "the server is out of a resource; lower the number of connections, or give it more",
    "55P03": "somebody else held a lock for longer than lock_timeout; nothing of this batch is stored, try again",
    "57014": "it was cancelled, most often since it took longer than statement_timeout, and nothing of it is stored; raise that timeout "
    "for this role, or look why the server is slow",
    "57": _STARTING,
    "58": "the server cannot read or write its files; look into its log",
}
"""By SQLSTATE or its class, the longer ones first where both are here."""

_PLAIN = (
    "the server lets you in from here only over TLS, or not at all: say ssl='require' or, better, 'verify-full', or allow it in pg_hba.conf"
)
_AUTHORITY = (
    "name the file of the authority that signed the server's certificate by sslrootcert=… in the connection string, or PGSSLROOTCERT; "
    "sslrootcert=system is those that the operating system trusts"
)

_CONNECTING = (
    (("too many", "connection slots", "no more connections allowed"), _CROWDED),
    (("no encryption", "connection is insecure"), _PLAIN),
    (("password", "authentication", "pg_hba.conf", 'role "'), _WHO),
    (("does not support SSL",), "the server has no TLS; set it up there (ssl = on), or allow none: sslmode=prefer, or disable"),
    (("does not match host name",), "connect by a name that the certificate has; ssl='verify-ca' does not compare it"),
    (("certificate verify failed", "root certificate file"), _AUTHORITY),
    (("weak sslmode",), "say ssl='verify-full', or leave out sslrootcert=system"),
    (("certificate", "SSL error", "SSL SYSCALL"), "check sslmode, sslrootcert, sslcert and sslkey against what the server asks for"),
    (("starting up", "shutting down", "not yet accepting", "recovery mode"), _STARTING),
    (("read-only", "hot standby", "not in hot"), _ROLE),
    (('database "', "no such database"), _WHERE),
    (("resolve host", "translate host"), "check the host in the connection string, and the name server"),
)
"""Words of libpq, PgBouncer and an English server, and what they mean; the first that fits."""

_OTHERWISE = "check that the server runs and can be reached, and the host, port, user, password and database in the connection string"


def diagnose(error: BaseException) -> Fault | None:
    """The fault of an error of psycopg or its pool; None for what only a bug of ours can cause."""
    state, text = getattr(error, "sqlstate", None) or "", _text(error)
    for prefix, mend in _MENDS.items():
        if state.startswith(prefix):
            return _unavailable(f"{text}: {mend}")
    if isinstance(error, PoolTimeout):
        return _unavailable(f"{text}: raise the store's max_connections, or let fewer tasks use the store at once")
    if isinstance(error, PoolClosed):
        return _unavailable(f"{text}: the pool that was handed in was closed; close the store before its pool")
    if isinstance(error, psycopg.OperationalError) and not state:
        mend = next((mend for words, mend in _CONNECTING if any(word in text for word in words)), _OTHERWISE)
        return _unavailable(f"{text}: {mend}")
    return Fault(error=StorageError, message=f"PostgreSQL: {text} ({state})") if state else None


def starting(error: BaseException) -> bool:
    """Whether connecting failed because the server is not ready yet, or not any more."""
    return any(word in str(error) for words, mend in _CONNECTING if mend is _STARTING for word in words)


def _unavailable(message: str) -> Fault:
    return Fault(error=StorageUnavailableError, message=f"PostgreSQL: {message}")


def _text(error: BaseException) -> str:
    """What happened, in one line; of several hosts, what happened at each."""
    first, *rest = str(error).split("\n")
    attempts = [line.removeprefix("- ") for line in rest if line.startswith("- ")]
    return "; ".join(attempts) or first
