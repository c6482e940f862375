"""The vector engine of MongoDB: what the vector port asks for. Talks to pymongo; what is asked stands in the modules beside it.

The registry is asked anew for every call, since another process may have removed an index or made another of its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from mastra_core.errors import ConflictError
from mastra_core.storage.records.engine import Fault
from mastra_core.storage.vectors.checks import Row, Target, check_fits
from mastra_core.storage.vectors.conditions import NEVER, Path
from mastra_core.storage.vectors.engine import Search
from mastra_core.storage.vectors.floats import Packed
from mastra_core.storage.vectors.looking import How
from mastra_core.storage.vectors.port import IndexDescription, Metric, VectorMatch
from mastra_mongodb.address import Address
from mastra_mongodb.faults import DRIVER_ERRORS, fault_of, is_busy, is_duplicate
from mastra_mongodb.vector_connection import Collection, Connection, Session
from mastra_mongodb.vector_documents import SENTINEL, Shape, keys_of
from mastra_mongodb.vector_indexes import Indexes
from mastra_mongodb.vector_registry import Index
from mastra_mongodb.vector_searching import Searching

IDS = 5000
"""How many ids a command names at most: of the longest ids, half of what a command may hold."""


class MongoDBVectorEngine:
    """Everything of the vector port, in one MongoDB database.

    Args:
        address: where the database is.
        search: how vectors are searched.
        exact_limit: how many vectors a search may look at, one by one.
        shape: where a document has its vector.
        wait_seconds: how long create_index waits for a search index.
    """

    driver_errors: tuple[type[BaseException], ...] = DRIVER_ERRORS

    def __init__(self, address: Address, *, search: How, exact_limit: int, shape: Shape, wait_seconds: float) -> None:
        self._shape = shape
        self._connection = Connection(address, search=search)
        self._indexes = Indexes(self._connection, shape=shape, wait_seconds=wait_seconds)
        self._searching = Searching(self._connection, indexes=self._indexes, shape=shape, exact_limit=exact_limit)

    async def open(self) -> None:
        """Connect and ask what the server can do; nothing is made before the first index."""
        await self._connection.open()

    async def close(self) -> None:
        """Release the client."""
        await self._connection.close()

    async def create_index(self, name: str, *, dimension: int, metric: Metric, metadata_indexes: Sequence[Path]) -> None:
        """Make what is missing; on a server with search indexes, wait until the index can be asked."""
        await self._indexes.make(name, dimension=dimension, metric=metric, fields=metadata_indexes)

    async def list_indexes(self) -> list[str]:
        return await self._indexes.names()

    async def describe_index(self, name: str) -> IndexDescription:
        """The count is of the documents that have a vector; all of them are gone through."""
        index = await self._indexes.find(name)
        vectors = {self._shape.path: {"$exists": True}, "_id": {"$ne": SENTINEL}}
        count = await self._connection.collection(index.collection).count_documents(vectors)
        return IndexDescription(dimension=index.dimension, count=count, metric=index.metric)

    async def delete_index(self, name: str) -> None:
        await self._indexes.remove(name)

    async def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Write all rows in one transaction, where the server has them."""
        index = await self._written(name, [row.vector for row in rows])
        # In the order of their ids, so that two that save the same ones wait for each other, and not in a circle.
        in_order = sorted(rows, key=lambda row: row.id)
        writes = [self._save(index, row) for row in in_order]

        async def work(session: Session) -> None:
            await self._connection.collection(index.collection).bulk_write(writes, ordered=True, session=session)

        await self._connection.changing(index.collection, work, single=len(writes) == 1)

    async def query(self, name: str, search: Search) -> list[VectorMatch]:
        """Search along the search index, or by looking at each vector that the filter leaves."""
        index = await self._indexes.find(name)
        check_fits(name, dimension=index.dimension, vectors=[search.vector])
        return [] if search.condition == NEVER else await self._searching.nearest(index, search)

    async def update(self, name: str, target: Target, *, vector: Packed | None, metadata: str | None) -> int:
        """Change all vectors meant in one transaction, where the server has them."""
        index = await self._written(name, [] if vector is None else [vector])
        changes = self._shape.changes(vector=vector, metadata=metadata)

        async def change(collection: Collection, keys: list[Any], session: Session) -> int:
            return (await collection.update_many({"_id": {"$in": keys}}, {"$set": changes}, session=session)).matched_count

        return await self._each(index, target, change)

    async def delete(self, name: str, target: Target) -> int:
        """Remove all vectors meant in one transaction, where the server has them."""
        index = await self._written(name, [])

        async def remove(collection: Collection, keys: list[Any], session: Session) -> int:
            return (await collection.delete_many({"_id": {"$in": keys}}, session=session)).deleted_count

        return await self._each(index, target, remove)

    def diagnose(self, error: BaseException) -> Fault | None:
        """What an error of pymongo means; vectors that others were saving are saved again, which is the same."""
        if isinstance(error, PyMongoError) and (is_busy(error) or is_duplicate(error)):
            message = f"MongoDB database {self._connection.db_name!r}: others were changing the same vectors at every try; try again"
            return Fault(error=ConflictError, message=message, retry=True)
        return fault_of(error, database=self._connection.db_name)

    async def _written(self, name: str, vectors: Sequence[Packed]) -> Index:
        """The index, if it may be written to and the vectors fit."""
        index = await self._indexes.find(name)
        check_fits(name, dimension=index.dimension, vectors=vectors)
        index.check_writable()
        return index

    def _save(self, index: Index, row: Row) -> UpdateOne:
        keys = keys_of([row.id], native_ids=not index.own)
        changes = {"$set": self._shape.saved(row)}
        if len(keys) == 1:
            return UpdateOne({"_id": row.id}, changes, upsert=True)
        return UpdateOne({"_id": {"$in": keys}}, {**changes, "$setOnInsert": {"_id": row.id}}, upsert=True)

    async def _each(self, index: Index, target: Target, change: Callable[[Collection, list[Any], Session], Awaitable[int]]) -> int:
        """Do *change* to all vectors that *target* means; how many there were."""
        collection = self._connection.collection(index.collection)

        async def by_ids(session: Session) -> int:
            keys = iter(keys_of(target.ids or (), native_ids=not index.own))
            count = 0
            while some := list(islice(keys, IDS)):
                count += await change(collection, some, session)
            return count

        async def by_condition(session: Session) -> int:
            # All are found before the first is changed: what was changed may meet the condition again.
            pages = [page async for page in self._searching.matching(index, target.condition, session)]
            return sum([await change(collection, page, session) for page in pages if page])

        if target.ids is not None:
            return await self._connection.changing(index.collection, by_ids, single=len(target.ids) == 1)
        return 0 if target.condition == NEVER else await self._connection.changing(index.collection, by_condition)
