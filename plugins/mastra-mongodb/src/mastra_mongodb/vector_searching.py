"""How vectors are searched in MongoDB: along a search index, or by looking at each that may meet the filter.

Atlas's own scores, which map a cosine to 0..1, are not used. Must not know how indexes are made, or the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from mastra_core.errors import UnsupportedError
from mastra_core.storage.vectors.conditions import ALWAYS, Condition, met
from mastra_core.storage.vectors.engine import Search
from mastra_core.storage.vectors.looking import LOOKED_AT, MOST, Look, Stored, TooMany
from mastra_core.storage.vectors.port import VectorMatch
from mastra_mongodb.vector_connection import Connection, SearchRefused, Session
from mastra_mongodb.vector_documents import SENTINEL, Document, Shape, metadata_of
from mastra_mongodb.vector_filters import Mql, pushed, searched
from mastra_mongodb.vector_indexes import Indexes
from mastra_mongodb.vector_registry import Index, SearchIndex

PAGE = 500
"""Documents that are looked at together."""

CANDIDATES_EACH = 20
"""How many candidates along the search index for each match, as MongoDB and the TypeScript package have it."""


class Searching:
    """Searches in the indexes of one database.

    Args:
        connection: the open connection.
        indexes: says what a search index can be told.
        shape: where a document has its vector.
        exact_limit: how many vectors a search may look at, one by one.
    """

    def __init__(self, connection: Connection, *, indexes: Indexes, shape: Shape, exact_limit: int) -> None:
        self._connection = connection
        self._indexes = indexes
        self._shape = shape
        self._exact_limit = exact_limit

    async def nearest(self, index: Index, search: Search) -> list[VectorMatch]:
        """The nearest vectors of *index* that meet the condition.

        Raises:
            UnsupportedError: too many vectors would have to be looked at.
            StorageUnavailableError: the search index is missing or still being built.
        """
        # A vector of zeros has no direction: search indexes refuse it, and every cosine with it is 0.
        directed = index.metric != "cosine" or any(search.vector)
        if self._connection.server.search and directed and search.top_k <= MOST:
            return await self._along_index(index, search)
        try:
            return await self._by_looking(index, search)
        except TooMany:
            raise self._too_many(index) from None

    async def matching(self, index: Index, condition: Condition, session: Session) -> AsyncGenerator[list[Any], None]:
        """The `_id` of every document whose metadata meets *condition*, some at a time."""
        wanted = {} if condition == ALWAYS else {"metadata": 1}
        async with aclosing(self._pages(index, pushed(condition), {"_id": 1, **wanted}, session)) as pages:
            async for page in pages:
                yield [one["_id"] for one in page if condition == ALWAYS or met(condition, metadata_of(one, index=index.name))]

    # ------------------------------------------------------------------------------------------------------ by looking

    async def _by_looking(self, index: Index, search: Search) -> list[VectorMatch]:
        """Exactly the nearest.

        Raises:
            TooMany: the filter leaves more vectors than may be looked at.
        """
        look = Look(search, metric=index.metric)
        count = 0
        fields = {self._shape.path: 1, "metadata": 1}
        async with (
            self._connection.reading(index.collection) as session,
            aclosing(self._pages(index, pushed(search.condition), fields, session)) as pages,
        ):
            async for page in pages:
                count += len(page)
                if count > self._exact_limit:
                    raise TooMany
                # A page takes milliseconds to look at, in which the event loop has other things to do.
                await asyncio.to_thread(look.at, _stored(page, index, self._shape))
        return look.best()

    async def _pages(
        self, index: Index, query: Mql, fields: Mapping[str, Any], session: Session
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        documents = self._connection.collection(index.collection)
        async with documents.find(query, fields, session=session, batch_size=PAGE) as cursor:
            while page := await cursor.to_list(PAGE):
                yield [one for one in page if one["_id"] != SENTINEL]

    # ----------------------------------------------------------------------------------------------------- along index

    async def _along_index(self, index: Index, search: Search) -> list[VectorMatch]:
        """The nearest along the search index; by looking where it gives too few, as it does of what was saved a moment ago."""
        limit = search.top_k if search.condition == ALWAYS else min(MOST, LOOKED_AT * search.top_k)
        best, full = await self._asked(index, search, limit)
        if len(best) == search.top_k:
            return best
        try:
            return await self._by_looking(index, search)
        except TooMany:
            self._indexes.forget(index)
            await self._indexes.searchable(index)
        if full and limit < MOST:
            best, full = await self._asked(index, search, MOST)
        if full and len(best) < search.top_k:
            raise self._too_many(index)
        return best

    async def _asked(self, index: Index, search: Search, limit: int) -> tuple[list[VectorMatch], bool]:
        """The best of *limit* that the search index gives, and whether it gave so many."""
        known = await self._indexes.searchable(index)
        try:
            found = await self._run(index, search, known, limit)
        except SearchRefused as refused:
            # Another process may have made the search index anew.
            self._indexes.forget(index)
            if (again := await self._indexes.searchable(index)) == known:
                raise refused.__cause__ or refused from None
            found = await self._run(index, search, again, limit)
        look = Look(search, metric=index.metric)
        await asyncio.to_thread(look.at, _stored(found, index, self._shape))
        return look.best(), len(found) == limit

    async def _run(self, index: Index, search: Search, known: SearchIndex, limit: int) -> list[dict[str, Any]]:
        stage: dict[str, Any] = {
            "index": known.name,
            "path": known.path,
            "queryVector": list(search.vector),
            "numCandidates": min(MOST, CANDIDATES_EACH * limit),
            "limit": limit,
        }
        if narrowed := searched(search.condition, known.filters):
            stage["filter"] = narrowed
        return await self._connection.searched(index.collection, stage, {self._shape.path: 1, "metadata": 1})

    def _too_many(self, index: Index) -> UnsupportedError:
        if self._connection.server.search:
            msg = (
                f"the filter cannot be told to the search index of {index.name!r}, and leaves more than {self._exact_limit:,} vectors to "
                f"look at: name its fields in create_index(metadata_indexes=[…]), or raise MongoDBVector(exact_search_limit=…)"
            )
        else:
            msg = (
                f"the index {index.name!r}: without a search index every vector that the filter leaves is looked at, and these are more "
                f"than {self._exact_limit:,}. Use MongoDB Atlas or a server with mongot beside it, narrow the filter, or raise "
                "MongoDBVector(exact_search_limit=…)"
            )
        return UnsupportedError(msg)


def _stored(documents: Iterable[Document], index: Index, shape: Shape) -> Iterator[Stored]:
    """Documents as they are looked at, without those that are no vectors."""
    for one in documents:
        if shape.is_vector(one):
            yield (
                str(one["_id"]),
                shape.vector(one, index=index.name, dimension=index.dimension),
                partial(metadata_of, one, index=index.name),
            )
