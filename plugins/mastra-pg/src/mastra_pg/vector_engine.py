"""The vector engine of PostgreSQL: what the vector port asks for, on pgvector. One round trip for a search and for a batch of vectors.

What a table is, is read once and kept. Another process may put another table in its place: a search asks in the same round trip whether
that happened, a write fails for it, and both are then done again, knowing better. No state is left in a session, so that a pooler may
stand before the server.

Talks to psycopg; must not know what statements say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from mastra_core.errors import ConflictError, InvalidInputError
from mastra_core.storage.records.engine import Fault
from mastra_core.storage.records.wire import decode_json
from mastra_core.storage.vectors.checks import Row, Target, check_fits
from mastra_core.storage.vectors.conditions import ALWAYS, NEVER, Path, met
from mastra_core.storage.vectors.engine import NoIndex, Search
from mastra_core.storage.vectors.floats import Packed
from mastra_core.storage.vectors.looking import LOOKED_AT
from mastra_core.storage.vectors.port import IndexDescription, Metric, VectorMatch
from mastra_pg import vector_queries, vector_tables, vector_writes
from mastra_pg.connection_state import Connection
from mastra_pg.connections import Connections
from mastra_pg.faults import diagnose
from mastra_pg.vector_filters import pushed
from mastra_pg.vector_layouts import Layout, check_dimension, settings
from mastra_pg.vector_queries import Statement
from mastra_pg.vector_rows import match, metadata_of
from mastra_pg.vector_setup import make, mend
from mastra_pg.vector_tables import Table, Wanted, check_same

PAGE = 500
"""Rows that are looked at together."""

# What a statement meets with when the table is no longer what it was.
_STALE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidColumnReference,
    psycopg.errors.DataException,
)

T = TypeVar("T")


class _Replaced(Exception):
    """The table is another than the one that was described."""


class PgVectorEngine:
    """Everything of the vector port, in one PostgreSQL database.

    Args:
        connections: to the server; opened and closed with the engine.
        schema: where the tables are; None: the first of the search path.
        layout: of new indexes.
    """

    driver_errors: tuple[type[BaseException], ...] = (psycopg.Error, PoolTimeout)

    def __init__(self, connections: Connections, *, schema: str | None, layout: Layout) -> None:
        self.layout = layout
        self.connections = connections
        self._schema = schema
        self._tables: dict[str, Table] = {}
        self._setting_up = asyncio.Lock()

    async def open(self) -> None:
        """Connect; nothing is made before the first index."""
        await self.connections.open()

    async def close(self) -> None:
        """Close what open() opened."""
        await self.connections.close()

    async def create_index(
        self, name: str, *, dimension: int, metric: Metric, metadata_indexes: Sequence[Path], layout: Layout | None = None
    ) -> None:
        """Make the table and its indexes; where nothing is missing that is one read. An index of another *layout* is refused."""
        check_dimension(name, dimension)
        wanted = Wanted(name=name, dimension=dimension, metric=metric, layout=layout or self.layout, fields=metadata_indexes)
        table = await self._read(name)
        if table is None:
            async with self._setting_up:
                await make(self.connections, wanted, schema=self._schema)
            table = await self._table(name)
        check_same(wanted, table, layout=layout is not None)
        if table.mends or table.lacks(metadata_indexes):
            await self._mend(name, metadata_indexes)

    async def list_indexes(self) -> list[str]:
        return [name for (name,) in await self._rows(Statement(vector_tables.NAMES, {"schema": self._schema}))]

    async def describe_index(self, name: str) -> IndexDescription:
        table = await self._table(name)
        ((count,),) = await self._rows(Statement(vector_writes.count(table), {}))
        return IndexDescription(dimension=table.dimension, count=count, metric=table.metric)

    async def delete_index(self, name: str) -> None:
        table = await self._read(name)
        if table is not None:
            del self._tables[name]
            await self._changed(Statement(f"DROP TABLE IF EXISTS {table.relation}", {}))

    async def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Write all rows in one statement."""
        await self._fitting(name, [row.vector for row in rows])
        await self._at(name, lambda table: self._changed(vector_writes.upsert(table, rows)))

    async def query(self, name: str, search: Search) -> list[VectorMatch]:
        """Search in one round trip, or in more where Python has to decide and finds too few among the nearest."""
        await self._fitting(name, [search.vector])
        if search.condition == NEVER:
            await self._table(name)
            return []
        return await self._at(name, lambda table: self._found(table, search))

    async def update(self, name: str, target: Target, *, vector: Packed | None, metadata: str | None) -> int:
        """Change all vectors meant in one statement, or one transaction."""
        await self._fitting(name, [] if vector is None else [vector])
        return await self._at(
            name, lambda table: self._change(table, target, vector_writes.update(table, vector=vector, metadata=metadata))
        )

    async def delete(self, name: str, target: Target) -> int:
        """Remove all vectors meant in one statement, or one transaction."""
        return await self._at(name, lambda table: self._change(table, target, vector_writes.delete(table)))

    def diagnose(self, error: BaseException) -> Fault | None:
        """What PostgreSQL's SQLSTATE means; a deadlock was undone whole."""
        if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
            text = str(error).partition("\n")[0]
            return Fault(error=ConflictError, message=f"PostgreSQL: {text}: others changed the same vectors; try again", retry=True)
        if isinstance(error, psycopg.errors.NumericValueOutOfRange):
            text = str(error).partition("\n")[0]
            return Fault(error=InvalidInputError, message=f"PostgreSQL: {text}; keep such vectors in an index of vector_type='vector'")
        return diagnose(error)

    # ------------------------------------------------------------------------------------------------ what tables are

    async def _table(self, name: str) -> Table:
        """What is known of a table, read when nothing is; one of an older version is made like ours.

        Raises:
            NoIndex: there is no such table.
        """
        table = self._tables.get(name) or await self._read(name)
        if table is not None and table.mends:
            await self._mend(name, ())
            table = await self._read(name)
        if table is None:
            raise NoIndex(name)
        return table

    async def _mend(self, name: str, fields: Sequence[Path]) -> None:
        async with self._setting_up:
            await mend(self.connections, lambda: self._read(name), fields)
        await self._read(name)

    async def _read(self, name: str) -> Table | None:
        """What a table is now."""
        self._tables.pop(name, None)
        extensions, tables = await self._piped(
            [
                Statement(vector_tables.EXTENSION, {}),
                Statement(vector_tables.DESCRIPTION, {"schema": self._schema, "name": name}),
            ]
        )
        if not extensions or not tables:
            return None
        extension, (row,) = vector_tables.extension(extensions[0]), tables
        table = vector_tables.described(name, row, decode_json(row[-1]), schema=self._schema, extension=extension)
        self._tables[name] = table
        return table

    async def _fitting(self, name: str, vectors: Sequence[Packed]) -> None:
        """Refuse vectors of another dimension than the table has now."""
        table = await self._table(name)
        if any(len(vector) != table.dimension for vector in vectors):
            self._tables.pop(name, None)
            check_fits(name, dimension=(await self._table(name)).dimension, vectors=vectors)

    async def _at(self, name: str, work: Callable[[Table], Awaitable[T]]) -> T:
        """What *work* gives for the table; done again, once, when the table is found to be another."""
        table = await self._table(name)
        try:
            return await work(table)
        except (_Replaced, *_STALE) as error:
            self._tables.pop(name, None)
            now = await self._table(name)
            if now == table and not isinstance(error, _Replaced):
                raise
            return await work(now)

    # ------------------------------------------------------------------------------------------------------- searching

    async def _found(self, table: Table, search: Search) -> list[VectorMatch]:
        part = pushed(search.condition)
        limit = search.top_k if part.rest == ALWAYS else LOOKED_AT * search.top_k
        statement = vector_queries.nearest(table, search.vector, part, limit=limit, with_vector=search.include_vector)
        statements = [Statement(vector_tables.SAME, {"relation": table.relation}), statement]
        if table.nearness is not None:
            given = settings(table.nearness.kind, limit=limit, iterative=table.extension.iterative)
            chosen = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in given.items())
            statements.insert(1, Statement(f"SELECT {chosen}", {}))
        ((oid, indexes),), *_, rows = await self._piped(statements)
        if (oid, tuple(indexes)) != table.identity:
            raise _Replaced
        near = [match(table, row) for row in rows]
        best = [one for one in near if met(part.rest, one.metadata)][: search.top_k]
        if len(best) == search.top_k or len(near) < limit:
            return best
        # The wanted ones are rare.
        best = []
        async with aclosing(self._all_matches(table, search)) as matches:
            async for one in matches:
                best.append(one)
                if len(best) == search.top_k:
                    break
        return best

    async def _all_matches(self, table: Table, search: Search) -> AsyncGenerator[VectorMatch, None]:
        """Everything that meets the condition, the nearest first, a page at a time."""
        part = pushed(search.condition)
        where = vector_queries.places(table, search.vector, part)
        read = vector_queries.rows_at(table, with_vector=search.include_vector)
        async with self.connections.connection() as connection, connection.transaction():
            # Places hold within one snapshot only.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            async with connection.cursor(name="nearest") as cursor:
                await cursor.execute(where.sql, where.values)
                while found := await cursor.fetchmany(PAGE):
                    rows = await (await connection.execute(read, {"places": [place for place, _ in found]})).fetchall()
                    held = {place: (name, metadata, vector) for place, name, metadata, vector in rows}
                    for place, distance in found:
                        name, metadata, vector = held[place]
                        one = match(table, (name, distance, metadata, vector))
                        if met(part.rest, one.metadata):
                            yield one

    # -------------------------------------------------------------------------------------------------------- changing

    async def _change(self, table: Table, target: Target, statement: Statement) -> int:
        """Run an UPDATE or DELETE without a condition for the vectors meant; how many there were."""
        if target.ids is not None:
            return await self._changed(vector_writes.of_ids(statement, target.ids))
        if target.condition == NEVER:
            return 0
        part = pushed(target.condition)
        if part.rest == ALWAYS:
            return await self._changed(vector_writes.of_part(statement, part))

        async def page_by_page(connection: Connection) -> int:
            count, after = 0, ""
            while True:
                page = vector_writes.page(table, part, after=after, limit=PAGE)
                rows = await (await connection.execute(page.sql, page.values, prepare=False)).fetchall()
                meant = [name for name, text in rows if met(part.rest, metadata_of(table, name, text))]
                if meant:
                    change = vector_writes.of_ids(statement, meant)
                    count += (await connection.execute(change.sql, change.values, prepare=False)).rowcount
                if len(rows) < PAGE:
                    return count
                after = rows[-1][0]

        return await self.connections.transaction("BEGIN", page_by_page)

    async def _changed(self, statement: Statement) -> int:
        async def work(connection: Connection) -> int:
            return int((await connection.execute(statement.sql, statement.values, prepare=False)).rowcount)

        return await self.connections.write(work)

    async def _rows(self, statement: Statement) -> list[tuple[Any, ...]]:
        return (await self._piped([statement]))[0]

    async def _piped(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The rows of every statement, in one round trip and one transaction; none is prepared, as a plan must fit its values."""

        async def work(connection: Connection) -> list[list[tuple[Any, ...]]]:
            cursors = [connection.cursor() for _ in statements]
            async with connection.pipeline():
                for cursor, statement in zip(cursors, statements, strict=True):
                    await cursor.execute(statement.sql, statement.values, prepare=False)
            return [await cursor.fetchall() for cursor in cursors]

        return await self.connections.read(work)
