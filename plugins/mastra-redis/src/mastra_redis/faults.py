"""What redis-py's errors mean to a user: the error, the mend, and whether trying again is exact.

Knows the driver's exceptions and Redis' error texts; sends nothing.
"""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    ConnectionError,  # noqa: A004  # the driver's name
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004  # the driver's name
)

from mastra_core.errors import StorageUnavailableError, StoredDataError
from mastra_core.storage.records.engine import Fault


class WriteInterrupted(Exception):
    """The connection was lost after a write was sent, so nobody knows whether it was made."""


class NotConfirmed(Exception):
    """A write was made on the master, and too few replicas said in time that they have it."""


def diagnose(error: BaseException, *, tls: bool) -> Fault | None:
    """What an error of redis-py means; None for one that only a mistake of ours can cause.

    Args:
        error: as it was raised.
        tls: whether the connections are of TLS.
    """
    text = _text(error)
    if isinstance(error, WriteInterrupted):
        return _unavailable(
            f"the connection broke in the middle of a write, which may have been made or not ({text}). Read before writing again."
        )
    if isinstance(error, NotConfirmed):
        return _unavailable(
            f"a write was made, but only {text}, so it would be lost with the master. Read before writing again; "
            "see whether the replicas are up, or ask for fewer by wait_replicas."
        )
    if isinstance(error, AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return _unavailable("the server refused the user name or password; correct them in the URL")
    if isinstance(error, NoPermissionError):
        return _unavailable(f"the user lacks a permission ({text}); allow it the line of permissions in the README of mastra-redis")
    if isinstance(error, OutOfMemoryError) or "OOM command not allowed" in text:
        return _unavailable("the server is out of memory (maxmemory) and writes nothing; free some, or raise maxmemory")
    if isinstance(error, ReadOnlyError) or "READONLY" in text:
        return _unavailable("the server is a read-only replica; connect to the master", retry=True)
    if isinstance(error, ClusterDownError | BusyLoadingError | MaxConnectionsError) or text.startswith(
        ("LOADING", "CLUSTERDOWN", "TRYAGAIN")
    ):
        return _unavailable(f"the server is not ready ({text}); try again", retry=True)
    if isinstance(error, ConnectionError | TimeoutError | ClusterError):
        return _no_answer(text, tls=tls)
    if isinstance(error, ResponseError) and "WRONGTYPE" in text:
        message = f"Redis holds a value of another type at a key of ours ({text}). Rename or delete that key; nothing was written."
        return Fault(error=StoredDataError, message=message)
    return None


def _no_answer(text: str, *, tls: bool) -> Fault:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        mend = "connect by a name that it has" if "mismatch" in text else "name the file of its authority by ?ssl_ca_certs=… in the URL"
        return _unavailable(f"the server's certificate does not show that it is the right one ({text}); {mend}")
    if tls and any(words in text for words in ("Timeout connecting", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")):
        # A server that waits for a command takes the beginning of TLS for half of one. It would do so again.
        return _unavailable(
            f"no TLS connection was made ({text}); is the server running, and does it speak TLS at this port? If not: redis://"
        )
    if tls:
        hint = " Is its certificate of an authority that ?ssl_ca_certs=… names?"
    else:
        hint = " If it wants TLS, the URL begins with rediss://" if "closed by server" in text else ""
    return _unavailable(f"the server did not answer ({text}); is it running, and is the address right?{hint}", retry=True)


def _text(error: BaseException) -> str:
    """What happened; without the client's every setting, which redis-py tells of each Sentinel that did not answer."""
    text = str(error)
    return (
        f"{text.partition(' : ')[0]}; no Sentinel answered that knows it" if text.startswith("No master found") and " : " in text else text
    )


def _unavailable(message: str, *, retry: bool = False) -> Fault:
    return Fault(error=StorageUnavailableError, message=f"Redis: {message}", retry=retry)
