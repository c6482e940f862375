"""Makes, finds and removes vector indexes: collections, the registry, and search indexes where the server has them (contract §8.5).

Talks to pymongo; must not know how vectors are searched.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import attrs
from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure
from pymongo.operations import SearchIndexModel

from mastra_core.errors import InvalidInputError, StorageUnavailableError, StoredDataError
from mastra_core.storage.vectors.checks import check_no_twin, check_same_index
from mastra_core.storage.vectors.conditions import Path
from mastra_core.storage.vectors.engine import NoIndex
from mastra_core.storage.vectors.port import Metric
from mastra_mongodb.vector_connection import REGISTRY, Connection
from mastra_mongodb.vector_documents import SENTINEL, Shape
from mastra_mongodb.vector_filters import METADATA
from mastra_mongodb.vector_registry import (
    Index,
    SearchIndex,
    entry,
    index_of,
    search_index_name,
    search_index_of,
    vector_definition,
)

_log = logging.getLogger("mastra_mongodb")

_ALREADY, _NO_NAMESPACE, _NO_SEARCH_INDEX = 68, 26, 27

# Unauthorized, and what Atlas's shared clusters say in its place.
_FORBIDDEN = frozenset({13, 8000})

LOOK_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""Pauses between looks at a search index that is being built; the last one for all further."""

TELL_SECONDS = 10.0
"""How often a wait is logged."""


