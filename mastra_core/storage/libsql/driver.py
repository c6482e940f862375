"""Which SQLite library this process uses, and how a connection is opened.

One library for a process: two libraries on one file drop each other's POSIX locks, and a commit that succeeded can vanish
(sqlite.org/howtocorrupt.html §2.2.1). pysqlite3 carries a current SQLite, which reads and writes the binary JSONB of the TypeScript
package; where it has no wheel, the standard library's is used with a decoder of our own.

Knows SQLite. Must not know records.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.storage.libsql.jsonb import jsonb_to_text

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ModuleNotFoundError:
        import sqlite3

Connection = sqlite3.Connection
Error = sqlite3.Error

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a connection waits for another process's lock, as the TypeScript package does (contract §1.9)."""

HAS_JSONB = sqlite3.sqlite_version_info >= (3, 45)
"""Whether the library knows binary JSONB."""

_OPTIONS = frozenset({"mode"})
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA mmap_size = 134217728",
    "PRAGMA foreign_keys = OFF",
)


@attrs.frozen
class Place:
    """Where a database is: a file, or this process's memory.

    Attributes:
        path: the file; None is memory.
        mode: SQLite's open mode: "rwc" creates, "rw" does not, "ro" never writes.
    """

    path: str | None
    mode: str = "rwc"

    @classmethod
    def of_url(cls, url: str) -> Place:
        """The place of `file:PATH`, `file:PATH?mode=ro` or `:memory:`.

        Raises:
            ConfigurationError: it is no such URL.
        """
        if url in {":memory:", "memory:", "file::memory:"}:
            return cls(None)
        if not url.startswith("file:"):
            mend = f"; for a file write 'file:{url}'" if "://" not in url else ""
            msg = f"LibSQLStore opens 'file:PATH' and ':memory:', found {url.partition('://')[0] + '://…' if '://' in url else url!r}{mend}"
            raise ConfigurationError(msg)
        shown, _, query = url.partition("?")
        path = shown.removeprefix("file:")
        options = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := set(options) - _OPTIONS:
            msg = f"{shown!r}: unknown option {min(unknown)!r}; the only one is mode (ro, rw or rwc)"
            raise ConfigurationError(msg)
        mode = options.get("mode", "rwc")
        if mode not in {"ro", "rw", "rwc"}:
            msg = f"{shown!r}: mode is 'ro', 'rw' or 'rwc', found {mode!r}"
            raise ConfigurationError(msg)
        path = unquote(path[2:] if path.startswith("///") else path)
        if not path:
            msg = f"{shown!r} names no file; write 'file:./mastra.db', or ':memory:' for a database that is not kept"
            raise ConfigurationError(msg)
        return cls(path, mode)


def connect_to_look(place: Place) -> Connection:
    """A connection that writes nothing, switches nothing, and leaves no file beside the database that was not there.

    A connection opened with mode=ro cannot remove the `-wal` and `-shm` that reading a WAL database makes; one that could write does.
    """
    if place.path is None:
        return connect(place)
    readable_only = Path(f"{place.path}-wal").exists() or not os.access(place.path, os.W_OK)
    connection = connect(attrs.evolve(place, mode="ro" if readable_only else "rw"), switch=False)
    connection.execute("PRAGMA query_only = ON").fetchall()
    return connection


def connect(place: Place, *, switch: bool = True) -> Connection:
    """A connection in autocommit mode with every PRAGMA set; usable from one thread at a time.

    Args:
        place: what to open.
        switch: whether a file that may be written is switched to WAL if it is not.

    Raises:
        sqlite3.Error: the file cannot be opened, or is no database.
    """
    target = ":memory:" if place.path is None else f"file:{quote(place.path)}?mode={place.mode}"
    connection = sqlite3.connect(
        target,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        uri=place.path is not None,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        if not HAS_JSONB:
            connection.create_function("mastra_json", 1, _json_text, deterministic=True)
        connection.create_function("mastra_merge", 2, _merged, deterministic=True)
        if switch and place.path is not None and place.mode != "ro":
            _use_wal(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: Connection) -> None:
    """Switch to WAL, which several processes may try at once; SQLite answers BUSY here without waiting for the lock."""
    give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.005)
        else:
            return


def error_code(error: BaseException) -> int:
    """SQLite's primary result code of an error; 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _json_text(held: Any) -> Any:
    """Stored JSON as text; what cannot be decoded stays bytes, so that reading it names the record."""
    return jsonb_to_text(held) if isinstance(held, bytes) else held


def _merged(stored: str | None, given: str) -> str:
    """The JSON object *given* laid over *stored*, one level deep; anything but an object counts as {}."""
    held = json.loads(stored) if stored is not None else {}  # noqa: TID251  # runs inside SQLite, on text that wire wrote or SQLite decoded
    laid = {**(held if isinstance(held, Mapping) else {}), **json.loads(given)}  # noqa: TID251
    return json.dumps(laid, ensure_ascii=False, separators=(",", ":"))  # noqa: TID251


def library() -> str:
    """The library's name and version, for `mastra check`."""
    return f"{sqlite3.__name__.partition('.')[0]} (SQLite {sqlite3.sqlite_version})"
