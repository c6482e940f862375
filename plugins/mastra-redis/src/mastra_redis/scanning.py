"""Names of keys by SCAN: every record of a kind in the order of names, and entries for records that other programs wrote without ours.

Knows keys and values; the commands are made by the functions it is given.
"""

from __future__ import annotations

import heapq
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from mastra_core.storage.records.kind import Key, Kind
from mastra_core.storage.records.kinds import KINDS
from mastra_redis import wire
from mastra_redis.keys import Keyspace
from mastra_redis.reading import Found

COUNT = 1000
"""Slots of the server's table that one SCAN looks at."""
HELD = 100_000
"""Names held at once; more of them cost another pass over the database."""
READ = 500
"""Records read together."""

Scan = Callable[..., Awaitable[tuple[int, list[bytes]]]]
Texts = Callable[[Sequence[str]], Awaitable[list[bytes | None]]]
Adopt = Callable[[Kind[Any], Sequence[tuple[Key, Found]]], Awaitable[None]]
log = logging.getLogger(__name__)


class Scanner:
    """Looks through a whole database.

    Args:
        keys: where records lie.
        scan: one SCAN on a node, with these arguments; the next cursor and names.
        nodes: the nodes to look through.
        texts: the values of keys, None where there is none.
    """

    def __init__(self, *, keys: Keyspace, scan: Scan, nodes: Callable[[], Iterable[Any]], texts: Texts) -> None:
        self.keys = keys
        self._scan = scan
        self._nodes = nodes
        self._texts = texts

    async def names(self, head: str) -> AsyncIterator[str]:
        """The names of text keys that begin with *head*, in no order and some repeatedly; a key that stays is among them."""
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", head) + "*"
        for node in self._nodes():
            cursor = 0
            while True:
                cursor, found = await self._scan(node, cursor, "MATCH", pattern, "COUNT", COUNT, "TYPE", "string")
                for name in found:
                    yield name.decode()
                if cursor == 0:
                    break

    async def records(self, kind: Kind[Any], *, after: str | None = None) -> AsyncIterator[tuple[str, Key, Found]]:
        """Every record of *kind* with the name of its key, in the order of names; one of each key.

        Raises:
            StoredDataError: one cannot be decoded.
        """
        seen: set[Key] = set()
        trails = self.keys.layout(kind).trails
        while True:
            names, more = await self._next_names(self.keys.layout(kind).head, after)
            for start in range(0, len(names), READ):
                part = names[start : start + READ]
                for name, text in zip(part, await self._texts(part), strict=True):
                    if text is None:
                        continue
                    stored = wire.decoded(kind, name, text)
                    key = kind.key_of(stored.record)
                    if not trails or key not in seen:
                        seen.update([key] if trails else [])
                        yield name, key, Found(stored=stored, place=self._place(kind, name, stored.record))
            if not more:
                return
            after = names[-1]

    async def complete(self, adopt: Adopt) -> None:
        """Give every record that others wrote the entries by which ours find it; once a database, and harmless twice."""
        done = 0
        for kind in KINDS:
            part: list[tuple[Key, Found]] = []
            async for _, key, found in self.records(kind):
                part.append((key, found))
                if len(part) == READ:
                    await adopt(kind, part)
                    done, part = done + len(part), []
                    log.info("Redis: %d records of this database have their entries now, going on with %s", done, kind.name)
            if part:
                await adopt(kind, part)
                done += len(part)
        if done:
            log.info("Redis: all %d records of this database have their entries now", done)

    async def _next_names(self, head: str, after: str | None) -> tuple[list[str], bool]:
        """The first names behind *after*, each once, and whether there may be more."""
        held: list[str] = []
        cut = False
        async for name in self.names(head):
            if after is None or name > after:
                held.append(name)
            if len(held) >= 2 * HELD:
                held, cut = heapq.nsmallest(HELD, set(held)), True
        unique = heapq.nsmallest(HELD, set(held))
        return unique, cut or len(unique) == HELD

    def _place(self, kind: Kind[Any], name: str, record: Any) -> str:
        """The place in *name*: that of the record, unless the name has none."""
        place, layout = self.keys.place_of(kind, record), self.keys.layout(kind)
        return "" if layout.trails and not name.endswith(layout.neck + place) else place
