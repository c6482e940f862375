"""Writes as commands: many in one round trip where the server has the bulk write of MongoDB 8, else one a collection.

One of the files that talk to pymongo; knows operations, must not know records.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from itertools import groupby
from typing import Any

import attrs
from pymongo import AsyncMongoClient, DeleteOne, InsertOne, ReadPreference, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, ClientBulkWriteException, PyMongoError
from pymongo.results import ClientBulkWriteResult

from mastra_mongodb.faults import is_duplicate
from mastra_mongodb.operations import Operation
from mastra_mongodb.waiting import Pipeline
from mastra_mongodb.wire import CODEC, Document

Write = UpdateOne | InsertOne[Document] | DeleteOne


@attrs.frozen
class Sent:
    """What became of a batch.

    Attributes:
        stopped: the place of the write that ran into a document of the same key: neither it nor what comes after it was written.
        error: what the driver said of that.
        unmet: whether a write was stopped, or one that must meet or create a document did not.
        created: which writes created one, by their place in the batch.
        idle: whether a write on which others rest found everything as it wanted it, and so took no hold of its document.
    """

    stopped: int | None = None
    error: PyMongoError | None = None
    unmet: bool = False
    created: frozenset[int] = frozenset()
    idle: bool = False


class Connection:
    """One database, through a client.

    Args:
        client: pymongo's.
        database: its name.
    """

    def __init__(self, client: AsyncMongoClient[Document], database: str) -> None:
        self.client = client
        self.name = database
        self.database: AsyncDatabase[Document] = client.get_database(database, codec_options=CODEC, read_preference=ReadPreference.PRIMARY)
        self.has_bulk_write = False
        """Whether the server takes the writes of several collections in one command."""

    def collection(self, name: str) -> AsyncCollection[Document]:
        """A collection, read as records are."""
        return self.database[name]

    async def documents(
        self, collection: str, pipeline: Pipeline, *, session: AsyncClientSession | None = None
    ) -> AsyncGenerator[Document]:
        """What a pipeline gives, as it comes."""
        cursor = await self.database[collection].aggregate(pipeline, session=session)
        async with cursor:
            async for document in cursor:
                yield document

    async def send(self, operations: Sequence[Operation], *, session: AsyncClientSession | None = None) -> Sent:
        """Write in order, up to the first that runs into a document of the same key.

        Raises:
            PyMongoError: one failed otherwise; what is before it was written, unless a transaction takes it back.
        """
        if not operations:
            return Sent()
        if self.has_bulk_write:
            return await self._together(operations, session)
        return await self._by_collection(operations, session)

    async def _together(self, operations: Sequence[Operation], session: AsyncClientSession | None) -> Sent:
        models = [_model(operation, namespace=f"{self.name}.{operation.collection}") for operation in operations]
        try:
            result = await self.client.bulk_write(models, session=session, ordered=True, verbose_results=True)
        except ClientBulkWriteException as error:
            return _stopped(error, [one["idx"] for one in error.details["writeErrors"]])
        met = [_met(result, index, operation) for index, operation in enumerate(operations)]
        return Sent(
            unmet=any(operation.must and not found for operation, (found, _, _) in zip(operations, met, strict=True)),
            created=frozenset(index for index, (_, created, _) in enumerate(met) if created),
            idle=any(operation.guards and found and idle for operation, (found, _, idle) in zip(operations, met, strict=True)),
        )

    async def _by_collection(self, operations: Sequence[Operation], session: AsyncClientSession | None) -> Sent:
        unmet, idle, created = False, False, set[int]()
        # Counts are of a whole command, so writes that need not meet anything go by themselves.
        for (name, must), group in groupby(enumerate(operations), key=lambda one: (one[1].collection, one[1].must)):
            part = list(group)
            try:
                result = await self.database[name].bulk_write([_model(operation) for _, operation in part], session=session)
            except BulkWriteError as error:
                return _stopped(error, [part[one["index"]][0] for one in error.details["writeErrors"]])
            upserted = result.upserted_ids or {}
            created |= {index for place, (index, operation) in enumerate(part) if place in upserted or operation.action == "insert"}
            touched = result.matched_count + result.inserted_count + result.deleted_count + len(upserted)
            unmet = unmet or (must and touched < len(part))
            wrote = result.modified_count + result.inserted_count + result.deleted_count + len(upserted)
            idle = idle or (wrote < touched and any(operation.guards for _, operation in part))
        return Sent(unmet=unmet, created=frozenset(created), idle=idle)


def _stopped(error: PyMongoError, places: Sequence[int]) -> Sent:
    if not is_duplicate(error):
        raise error
    return Sent(stopped=places[0], error=error, unmet=True)


def _model(operation: Operation, namespace: str | None = None) -> Write:
    if operation.action == "insert":
        # The driver puts an _id into what it is given.
        return InsertOne(dict(operation.update), namespace=namespace)  # type: ignore[arg-type]  # an insert has a document
    if operation.action == "delete":
        return DeleteOne(operation.filter, namespace=namespace)
    return UpdateOne(operation.filter, operation.update, upsert=operation.upsert, namespace=namespace)


def _met(result: ClientBulkWriteResult, index: int, operation: Operation) -> tuple[bool, bool, bool]:
    """Whether a write met or created a document, created it, and changed nothing."""
    if operation.action == "insert":
        return True, True, False
    if operation.action == "delete":
        return bool(result.delete_results[index].deleted_count), False, False
    update: Any = result.update_results[index]
    created = update.did_upsert
    return created or bool(update.matched_count), created, not created and not update.modified_count
