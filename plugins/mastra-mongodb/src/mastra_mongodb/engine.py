"""The record engine of MongoDB: a batch of reads is one aggregate, a batch of changes one transaction.

Opens and closes the client, prepares the database and says what it can do; reads, writes and errors are other modules' work.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from mastra_core.errors import ConfigurationError, StoreClosedError
from mastra_core.storage.records.changes import Change
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Inspection, Support, emulated
from mastra_core.storage.records.kind import Key, Kind, R
from mastra_core.storage.records.query import Get, Query, Read
from mastra_core.storage.records.queues import Queues
from mastra_mongodb import lifetimes
from mastra_mongodb.faults import DRIVER_ERRORS, fault_of, is_duplicate
from mastra_mongodb.filters import together
from mastra_mongodb.indexes import MIGRATIONS, Index, Schema, defaults, newest
from mastra_mongodb.journal import INDEXES as JOURNAL_INDEXES
from mastra_mongodb.journal import Journal
from mastra_mongodb.reading import Reader, any_key, listing
from mastra_mongodb.sending import Connection
from mastra_mongodb.singles import Singles
from mastra_mongodb.transactions import Transactions
from mastra_mongodb.wire import Document

BULK_WRITE_WIRE_VERSION = 25
"""Of MongoDB 8.0."""
_FORBIDDEN = 13
_NO_SUCH_COLLECTION = 26

CONTENT = "conditions on the inside of message content, which is text, are evaluated here: what they skip is read"
TRANSACTIONAL: Mapping[str, Support] = {**dict.fromkeys(CAPABILITIES, FULL), "filters": emulated(CONTENT)}
ATOMIC = "no transactions: readers wait for a batch that is under way, and whoever comes next completes or takes back what a crash left"
JOURNALED: Mapping[str, Support] = {**TRANSACTIONAL, "atomic": emulated(ATOMIC), "decide": emulated(ATOMIC)}
TransactionsWanted = bool | None
"""True: refuse a server without; False: never; None: where the server has them."""


class MongoDBEngine:
    """The port on one database.

    Args:
        make: gives the client.
        database: the database's name.
        keeps_client: whether somebody else closes it.
        transactions: see TransactionsWanted.
        indexes: further ones, those of lifetimes among them.
        skip_default_indexes: leave those that reads and writes use to an operator.
    """

    max_atomic: int | None = None
    driver_errors: tuple[type[BaseException], ...] = DRIVER_ERRORS

    def __init__(
        self,
        make: Callable[[], AsyncMongoClient[Document]],
        database: str,
        *,
        keeps_client: bool = False,
        transactions: TransactionsWanted = None,
        indexes: Sequence[Index] = (),
        skip_default_indexes: bool = False,
    ) -> None:
        self._make = make
        self._name = database
        self._keeps_client = keeps_client
        self._wanted = transactions
        self._skips_defaults = skip_default_indexes
        self._indexes = tuple(indexes)
        self._schema = self._schema_for(journal=transactions is False)
        self._connection: Connection | None = None
        self._kept_journal: Journal | None = None
        self._queues = Queues[tuple[str, Key]]()
        self.capabilities: Mapping[str, Support] = JOURNALED if transactions is False else TRANSACTIONAL
        self.transactional = transactions is not False
        """Whether batches are transactions of the server; known after open()."""

    async def open(self) -> None:
        """Connect, and add the indexes that are not there; on a prepared database that is one read.

        Raises:
            ConfigurationError: a newer release has prepared the database, an index cannot be made, or there are no transactions where they
                were asked for.
        """
        connection = self._connection = self._connection or Connection(self._make(), self._name)
        rows = await _noted(connection)
        self._look(connection)
        if not self._schema.ready(rows):
            await self._prepare(connection)

    async def close(self) -> None:
        """Close the client, unless it was handed in."""
        journal, self._kept_journal = self._kept_journal, None
        if journal is not None:
            await journal.close()
        connection, self._connection = self._connection, None
        if connection is not None and not self._keeps_client:
            await connection.client.close()

    async def ping(self) -> None:
        """One ping of the server that takes the writes."""
        await self._open.database.command("ping")

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """One aggregate for all of them, and a second one where there are windows."""
        return await Reader(self._open.documents, self._journal).fetch(reads)

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """One command for one change, a transaction for several; writers of this process do not get in each other's way."""
        connection, places = self._open, [(change.kind, change.key) for change in changes]
        if len(changes) > 1 and not atomic:
            async with self._held(places):
                return await Singles(connection).spread(changes)
        async with self._queues.turn((kind.name, key) for kind, key in places):
            if len(changes) == 1:
                async with self._held(places):
                    return [await Singles(connection).write(changes[0])]
            return await self._batches.write(changes)

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute and write in one transaction, which conflicts with whoever changes what was read."""
        async with self._queues.turn((get.kind.name, get.key) for get in gets):
            return await self._batches.decide(gets, change)

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Find the first *limit* and delete them, if they are still where they were."""
        kind, connection = query.kind, self._open
        while True:
            records = (await self.fetch([attrs.evolve(query, limit=min(limit, query.limit or limit))]))[0]
            if not records:
                return 0
            keys = [kind.key_of(record) for record in records]
            still = listing(query)
            gone = await connection.collection(kind.name).delete_many(together([any_key(kind, keys), *still]))
            if gone.deleted_count:
                return gone.deleted_count

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """In the order of the index of the key; the cursor is the key, its parts joined by U+0000, which no id holds."""
        start = None if after is None else tuple(after.split("\0"))
        async for place, record in Reader(self._open.documents, self._journal).scan(kind, after=start):
            yield "\0".join(place), record

    def ddl(self) -> Sequence[str]:
        """Commands for `db.runCommand`, as JSON."""
        return self._schema.ddl()

    async def inspect(self) -> Inspection:
        """By a client of its own, unless one was handed in."""
        connection = Connection(self._make(), self._name)
        try:
            rows = await _noted(connection)
            there = {name: await _indexes(connection, name) for name in dict.fromkeys(index.collection for index in self._schema.indexes)}
            asked = time.perf_counter()
            build = await connection.database.command("buildInfo")
            took = time.perf_counter() - asked
            transactional = _has_transactions(connection) if self._wanted is None else self._wanted
            kind = "batches are transactions of the server" if transactional else f"batches go through a journal: {ATOMIC}"
        finally:
            if not self._keeps_client:
                await connection.client.close()
        return Inspection(
            server=f"MongoDB {build['version']}",
            notes=(kind, *lifetimes.notes(self._indexes)),
            warnings=lifetimes.unasked(self._indexes, there),
            version=newest(rows),
            missing=self._schema.missing(there, rows),
            round_trip_seconds=took,
        )

    def pool(self) -> None:
        """pymongo tells its listeners alone, who are set when a client is made."""

    def diagnose(self, error: BaseException) -> Fault | None:
        """Each cause with its own mend."""
        return fault_of(error, database=self._name)

    @property
    def _open(self) -> Connection:
        if self._connection is None:
            raise StoreClosedError(f"MongoDB database {self._name!r} is closed; open a new store to go on")
        return self._connection

    @property
    def _journal(self) -> Journal | None:
        if self._kept_journal is None and not self.transactional:
            self._kept_journal = Journal(self._open)
        return self._kept_journal

    @property
    def _batches(self) -> Transactions | Journal:
        return self._journal or Transactions(self._open)

    def _held(self, places: Sequence[tuple[Kind[Any], Key]]) -> AbstractAsyncContextManager[None]:
        """What keeps batches off records that are written one by one; transactions do that by themselves."""
        return contextlib.nullcontext() if self._journal is None else self._journal.holding(places)

    def _schema_for(self, *, journal: bool) -> Schema:
        ours = (*defaults(), *(JOURNAL_INDEXES if journal else ()))
        return Schema((*(() if self._skips_defaults else ours), *self._indexes))

    def _look(self, connection: Connection) -> None:
        """What the server can do, as the driver has found while it connected."""
        found = _has_transactions(connection)
        if self._wanted and not found:
            raise ConfigurationError(
                f"MongoDB database {self._name!r}: transactions=True, but the server is standalone and has none; "
                "make it a replica set (of one member is enough), or leave transactions out"
            )
        self.transactional = found if self._wanted is None else self._wanted
        self.capabilities = TRANSACTIONAL if self.transactional else JOURNALED
        self._schema = self._schema_for(journal=not self.transactional)
        connection.has_bulk_write = _wire_version(connection) >= BULK_WRITE_WIRE_VERSION

    async def _prepare(self, connection: Connection) -> None:
        """Make what is not there. Of many who do so at once, all succeed: the commands change nothing the second time."""
        for index in self._schema.indexes:
            try:
                await connection.database.command(index.statement)
            except OperationFailure as error:
                await self._refused(connection, index, error)
        try:
            await connection.database.command(self._schema.record)
        except OperationFailure as error:
            if not (is_duplicate(error) or error.code == _FORBIDDEN):
                raise

    async def _refused(self, connection: Connection, index: Index, error: OperationFailure) -> None:
        """Go on if the index is there under another name, or its want only makes reads slow to a user who may make none.

        Raises:
            ConfigurationError: it cannot be made, and writes need it.
        """
        there = {index.collection: await _indexes(connection, index.collection)}
        forbidden = error.code == _FORBIDDEN
        if not Schema((index,)).lacking(there) or (forbidden and not index.options.get("unique") and index.seconds is None):
            return
        if index.changes(there) and not forbidden:
            await connection.database.command(index.change)
            return
        mend = "let an operator make it: `mastra ddl URL` prints the command" if forbidden else "mend or delete what is there"
        found = "the user may not make indexes" if forbidden else f"the server refused it (code {error.code})"
        raise ConfigurationError(
            f"MongoDB database {self._name!r}: collection {index.collection} lacks the index {index.name}: {found}; {mend}"
        ) from error


async def _noted(connection: Connection) -> list[Document]:
    """What the database says of itself."""
    return [document async for document in connection.documents(MIGRATIONS, [{"$match": {}}])]


async def _indexes(connection: Connection, collection: str) -> list[Mapping[str, Any]]:
    try:
        return [index async for index in await connection.collection(collection).list_indexes()]
    except OperationFailure as error:
        if error.code == _NO_SUCH_COLLECTION:
            return []
        raise


def _servers(connection: Connection) -> list[Any]:
    return list(connection.client.topology_description.server_descriptions().values())


def _has_transactions(connection: Connection) -> bool:
    return any(server.server_type_name in {"RSPrimary", "RSSecondary", "Mongos", "LoadBalancer"} for server in _servers(connection))


def _wire_version(connection: Connection) -> int:
    return min((server.max_wire_version for server in _servers(connection) if server.is_server_type_known), default=0)
