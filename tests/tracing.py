"""What SQLite really ran: every statement, and every hop into one of its threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mastra_core.storage.libsql import engine as engine_module
from mastra_core.storage.libsql import vectors as vectors_module
from mastra_core.storage.libsql.driver import Connection, Place, connect
from mastra_core.storage.libsql.workers import Workers


class Trace:
    """Statements and hops of the stores that are opened while it is installed.

    Attributes:
        statements: as SQLite's own trace tells them.
        hops: how often a thread was given work.
    """

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.hops = 0

    @classmethod
    def installed(cls, monkeypatch: pytest.MonkeyPatch) -> Trace:
        """A trace of every connection that is opened from here on."""
        trace, run = cls(), Workers.run

        async def counted(self: Workers, work: Callable[[Connection], Any]) -> Any:
            trace.hops += 1
            return await run(self, work)

        monkeypatch.setattr(engine_module, "connect", trace.connect)
        monkeypatch.setattr(vectors_module, "connect", trace.connect)
        monkeypatch.setattr(Workers, "run", counted)
        return trace

    def connect(self, place: Place) -> Connection:
        """A connection that reports here."""
        connection = connect(place)
        connection.set_trace_callback(self.statements.append)
        return connection

    def clear(self) -> None:
        """Count from here."""
        self.statements.clear()
        self.hops = 0

    def taken(self) -> tuple[int, list[str]]:
        """Hops and statements since the last clear, without those that set a connection up; and clear."""
        found = self.hops, [sql for sql in self.statements if not sql.startswith("PRAGMA")]
        self.clear()
        return found