class Indexes:
    """The vector indexes of one database.

    Args:
        connection: the open connection.
        shape: where a document has its vector.
        wait_seconds: how long to wait for a search index to be built.
    """

    def __init__(self, connection: Connection, *, shape: Shape, wait_seconds: float) -> None:
        self._connection = connection
        self._shape = shape
        self._wait_seconds = wait_seconds
        self._known: dict[tuple[str, str], SearchIndex] = {}

    async def find(self, name: str) -> Index:
        """The index *name*: of the registry, or one that was made before there was a registry.

        Raises:
            NoIndex: there is none.
        """
        index = await self._registered(name)
        if index is None:
            raise NoIndex(name)
        if not index.dimension and not index.embeds_itself and (search := await self._search_index(index)):
            index = attrs.evolve(index, dimension=search.dimension, metric=search.metric or index.metric)
        index.check_usable()
        return index

    async def names(self) -> list[str]:
        """The names of all indexes."""
        registered = await self._registry.find({}, {"collectionName": 1}).to_list()
        names = {str(found["_id"]) for found in registered}
        if self._connection.server.search:
            taken = names | {str(found.get("collectionName")) for found in registered} | {REGISTRY}
            others = [name for name in await self._connection.database.list_collection_names() if name not in taken]
            older = await asyncio.gather(*(self._search_indexes(name) for name in others))
            names |= {name for name, there in zip(others, older, strict=True) if search_index_name(name) in there}
        return list(names)

    async def make(self, name: str, *, dimension: int, metric: Metric, fields: Sequence[Path]) -> None:
        """Have the index: its collection, its registry document, and what makes searches and filters quick.

        Raises:
            InvalidInputError: it is there with another dimension or metric, or something else has its name.
            StorageUnavailableError: its search index was not built in time; it goes on being built.
        """
        try:
            index = await self.find(name)
        except NoIndex:
            index = await self._made(name, dimension=dimension, metric=metric)
        check_same_index(name, dimension=dimension, metric=metric, held_dimension=index.dimension, held_metric=index.metric)
        named = [".".join((METADATA, *path)) for path in fields]
        if named and index.own:
            await self._have_field_indexes(index, named)
        if self._connection.server.search:
            await self._have_search_index(index, named)

    async def remove(self, name: str) -> None:
        """Remove the index if it is there; of a collection that is not Mastra's own, the search indexes alone."""
        index = await self._registered(name)
        if index is None:
            return
        if index.own:
            await self._connection.collection(index.collection).drop()
        elif self._connection.server.search:
            for search in filter(None, (index.search_index, index.text_search_index)):
                await self._drop_search_index(index, search)
        self.forget(index)
        await self._registry.delete_one({"_id": name})

    async def searchable(self, index: Index) -> SearchIndex:
        """The search index of *index*, once it can be asked.

        Raises:
            StorageUnavailableError: there is none, or it is still being built.
        """
        known = self._known.get((index.collection, index.search_index))
        if known is not None:
            return known
        found = await self._search_index(index)
        if found is None or not found.queryable:
            raise _not_ready(index, found)
        found.check_is(index, path=self._shape.path)
        self._known[index.collection, index.search_index] = found
        return found

    def forget(self, index: Index) -> None:
        """Ask the server anew what the search index of *index* is."""
        self._known.pop((index.collection, index.search_index), None)

    @property
    def _registry(self) -> Any:
        return self._connection.collection(REGISTRY)

    # ---------------------------------------------------------------------------------------------------------- making

    async def _made(self, name: str, *, dimension: int, metric: Metric) -> Index:
        """The new index, or the one that somebody else has made meanwhile."""
        if name == REGISTRY:
            msg = f"an index cannot be called {REGISTRY!r}: that is where MongoDBVector notes which indexes there are"
            raise InvalidInputError(msg)
        check_no_twin(name, known=await self.names())
        await self._check_free(name, dimension)
        with suppress(CollectionInvalid):  # it is there
            await self._connection.database.create_collection(name)
        wanted = entry(name, dimension=dimension, metric=metric)
        try:
            held = await self._registry.find_one_and_update(
                {"_id": name}, {"$setOnInsert": wanted}, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:
            held = await self._registry.find_one({"_id": name})
        return index_of(held or {"_id": name, **wanted})

    async def _check_free(self, name: str, dimension: int) -> None:
        """Refuse the name of a collection that holds something else than vectors."""
        held = await self._connection.collection(name).find_one({"_id": {"$ne": SENTINEL}})
        if held is None:
            return
        try:
            self._shape.vector(held, index=name, dimension=dimension)
        except StoredDataError as error:
            msg = (
                f"the index {name!r} cannot be made: the database {self._connection.db_name!r} has a collection of that name whose "
                f"documents are no vectors of dimension {dimension} in {self._shape.path!r}. Choose another name"
            )
            raise InvalidInputError(msg) from error

    async def _have_field_indexes(self, index: Index, fields: Collection[str]) -> None:
        """Have an ordinary index for each of *fields*, along which writes by a filter find what they change: no search index serves them.

        One that begins with the field does, whoever made it and whatever it is called. A user who may make none goes without.
        """
        collection = self._connection.collection(index.collection)
        try:
            there = {next(iter(found["key"])) async for found in await collection.list_indexes()}
            if lacking := [field for field in fields if field not in there]:
                await collection.create_indexes([IndexModel([(field, ASCENDING)]) for field in lacking])
        except OperationFailure as error:
            if error.code not in _FORBIDDEN:
                raise
            _log.warning(
                "this user may not make indexes on the collection %r, so that whatever asks for vectors by %s reads all of it; "
                "let a user who may run create_index once",
                index.collection,
                ", ".join(fields),
            )

    async def _have_search_index(self, index: Index, fields: Collection[str]) -> None:
        there = await self._search_indexes(index.collection)
        found = there.get(index.search_index)
        if found is None:
            definition = vector_definition(index, path=self._shape.path, filters=fields)
            await self._create_search_index(index, index.search_index, definition, "vectorSearch")
        else:
            found.check_is(index, path=self._shape.path)
            if index.own and not found.filters.issuperset(fields):
                definition = vector_definition(index, path=self._shape.path, filters=found.filters.union(fields))
                await self._connection.collection(index.collection).update_search_index(index.search_index, definition)
        if index.own and index.text_search_index and index.text_search_index not in there:
            await self._create_search_index(index, index.text_search_index, {"mappings": {"dynamic": True}}, "search")
        await self._wait(index)

    async def _create_search_index(self, index: Index, name: str, definition: dict[str, Any], kind: str) -> None:
        try:
            await self._connection.collection(index.collection).create_search_index(SearchIndexModel(definition, name, kind))
        except OperationFailure as error:
            if error.code != _ALREADY and (error.details or {}).get("codeName") != "IndexAlreadyExists":
                raise

    async def _wait(self, index: Index) -> None:
        """Wait until the search index can be asked, and log now and then how far it is."""
        began = told = time.monotonic()
        look = 0
        while True:
            self.forget(index)
            found = await self._search_index(index)
            now = time.monotonic()
            if found is not None and found.queryable:
                self._known[index.collection, index.search_index] = found
                return
            if found is not None and found.status == "FAILED":
                raise _not_ready(index, found)
            if now - began >= self._wait_seconds:
                raise _not_ready(index, found)
            if look == 0 or now - told >= TELL_SECONDS:
                status = "not yet listed" if found is None else found.status
                _log.info("waiting for the search index %r: %s for %.0f s", index.search_index, status, now - began)
                told = now
            await asyncio.sleep(LOOK_SECONDS[min(look, len(LOOK_SECONDS) - 1)])
            look += 1

    # --------------------------------------------------------------------------------------------------- search indexes

    async def _registered(self, name: str) -> Index | None:
        """What the registry says of an index, or the search index of one of before there was a registry."""
        if (found := await self._registry.find_one({"_id": name})) is not None:
            return index_of(found)
        if not self._connection.server.search:
            return None
        search = (await self._search_indexes(name)).get(search_index_name(name))
        if search is None or not search.dimension:
            return None
        return Index(name, name, search.name, f"{name}_search_index", search.dimension, search.metric or "cosine")

    async def _search_index(self, index: Index) -> SearchIndex | None:
        return (await self._search_indexes(index.collection)).get(index.search_index) if self._connection.server.search else None

    async def _search_indexes(self, collection: str) -> dict[str, SearchIndex]:
        async with await self._connection.collection(collection).list_search_indexes() as cursor:
            return {str(found["name"]): search_index_of(found) for found in await cursor.to_list()}

    async def _drop_search_index(self, index: Index, name: str) -> None:
        """Drop a search index that no other index needs."""
        others = {"_id": {"$ne": index.name}, "collectionName": index.collection}
        if await self._registry.find_one({**others, "$or": [{"searchIndexName": name}, {"textSearchIndexName": name}]}):
            return
        try:
            await self._connection.collection(index.collection).drop_search_index(name)
        except OperationFailure as error:
            if error.code not in {_NO_NAMESPACE, _NO_SEARCH_INDEX}:
                raise


def _not_ready(index: Index, found: SearchIndex | None) -> StorageUnavailableError:
    if found is None:
        msg = (
            f"the index {index.name!r} has no search index {index.search_index!r} on the collection {index.collection!r}, so nothing "
            f"would be found; create_index({index.name!r}, dimension={index.dimension}, metric={index.metric!r}) makes it"
        )
    elif found.status == "FAILED":
        msg = f"the search index {found.name!r} of {index.name!r} could not be built: {found.trouble or 'the server says no more'}"
    else:
        msg = (
            f"the search index {found.name!r} of {index.name!r} is still being built ({found.status}); the server goes on by itself. "
            "Try again later, or wait longer with MongoDBVector(index_wait_seconds=…) and create_index"
        )
    return StorageUnavailableError(msg)
