"""LibSQLVector: vectors in an SQLite file, in the tables of the TypeScript package `@mastra/libsql`. The vector port on SQLite.

Knows workers and connections; what is run on them stands in `vector_tables` and `vector_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Never

from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.storage.libsql import distances, vector_rows, vector_tables
from mastra_core.storage.libsql.driver import Connection, Error, Place, connect
from mastra_core.storage.libsql.faults import diagnose
from mastra_core.storage.libsql.vector_tables import MAX_DIMENSION, Table
from mastra_core.storage.libsql.workers import Workers
from mastra_core.storage.options import one_way, refuse_unknown
from mastra_core.storage.records.engine import Fault
from mastra_core.storage.vectors.checks import Row, Target, check_fits
from mastra_core.storage.vectors.conditions import Path
from mastra_core.storage.vectors.engine import NoIndex, Search
from mastra_core.storage.vectors.floats import Packed, to_bytes
from mastra_core.storage.vectors.port import IndexDescription, Metric, VectorMatch
from mastra_core.storage.vectors.vectors import Vectors

READERS = 4
"""Threads that search at once in a file."""


class LibSQLVectorEngine:
    """Everything of the vector port, on one SQLite file or in memory.

    Args:
        place: the file, or memory.
    """

    driver_errors: tuple[type[BaseException], ...] = (Error,)

    def __init__(self, place: Place) -> None:
        self.place = place
        self.writer = self._workers(1, writing=True)
        self.readers = self.writer

    async def open(self) -> None:
        """Connect; nothing is made before the first index."""
        self.writer = self._workers(1, writing=True)
        self.readers = self.writer if self.place.path is None else self._workers(READERS, writing=False)
        await self.readers.run(lambda connection: connection.execute("SELECT 1").fetchone())

    async def close(self) -> None:
        """Finish what was accepted and close every connection."""
        await self.writer.close()
        if self.readers is not self.writer:
            await self.readers.close()

    async def create_index(self, name: str, *, dimension: int, metric: Metric, metadata_indexes: Sequence[Path]) -> None:
        """Make the table and an index for each field; where nothing is missing that is one read."""
        if dimension > MAX_DIMENSION:
            msg = f"the index {name!r}: libSQL keeps vectors of at most {MAX_DIMENSION} dimensions, found {dimension}"
            raise InvalidInputError(msg)
        wanted = Table(name, dimension, metric)
        if not await self.readers.run(lambda connection: _is_made(connection, wanted, metadata_indexes)):
            await self.writer.run(lambda connection: _make(connection, wanted, metadata_indexes))

    async def list_indexes(self) -> list[str]:
        return await self.readers.run(vector_tables.tables)

    async def describe_index(self, name: str) -> IndexDescription:
        def work(connection: Connection) -> IndexDescription:
            table = vector_tables.table(connection, name)
            return IndexDescription(dimension=table.dimension, count=vector_tables.count(connection, name), metric=table.metric)

        return await self.readers.run(work)

    async def delete_index(self, name: str) -> None:
        await self.writer.run(lambda connection: vector_tables.drop(connection, name))

    async def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Write all rows in one transaction."""
        values = [(row.id, to_bytes(row.vector), row.metadata) for row in rows]

        def work(connection: Connection) -> None:
            table = vector_tables.table(connection, name)
            check_fits(name, dimension=table.dimension, vectors=(row.vector for row in rows))
            vector_rows.upsert(connection, name, values)

        await self.writer.run(work)

    async def query(self, name: str, search: Search) -> list[VectorMatch]:
        """Search in one thread hop."""

        def work(connection: Connection) -> list[VectorMatch]:
            table = vector_tables.table(connection, name)
            check_fits(name, dimension=table.dimension, vectors=[search.vector])
            return vector_rows.found(connection, table, search)

        return await self.readers.run(work)

    async def update(self, name: str, target: Target, *, vector: Packed | None, metadata: str | None) -> int:
        """Change all vectors meant in one transaction."""
        given = {"embedding": None if vector is None else to_bytes(vector), "metadata": metadata}
        changes = {column: value for column, value in given.items() if value is not None}
        statement = f'UPDATE "{name}" SET {", ".join(f"{column} = ?" for column in changes)}'

        def work(connection: Connection) -> int:
            table = vector_tables.table(connection, name)
            check_fits(name, dimension=table.dimension, vectors=[] if vector is None else [vector])
            return vector_rows.changed(connection, name, target, statement, list(changes.values()))

        return await self.writer.run(work)

    async def delete(self, name: str, target: Target) -> int:
        """Remove all vectors meant in one transaction."""

        def work(connection: Connection) -> int:
            vector_tables.table(connection, name)
            return vector_rows.changed(connection, name, target, f'DELETE FROM "{name}"', [])

        return await self.writer.run(work)

    def diagnose(self, error: BaseException) -> Fault | None:
        """What SQLite's result code means."""
        return diagnose(error, path=self.place.path or ":memory:")

    def _workers(self, threads: int, *, writing: bool) -> Workers:
        return Workers(self._connect, threads=threads, writing=writing)

    def _connect(self) -> Connection:
        connection = connect(self.place)
        distances.prepare(connection)
        return connection


def _is_made(connection: Connection, wanted: Table, fields: Sequence[Path]) -> bool:
    try:
        held = vector_tables.table(connection, wanted.name)
    except NoIndex:
        return False
    vector_tables.check_same(wanted, held)
    return not vector_tables.lacks(connection, wanted.name, fields)


def _make(connection: Connection, wanted: Table, fields: Sequence[Path]) -> None:
    with vector_rows.naming_the_bad(connection, wanted.name):
        vector_tables.make(connection, wanted, fields)


class LibSQLVector(Vectors):
    """Vectors in an SQLite file that the TypeScript package's LibSQLVector reads and writes too; it may be the file of a LibSQLStore.

    Searches are exact: every vector is looked at, in C with the extra `mastra-core[vectors]`, else in Python, which is many times slower.
    Euclidean and dotproduct work here; TypeScript takes every index for cosine.

    Args:
        id: its name in errors and logs; default "libsql".
        url: `file:./mastra.db`, `file:/data/mastra.db?mode=ro`, or `:memory:`, which is lost at the end.
        auth_token: refused; a file has no login.

    Raises:
        ConfigurationError: there is no url, it names no file, a token was given, or an option is unknown.
    """

    def __init__(
        self,
        *,
        id: str = "libsql",  # the option's fixed name
        url: str | None = None,
        auth_token: str | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, known=("id", "url", "auth_token"), at="LibSQLVector")
        one_way({"url": url}, of="LibSQLVector", example="LibSQLVector(url='file:./mastra.db')")
        if not isinstance(url, str) or (not url.startswith("file:") and "://" in url):
            shown = f"{url.partition('://')[0]}://…" if isinstance(url, str) else type(url).__name__
            msg = f"LibSQLVector opens 'file:PATH' and ':memory:', found {shown}"
            raise ConfigurationError(msg)
        if auth_token is not None:
            msg = "LibSQLVector: auth_token is for a server, and a file has no login; leave it out"
            raise ConfigurationError(msg)
        super().__init__(LibSQLVectorEngine(Place.of_url(url)), id=id, product="libsql")


def open_libsql_vector(url: str) -> LibSQLVector:
    """The vector store of a `file:` or `:memory:` URL; what the plugin's description names."""
    return LibSQLVector(url=url)
