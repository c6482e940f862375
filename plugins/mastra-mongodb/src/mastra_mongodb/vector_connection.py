"""A connection to MongoDB for vectors: what the server can do, reads of one instant, writes that are whole. Talks to pymongo.

Must not know what is read or written.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any, Literal, TypeAlias, TypeVar

import attrs
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from mastra_core.errors import ConfigurationError, UnsupportedError

Search: TypeAlias = Literal["auto", "native", "exact"]
"""How vectors are searched: on the server's search index, by looking at each of them, or the first where the server has it."""

SEARCHES: tuple[Search, ...] = ("auto", "native", "exact")

REGISTRY = "__mastra_vector_indexes__"
"""The collection that says which vector indexes there are (contract §8.5)."""

# CommandNotFound, CommandNotSupported, NotImplemented, SearchNotEnabled, an unknown stage, and a stage that is for Atlas alone.
_NO_SEARCH = frozenset({59, 115, 238, 303, 31082, 40324, 6047401})

_SNAPSHOT_READS = 13
"""The wire version of MongoDB 5.0, the first that reads a snapshot outside a transaction."""

_CODEC = CodecOptions[dict[str, Any]](tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO)

# What no name of a database may have.
_NO_DATABASE = re.compile(r"""[\s/\\."$*<>:|?\0]""")

DEFAULTS: Mapping[str, Any] = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000, "appname": "mastra"}
"""Unless the options or the uri say otherwise: a server that is away is told within seconds."""

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


def where(uri: object, *, db_name: object) -> tuple[str, str]:
    """The checked address of a server, and the database that is named there or beside it.

    Raises:
        ConfigurationError: it is no address of MongoDB, or no database is named, or one that cannot be.
    """
    if not isinstance(uri, str) or not uri.startswith(("mongodb://", "mongodb+srv://")):
        shown = f"{uri.partition('://')[0]}://…" if isinstance(uri, str) and "://" in uri else type(uri).__name__
        msg = f"MongoDBVector: uri begins with mongodb:// or mongodb+srv://, found {shown}"
        raise ConfigurationError(msg)
    named = _parsed(uri)["database"]
    database = db_name or named
    if not isinstance(database, str) or not database or _NO_DATABASE.search(database):
        msg = (
            "MongoDBVector: name the database: MongoDBVector(uri='mongodb://localhost:27017', db_name='mastra'), or after the host in uri; "
            f"found {database!r}"
        )
        raise ConfigurationError(msg)
    return uri, database


def _parsed(uri: str) -> Mapping[str, Any]:
    """What an address says without a look into the network, where one of +srv has more."""
    try:
        return parse_uri(f"mongodb://{uri.partition('://')[2]}", validate=False, warn=False)
    except (PyMongoError, ValueError):
        # The driver's words may quote a password.
        msg = "MongoDBVector: uri cannot be read; its form is mongodb://USER:PASSWORD@HOST:27017/DATABASE, user and password %-escaped"
        raise ConfigurationError(msg) from None


class SearchRefused(Exception):
    """A search index was asked for what it does not know.

    Attributes:
        error: the driver's.
    """

    def __init__(self, error: OperationFailure) -> None:
        super().__init__(str(error))
        self.error = error


class Connection:
    """One client of one database.

    Args:
        uri: where the server is.
        db_name: the database.
        options: of pymongo's client, by its names.
        search: what is asked of the server.
    """

    def __init__(self, uri: str, *, db_name: str, options: Mapping[str, Any], search: Search) -> None:
        self.db_name = db_name
        self._uri = uri
        said = {name.lower() for name in (*_parsed(uri)["options"], *options)}
        self._options = {**{name: value for name, value in DEFAULTS.items() if name.lower() not in said}, **options}
        self._search = search
        self._client: AsyncMongoClient[dict[str, Any]] | None = None
        self._server: Server | None = None
        self._turns: dict[str, asyncio.Lock] = {}

    @property
    def server(self) -> Server:
        """What the server can do; known after open()."""
        assert self._server is not None, "not open"
        return self._server

    @property
    def database(self) -> AsyncDatabase[dict[str, Any]]:
        """The database; after open()."""
        assert self._client is not None, "not open"
        return self._client.get_database(self.db_name, codec_options=_CODEC)

    async def open(self) -> None:
        """Connect, and ask what the server can do.

        Raises:
            UnsupportedError: search is "native" and the server has no search indexes.
        """
        client = AsyncMongoClient[dict[str, Any]](self._uri, **self._options)
        self._client = client
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
            async with self._turn(name):
                yield None

    async def changing(self, name: str, work: Callable[[Session], Awaitable[T]], *, single: bool = False) -> T:
        """What *work* gives; all that it writes to the collection *name* is seen at once, or none of it.

        Without transactions each document is whole, and the batch for readers in this process.

        Args:
            name: the collection; writers of this process take turns, so that they do not undo each other.
            work: writes with the session it is given.
            single: whether it writes one document, which needs no transaction.
        """
        async with self._turn(name):
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
            raise SearchRefused(error) from error

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    async def _has_search(self) -> bool:
        try:
            async with await self.database[REGISTRY].list_search_indexes() as cursor:
                await cursor.to_list(1)
        except OperationFailure as error:
            if error.code in _NO_SEARCH:
                return False
            raise
        return True
