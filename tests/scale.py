"""Long threads and full stores, loaded by the driver's bulk call, for tests of scale and benchmarks."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from mastra_core import clock
from mastra_core.storage.libsql.driver import Place, connect

START = clock.from_text("2024-01-01T00:00:00.000Z")
_SAID = {"format": 2, "parts": [{"type": "text", "text": "x" * 560, "createdAt": 1795225572058}], "content": "x" * 100}
CONTENT = json.dumps(_SAID)
MARK = {"mark": "here"}
"""Metadata of one message of a thread."""
_MARKED = json.dumps({**_SAID, "metadata": MARK})


def load_messages(path: Path, *, thread_id: str, count: int, resource_id: str = "u", marked: int | None = None) -> None:
    """Put *count* messages of 0.7 kB into a thread of a prepared file, three in a millisecond; the one numbered *marked* has MARK."""
    rows = (
        (
            f"{thread_id}-{index:07d}",
            thread_id,
            _MARKED if index == marked else CONTENT,
            "user",
            "v2",
            clock.to_text(START + timedelta(milliseconds=index // 3)),
            resource_id,
        )
        for index in range(count)
    )
    _load(path, "INSERT INTO mastra_messages VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def load_threads(path: Path, *, count: int) -> None:
    """Put *count* threads of 500 resources into a prepared file."""
    at = clock.to_text(START)
    rows = ((f"thread-{index:07d}", f"resource-{index % 500}", "", None, at, at) for index in range(count))
    _load(path, "INSERT INTO mastra_threads VALUES (?, ?, ?, ?, ?, ?)", rows)


def _load(path: Path, sql: str, rows: object) -> None:
    connection = connect(Place(str(path)))
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(sql, rows)  # type: ignore[arg-type]
    connection.execute("COMMIT")
    connection.close()
