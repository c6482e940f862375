"""What readers and a journal of batches say to one another: where a batch can be seen, and that a reader waits for it.

Knows kinds and pipelines; must not know how a batch is written, nor what is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from mastra_core.storage.records.kind import Key, Kind, R
from mastra_mongodb.wire import Document

Pipeline = list[Document]


@attrs.frozen
class Branch:
    """A part of a command.

    Attributes:
        collection: where it begins.
        pipeline: what is done there.
        places: what of the database it shows, for a journal.
    """

    collection: str
    pipeline: Pipeline
    places: tuple[str, ...] = ()


class Journal(Protocol):
    """What readers wait for where the server has no transactions."""

    def pending(self, places: Sequence[str]) -> Branch:
        """The batches at *places* that were made and, within the last minute, done."""
        ...

    def is_unfinished(self, entry: Mapping[str, Any]) -> bool:
        """Whether one of them may have been seen in part."""
        ...

    async def settle(self, attempt: int) -> None:
        """Let them finish."""
        ...


def key_place(kind: Kind[Any], key: Key) -> str:
    """The name of a record's place."""
    return "\0".join([kind.name, *key])


def path_place(kind: Kind[Any], path: str, values: Sequence[str]) -> str:
    """The name of a list's place."""
    return "\0".join([f"{kind.name}.{path}", *values])


async def settled(journal: Journal, read: Callable[[], Awaitable[tuple[R, list[Document]]]]) -> R:
    """What *read* finds, read again until none of the batches that it tells of may have been seen in part."""
    attempt = 0
    while True:
        found, entries = await read()
        if not any(map(journal.is_unfinished, entries)):
            return found
        await journal.settle(attempt)
        attempt += 1
