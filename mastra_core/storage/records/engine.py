"""The port: what a backend implements, and nothing else.

Reads and changes are data and travel in batches, so that an engine can turn each batch into the fewest round trips its database allows.
The guard in `records` has checked every read and change before an engine sees it. Knows no driver; knows no field of any record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import attrs

from mastra_core.errors import StorageError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.query import Get, Query, Read

PORT_VERSION = 1
"""Raised when an engine written for the port before would no longer work."""


@attrs.frozen
class Support:
    """How far a backend can do one thing of the port, and why not further."""

    level: Literal["FULL", "EMULATED", "NOT_YET", "IMPOSSIBLE"]
    reason: str = ""

    @property
    def works(self) -> bool:
        """Whether a call gives the documented result; otherwise it raises UnsupportedError."""
        return self.level in {"FULL", "EMULATED"}


FULL = Support("FULL")


def emulated(reason: str) -> Support:
    """It works, at a price or in a way that *reason* states."""
    return Support("EMULATED", reason)


def not_yet(reason: str) -> Support:
    """It could be done and is not; *reason* says what is missing."""
    return Support("NOT_YET", reason)


def impossible(reason: str) -> Support:
    """The database cannot do it; *reason* says why."""
    return Support("IMPOSSIBLE", reason)


CAPABILITIES: Mapping[str, str] = {
    "atomic": "a batch is written whole or not at all",
    "moves": "a Save or Patch may move a record to another place of its path in one step",
    "merge": "Patch merges JSON objects and loses no concurrent merge",
    "filters": "residual conditions on fields and inside JSON",
    "pages": "offset and cursor",
    "span": "a range on a path's order",
    "window": "a record with its neighbours",
    "count": "how many records a query would give",
    "open_paths": "lists over a path that has no partition, such as all threads",
    "own_lists": "a list shows a write right after it returned",
    "decide": "read, compute and apply, if nothing read has changed",
    "purge": "bounded deletes along a path",
    "scan": "every record of a kind, resumable",
}
"""What the kit asks about: every engine states its support of each.

Where lists along one path are supported less than others, an engine states that too, under the path's name: "mastra_messages.by_resource".
"""


def support_of(capabilities: Mapping[str, Support], name: str) -> Support:
    """The support of a capability, or of a path, which is FULL unless it is stated otherwise."""
    return capabilities.get(name, FULL) if "." in name else capabilities[name]


@attrs.frozen(kw_only=True)
class Fault:
    """What an error of the driver means to a user.

    Attributes:
        error: the class the user gets.
        message: what failed, what was found and the mend; no secret and no address with a password.
        retry: whether trying again is exact: nothing was written, or writing it twice is the same.
    """

    error: type[StorageError]
    message: str
    retry: bool = False


@attrs.frozen(kw_only=True)
class Inspection:
    """What was found by looking at a database without changing it.

    Attributes:
        server: product and version, and those of the library where they matter; no address.
        version: the newest schema version recorded there; None where nothing is recorded, or nothing has to be prepared.
        missing: the statements or documents, as in ddl(), that an operator would run to make it complete; () when it is.
        notes: what is in force here and is not everywhere, a sentence each.
        warnings: what may lose data or make it wait, a sentence each, with the mend.
        round_trip_seconds: how long one small question took, over the connection that was used.
    """

    server: str
    version: int | None = None
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    round_trip_seconds: float


@attrs.frozen(kw_only=True)
class PoolState:
    """How busy the connections of an engine are.

    Attributes:
        open: how many there are, in use, idle, or being made.
        idle: how many of them nobody uses.
        waiting: how many calls wait for one.
    """

    open: int
    idle: int
    waiting: int


class RecordEngine(Protocol):
    """One database behind the port.

    Where the database charges by request, `fetch`, `apply` and the others tell `watching.spent` what that took, by a name of the
    product's own unit; traces and metrics show it.

    Attributes:
        max_atomic: how many changes one atomic batch may hold; None is no limit. Known after open().
        capabilities: the support of every name in CAPABILITIES, and of paths that differ. Known after open().
        driver_errors: the exceptions that `diagnose` understands.
    """

    max_atomic: int | None
    capabilities: Mapping[str, Support]
    driver_errors: tuple[type[BaseException], ...]

    async def open(self) -> None:
        """Connect and prepare the database; called once, before anything else, and again if it failed.

        Safe when many processes open one fresh database at once: one of them prepares it. Only adds. On a prepared database at most one
        read. Where nothing may be added, a database that has what reads and writes need is opened all the same.

        Raises:
            ConfigurationError: a newer release has prepared the database, or it lacks what may not be added; the message has the mend.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted, then release what open() took; callable after a failed open()."""
        ...

    async def ping(self) -> None:
        """One round trip, to see that the database answers."""
        ...

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read, in order, in as few round trips as the database allows.

        Each answer is consistent in itself; the answers of one fetch may be instants apart.
        """
        ...

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write every change, and answer each with the record as it is now stored (for a Delete, as it was); None where none is owed.

        All of it or nothing when *atomic*; otherwise each change whole, in any order.

        A batch that writes along a path with an owner (a thread's messages) should change the owner too, as domains do: an engine whose
        lists lag may keep there what was written last.

        Raises:
            Refused: a condition did not hold; nothing of an atomic batch was written.
            ConflictError: other writers won at every try, or the database cannot tell two keys apart; nothing was written.
        """
        ...

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, let *change* compute a batch, and apply it atomically if no record read has changed or appeared meanwhile.

        *change* is pure and may be called several times, in any thread.

        Raises:
            ConflictError: other writers won at every one of a bounded number of tries.
            Refused: as apply.
        """
        ...

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete at most *limit* records of *query* and say how many went; repeatable, and 0 means that none is left.

        The owner of the path may be gone already; what was written last goes all the same.
        """
        ...

    def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Every record of *kind* at least once, in the engine's order, each with an opaque cursor that resumes behind it."""
        ...

    def ddl(self) -> Sequence[str]:
        """What a fresh database is made of, as an operator can run it: SQL statements with their semicolons, or JSON documents.

        The same at every call, and without a connection. () where nothing has to be made.
        """
        ...

    async def inspect(self) -> Inspection:
        """Look at the database and change nothing; also before open() and after close(), which it leaves as it found them.

        Raises:
            ConfigurationError: a newer release has prepared the database.
        """
        ...

    def pool(self) -> PoolState | None:
        """How busy the connections are; None where there is no pool of them, or the driver does not tell.

        Called at any time and in any thread, for metrics: it asks nobody, waits for nothing and raises nothing.
        """
        ...

    def diagnose(self, error: BaseException) -> Fault | None:
        """What one of driver_errors means; None leaves it as it is (a bug of ours, to be seen)."""
        ...
