"""A connection to MongoDB for vectors: what the server can do, reads of one instant, writes that are whole. Talks to pymongo.

Must not know what is read or written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import attrs
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from mastra_core.errors import UnsupportedError
from mastra_core.storage.records.queues import Queues
from mastra_core.storage.vectors.looking import How
from mastra_mongodb.address import Address
from mastra_mongodb.wire import CODEC

REGISTRY = "__mastra_vector_indexes__"
"""The collection that says which vector indexes there are (contract §8.5)."""

# CommandNotFound, CommandNotSupported, NotImplemented, SearchNotEnabled, an unknown stage, and a stage that is for Atlas alone.
_NO_SEARCH = frozenset({59, 115, 238, 303, 31082, 40324, 6047401})

_SNAPSHOT_READS = 13
"""The wire version of MongoDB 5.0, the first that reads a snapshot outside a transaction."""

T = TypeVar("T")
Session: TypeAlias = AsyncClientSession | None
Collection: TypeAlias = AsyncCollection[dict[str, Any]]


@attrs.frozen
class Server:
    """What a server can do.

    Attributes:
        transactions: it is a replica set or sharded; a standalone server has none.
        snapshots: a search sees one instant.
        search: it has search indexes, as Atlas does.
    """

    transactions: bool
    snapshots: bool
    search: bool


class SearchRefused(Exception):
    """A search index was asked for what it does not know; the cause is the driver's error."""


class Connection:
    """One client of one database.

    Args:
        address: where the database is.
        search: what is asked of the server.
    """

    def __init__(self, address: Address, *, search: How) -> None:
        self.db_name = address.database
        self._address = address
        self._search = search
        self._client: AsyncMongoClient[dict[str, Any]] | None = None
        self._server: Server | None = None
        self._turns = Queues[tuple[str]]()

    @property
    def server(self) -> Server:
        """What the server can do; known after open()."""
        assert self._server is not None, "not open"
        return self._server

    @property
    def database(self) -> AsyncDatabase[dict[str, Any]]:
        """The database; after open()."""
        assert self._client is not None, "not open"
        return self._client.get_database(self.db_name, codec_options=CODEC)

    async def open(self) -> None:
        """Connect, and ask what the server can do.

        Raises:
            UnsupportedError: search is "native" and the server has no search indexes.
        """
        client = self._client = self._address.client()
        said = await client.admin.command("hello")
        transactions = "logicalSessionTimeoutMinutes" in said and ("setName" in said or said.get("msg") == "isdbgrid")
        search = self._search != "exact" and await self._has_search()
        if self._search == "native" and not search:
            msg = (
                "MongoDBVector(search='native'): this server has no search indexes (createSearchIndexes, $vectorSearch). Use MongoDB Atlas "
                "or a server with mongot beside it; or search='exact', which looks at each vector of a small collection"
            )
            raise UnsupportedError(msg)
        self._server = Server(transactions, transactions and said.get("maxWireVersion", 0) >= _SNAPSHOT_READS, search)

    async def close(self) -> None:
        """Release the client; callable after a failed open()."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    def collection(self, name: str) -> Collection:
        """The collection of this name."""
        return self.database[name]

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[Session]:
        """A session that sees one instant of the collection *name*, with all that this process has written before."""
        if self.server.snapshots:
            assert self._client is not None
            async with self._client.start_session(snapshot=True) as session:
                yield session
        elif self.server.transactions:
            yield None
        else:
            # A standalone server shows half a batch: at least not half a batch of this process.
            async with self._turns.turn([(name,)]):
                yield None

    async def changing(self, name: str, work: Callable[[Session], Awaitable[T]], *, single: bool = False) -> T:
        """What *work* gives; all that it writes to the collection *name* is seen at once, or none of it.

        Without transactions each document is whole, and the batch for readers in this process.

        Args:
            name: the collection; writers of this process take turns, so that they do not undo each other.
            work: writes with the session it is given.
            single: whether it writes one document, which needs no transaction.
        """
        async with self._turns.turn([(name,)]):
            if single or not self.server.transactions:
                return await work(None)
            assert self._client is not None
            async with self._client.start_session() as session, await session.start_transaction():
                return await work(session)

    async def searched(self, name: str, stage: Mapping[str, Any], fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What `$vectorSearch` with *stage* finds in the collection *name*, *fields* of each.

        Raises:
            SearchRefused: the server refused the question.
        """
        try:
            async with await self.collection(name).aggregate([{"$vectorSearch": stage}, {"$project": fields}]) as cursor:
                return await cursor.to_list()
        except OperationFailure as error:
            raise SearchRefused from error

    async def _has_search(self) -> bool:
        try:
            async with await self.database[REGISTRY].list_search_indexes() as cursor:
                await cursor.to_list(1)
        except OperationFailure as error:
            if error.code in _NO_SEARCH:
                return False
            raise
        return True
