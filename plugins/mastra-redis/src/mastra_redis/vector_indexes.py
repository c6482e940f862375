"""Makes, finds, marks and removes vector indexes. Must not know how vectors are searched, or the driver."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from mastra_core import clock
from mastra_core.storage.vectors.checks import check_no_twin, check_same_index
from mastra_core.storage.vectors.conditions import Path
from mastra_core.storage.vectors.engine import NoIndex
from mastra_core.storage.vectors.port import IndexDescription, Metric
from mastra_redis.committing import TRIES, conflict, pause
from mastra_redis.vector_connection import LARGEST_DIMENSION, PAGE, Connection, Row, Stale, rows_of
from mastra_redis.vector_keys import ASIDE, IDS, Index, VectorKeys, joined, paths
from mastra_redis.vector_rows import is_plain, metadata_of, vector_of
from mastra_redis.vector_scripts import LOOK, MAKE, NOTE, REMARK, REMOVE_INDEX, SIZES, SWEEP


class Indexes:
    """The vector indexes of one database.

    What is known of an index is kept; each script says when it has become another.

    Args:
        connection: the open connection.
        keys: where indexes lie.
    """

    def __init__(self, connection: Connection, *, keys: VectorKeys) -> None:
        self._connection = connection
        self._keys = keys
        self._known: dict[str, Index] = {}

    async def find(self, name: str) -> Index:
        """The index *name*, as it was when it was asked for last.

        Raises:
            NoIndex: there is none.
        """
        known = self._known.get(name)
        if known is None:
            stored = await self._connection.send("HGETALL", self._keys.meta(name))
            if not stored:
                raise NoIndex(name)
            known = self._known[name] = self._keys.index(name, _texts(stored))
        return known

    def forget(self, name: str) -> None:
        """Ask the server anew."""
        self._known.pop(name, None)

    async def names(self) -> list[str]:
        """The names of all indexes."""
        listed = [name.decode() for name in await self._connection.send("SMEMBERS", self._keys.registry)]
        # One that is being removed, or whose making was cut short, is listed and not there.
        there = await asyncio.gather(*(self._connection.send("EXISTS", self._keys.meta(name)) for name in listed))
        return [name for name, is_there in zip(listed, there, strict=True) if is_there]

    async def describe(self, index: Index) -> IndexDescription:
        """Dimension, metric and count.

        Raises:
            Stale: the index has become another.
        """
        (count,) = await self._connection.at(index, SIZES, [IDS])
        return IndexDescription(dimension=index.dimension, count=count, metric=index.metric)

    async def make(self, name: str, *, dimension: int, metric: Metric, fields: Sequence[Path]) -> None:
        """Have the index, with all its vectors marked by *fields*, and its search index where the server searches.

        Raises:
            InvalidInputError: it is there with another dimension or metric, or another differs by case alone.
        """
        self.forget(name)
        try:
            index = await self.find(name)
        except NoIndex:
            index = await self._made(name, dimension=dimension, metric=metric, fields=fields)
        check_same_index(name, dimension=dimension, metric=metric, held_dimension=index.dimension, held_metric=index.metric)
        # Another process may be between writing an index and listing it.
        await self._connection.send("SADD", self._keys.registry, name, writes=True)
        if self._connection.native and index.dimension <= LARGEST_DIMENSION:
            await self._connection.make_search_index(index)
        for attempt in range(TRIES):
            await pause(attempt)
            try:
                index = await self.find(name)
                await self._mark(index, fields)
                if self._connection.searches:
                    await self._resume(index)
            except Stale:
                self.forget(name)
            else:
                return
        raise conflict()

    async def remove(self, name: str) -> None:
        """Remove the index if it is there; its keys go some at a time."""
        self.forget(name)
        removed = await self._connection.script(REMOVE_INDEX, [self._keys.meta(name), self._keys.removed(name)], [], writes=True)
        await self._connection.send("SREM", self._keys.registry, name, writes=True)
        if await self._connection.send("EXISTS", self._keys.meta(name)):
            # Somebody has made the next of its name meanwhile.
            await self._connection.send("SADD", self._keys.registry, name, writes=True)
        await self._sweep(name, [generation.decode() for generation in removed])

    async def pages(self, index: Index, set_name: str, *, vectors: bool) -> AsyncGenerator[tuple[int, list[Row]], None]:
        """How many ids a sorted set of *index* names, and what is stored of them, some at a time, by id; without *vectors*, metadata alone.

        Raises:
            Stale: the index has become another.
        """
        after: str | bytes = ""
        while True:
            count, *flat = await self._connection.at(index, LOOK, [set_name, after, str(PAGE), "1" if vectors else ""])
            rows = rows_of(flat)
            # A vector that an eviction took is gone, though its id is still named.
            yield count, [row for row in rows if row[1] is not None]
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    async def settle(self, index: Index, aside: Sequence[tuple[str | bytes, bytes]]) -> None:
        """Enter what was put aside into the search index; nothing happens where the index is no more."""
        try:
            await self._connection.settle(index, aside)
        except Stale:
            self.forget(index.name)

    # ---------------------------------------------------------------------------------------------------------- making

    async def _resume(self, index: Index) -> None:
        """Enter into the search index what a process that died had put aside only."""
        async with aclosing(self.pages(index, ASIDE, vectors=True)) as pages:
            async for _, rows in pages:
                plain = [(row[0], row[2]) for row in rows if row[2] and is_plain(vector_of(row, index), index.metric)]
                await self._connection.settle(index, plain)

    async def _made(self, name: str, *, dimension: int, metric: Metric, fields: Sequence[Path]) -> Index:
        check_no_twin(name, known=await self.names())
        await self._sweep(name, [one.decode() for one in await self._connection.send("SMEMBERS", self._keys.removed(name))])
        await self._connection.send("SADD", self._keys.registry, name, writes=True)
        generation = clock.new_id().replace("-", "")[-10:]
        args = [str(dimension), metric, generation, joined(fields)]
        stored = await self._connection.script(MAKE, [self._keys.meta(name)], args, writes=True)
        return self._keys.index(name, _texts(stored))

    async def _mark(self, index: Index, wanted: Sequence[Path]) -> None:
        """Mark all vectors by what is missing of *wanted*, and by what a process that died had begun.

        Raises:
            Stale: the index has become another, or another process is marking it by other fields.
        """
        fields = joined(dict.fromkeys([*paths(index.fields), *wanted]))
        if fields == index.ready:
            return
        if fields != index.fields:
            await self._connection.at(index, NOTE, ["fields", fields], fields=index.fields, writes=True)
            self.forget(index.name)
            index = await self.find(index.name)
        async with aclosing(self.pages(index, IDS, vectors=False)) as pages:
            async for _, rows in pages:
                told: list[str | bytes] = []
                for row in rows:
                    told += [row[0], digest(row), index.marks(metadata_of(row, index))]
                if told:
                    await self._connection.at(index, REMARK, told, fields=index.fields, writes=True)
        await self._connection.at(index, NOTE, ["ready", index.fields], fields=index.fields, writes=True)
        self.forget(index.name)

    async def _sweep(self, name: str, generations: Sequence[str]) -> None:
        """Delete what is left of removed generations."""
        for generation in generations:
            root = self._keys.root(name, generation)
            await self._connection.drop_search_index(root)
            while await self._connection.script(SWEEP, [self._keys.removed(name)], [root, generation, str(PAGE)], writes=True):
                pass


def digest(row: Row) -> str:
    """The SHA-1 of a row's metadata, by which a script knows it again."""
    return hashlib.sha1(row[1] or b"", usedforsecurity=False).hexdigest()


def _texts(stored: object) -> dict[str, str]:
    """A hash as RESP2 and RESP3 give it."""
    assert isinstance(stored, list | dict)
    flat = [one for pair in stored.items() for one in pair] if isinstance(stored, dict) else stored
    return {name.decode(): value.decode("utf-8", "replace") for name, value in zip(flat[::2], flat[1::2], strict=True)}
