"""How vectors are searched in Redis: along a search index, or by looking at each that may meet the filter.

Must not know how indexes are made, or the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import partial

from mastra_core.errors import StorageUnavailableError, UnsupportedError
from mastra_core.storage.vectors.conditions import ALWAYS, Condition, met
from mastra_core.storage.vectors.engine import Search
from mastra_core.storage.vectors.floats import to_bytes
from mastra_core.storage.vectors.looking import LOOKED_AT, MOST, Look, Stored, TooMany
from mastra_core.storage.vectors.port import VectorMatch
from mastra_redis.vector_connection import LARGEST_DIMENSION, Connection, Progress, Row
from mastra_redis.vector_indexes import Indexes
from mastra_redis.vector_keys import ASIDE, IDS, MARKED, Clause, Index, clauses
from mastra_redis.vector_rows import is_plain, metadata_of, vector_of
from mastra_redis.vector_scripts import SIZES

SPARE = 16
"""How many more than top_k are asked for, so that equally near ones come in the order of their ids."""


class Searching:
    """Searches in the indexes of one database.

    Args:
        connection: the open connection.
        indexes: pages through what is stored.
        exact_limit: how many vectors a search may look at, one by one.
    """

    def __init__(self, connection: Connection, *, indexes: Indexes, exact_limit: int) -> None:
        self._connection = connection
        self._indexes = indexes
        self._exact_limit = exact_limit

    async def nearest(self, index: Index, search: Search) -> list[VectorMatch]:
        """The nearest vectors of *index* that meet the condition.

        Raises:
            UnsupportedError: too many vectors would have to be looked at.
            StorageUnavailableError: the same, because the search index is still being built.
            Stale: the index has become another.
        """
        told = clauses(search.condition, index.ready)
        if self._connection.native and is_plain(search.vector, index.metric) and search.top_k <= MOST:
            return await self._along_index(index, search, told)
        try:
            return await self._by_looking(index, search, told)
        except TooMany:
            raise self._too_many(index) from None

    async def matching(self, index: Index, condition: Condition) -> list[Row]:
        """Every vector whose metadata meets *condition*, without the vector."""
        kept = []
        async for _, rows in self._candidates(index, clauses(condition, index.ready), vectors=False):
            kept += [row for row in rows if condition == ALWAYS or met(condition, metadata_of(row, index))]
        return kept

    # ------------------------------------------------------------------------------------------------------ by looking

    async def _by_looking(self, index: Index, search: Search, told: Sequence[Clause]) -> list[VectorMatch]:
        """Exactly the nearest.

        Raises:
            TooMany: marks leave more vectors than may be looked at.
        """
        look = Look(search, metric=index.metric)
        async with aclosing(self._candidates(index, told, vectors=True, at_most=self._exact_limit)) as pages:
            async for _, rows in pages:
                # A page takes milliseconds to look at, in which the event loop has other things to do.
                await asyncio.to_thread(look.at, _stored(rows, index))
        return look.best()

    async def _candidates(
        self, index: Index, told: Sequence[Clause], *, vectors: bool, at_most: int | None = None
    ) -> AsyncGenerator[tuple[int, list[Row]], None]:
        """What has a mark of each clause, and more, each once: how many there are in the set looked through, and some of them."""
        seen = set[bytes]()
        left = at_most
        sets = await self._fewest(index, told)
        for name in sets:
            first = True
            async with aclosing(self._indexes.pages(index, name, vectors=vectors)) as pages:
                async for count, rows in pages:
                    if left is not None and first:
                        left, first = left - count, False
                        if left < 0:
                            raise TooMany
                    yield count, [row for row in rows if row[0] not in seen]
                    if len(sets) > 1:
                        seen.update(row[0] for row in rows)

    async def _fewest(self, index: Index, told: Sequence[Clause]) -> list[str]:
        """The sorted sets that name the fewest vectors and all that meet the clauses."""
        if not told:
            return [IDS]
        each = [[MARKED + mark for mark in sorted(clause)] for clause in told]
        if len(each) == 1:
            return each[0]
        sizes = iter(await self._connection.at(index, SIZES, [name for names in each for name in names]))
        sized = [(sum(next(sizes) for _ in names), names) for names in each]
        return min(sized)[1]

    # ----------------------------------------------------------------------------------------------------- along index

    async def _along_index(self, index: Index, search: Search, told: Sequence[Clause]) -> list[VectorMatch]:
        """The nearest along the search index; by looking where it gives too few or cannot be asked."""
        limit = min(MOST, (1 if search.condition == ALWAYS else LOOKED_AT) * search.top_k + SPARE)
        progress, full, best = await self._asked(index, search, told, limit)
        if len(best) == search.top_k:
            return best
        try:
            return await self._by_looking(index, search, told)
        except TooMany:
            if progress is None or not progress.built:
                raise self._not_built(index, progress) from None
        if full and limit < MOST:
            _, full, best = await self._asked(index, search, told, MOST)
        if full and len(best) < search.top_k:
            raise self._too_many(index)
        return best

    async def _asked(
        self, index: Index, search: Search, told: Sequence[Clause], limit: int
    ) -> tuple[Progress | None, bool, list[VectorMatch]]:
        """How far the search index is built; whether it gave *limit* vectors; the best of them and of those that it cannot hold.

        Raises:
            Stale: the index has become another.
        """
        vector = to_bytes(search.vector)
        along = await self._connection.search(index, vector, clauses=told, limit=limit)
        if along is None:
            along = await self._connection.step_by_step(index, vector, clauses=told, limit=limit, aside=lambda: self._aside(index))
        found, progress = along.found, along.progress
        # The search index of a server that has just started is built anew.
        if found is None or progress is None or not progress.built:
            return progress, False, []
        look = Look(search, metric=index.metric)
        # One that was written in between is in both; what is missing in part was removed in between.
        once = {row[0]: row for row in (*found, *along.aside) if row[1] is not None and row[2] is not None}
        await asyncio.to_thread(look.at, _stored(once.values(), index))
        return progress, len(found) >= limit, look.best()

    async def _aside(self, index: Index) -> list[Row]:
        """The vectors that the search index cannot hold."""
        kept: list[Row] = []
        async with aclosing(self._indexes.pages(index, ASIDE, vectors=True)) as pages:
            async for count, rows in pages:
                if count > self._exact_limit:
                    raise UnsupportedError(
                        f"the index {index.name!r} has {count:,} vectors without a direction (zeros), which no search index can hold, and "
                        f"{self._exact_limit:,} may be looked at: remove them, or raise RedisVector(exact_search_limit=…)"
                    )
                kept += rows
        return kept

    def _too_many(self, index: Index) -> UnsupportedError:
        if self._connection.native and index.dimension <= LARGEST_DIMENSION:
            return UnsupportedError(
                f"the index {index.name!r}: the search index cannot decide this, and the filter leaves more than {self._exact_limit:,} "
                "vectors to look at: name its fields in create_index(metadata_indexes=[…]), ask for fewer, or raise "
                "RedisVector(exact_search_limit=…)"
            )
        return UnsupportedError(
            f"the index {index.name!r}: without a search index every vector that the filter leaves is looked at, and these are more than "
            f"{self._exact_limit:,}. Use one node of Redis 8 or with the search module (database 0), name the filter's fields in "
            "create_index(metadata_indexes=[…]), or raise RedisVector(exact_search_limit=…)"
        )

    def _not_built(self, index: Index, progress: Progress | None) -> StorageUnavailableError:
        if progress is None:
            again = f"create_index({index.name!r}, dimension={index.dimension}, metric={index.metric!r})"
            why = f"there is no search index of {index.name!r}, which was made where the server had none: call {again}"
        else:
            why = f"the search index of {index.name!r} is still being built ({progress.percent:.0f} %): wait"
        return StorageUnavailableError(
            f"Redis: {why}. Until then every vector that the filter leaves is looked at, and these are more than {self._exact_limit:,}"
        )


def _stored(rows: Iterable[Row], index: Index) -> Iterator[Stored]:
    """Rows as they are looked at."""
    return ((row[0].decode(), vector_of(row, index), partial(metadata_of, row, index)) for row in rows)
