"""Removing every record of a kind, on any backend. Knows the port; must not know any kind or engine."""

from __future__ import annotations

from typing import Any

from mastra_core.storage.records.changes import Delete
from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.records import Records

BATCH = 1000
"""Records read, deleted or written at once by work of any length, on a store without a limit of its own."""


async def clear(records: Records, kind: Kind[Any]) -> None:
    """Remove every record of *kind* that is there when this begins."""
    keys: list[Key] = []
    async for _, record in records.scan(kind):
        keys.append(kind.key_of(record))
    for start in range(0, len(keys), BATCH):
        await records.apply(*(Delete(kind, key, answer=False) for key in keys[start : start + BATCH]), atomic=False)
