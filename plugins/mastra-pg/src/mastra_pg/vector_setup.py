"""Makes vector tables, and brings older ones up to date: the transactions around the statements of `vector_tables`.

Talks to psycopg; must not know searches.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import psycopg

from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.storage.vectors.checks import check_no_twin
from mastra_core.storage.vectors.conditions import Path
from mastra_pg import vector_tables
from mastra_pg.connection_state import Connection
from mastra_pg.connections import Connections
from mastra_pg.locks import holding
from mastra_pg.names import qualified, quoted
from mastra_pg.vector_names import field_index
from mastra_pg.vector_tables import Extension, Table, Wanted

LOCK = 7_274_002
"""The advisory lock under which vector tables are made and changed."""


async def make(connections: Connections, wanted: Wanted, *, schema: str | None) -> None:
    """Make the table, the extension and the schema, unless they are there; of many that do so at once one makes them.

    Raises:
        InvalidInputError: something else has the name, or one that differs by case alone.
        ConfigurationError: pgvector is not installed, or this role may not create the extension.
    """
    async with holding(connections, LOCK) as connection:
        if schema is not None and not await _rows(connection, "SELECT FROM pg_namespace WHERE nspname = %s", [schema]):
            await connection.execute(f"CREATE SCHEMA {quoted(schema)}")
        extension = await _extension(connection)
        names = [name for (name,) in await _rows(connection, vector_tables.NAMES, {"schema": schema})]
        if wanted.name in names:
            return
        check_no_twin(wanted.name, known=names)
        await _refuse_taken(connection, wanted.name, schema)
        for statement in vector_tables.creation(wanted, schema=schema, extension=extension):
            await connection.execute(statement)


async def mend(connections: Connections, read: Callable[[], Awaitable[Table | None]], fields: Sequence[Path]) -> None:
    """Run what the table that *read* gives lacks, and make the missing indexes of *fields* without keeping writers waiting.

    Of many that do so at once one does, the others wait; it holds a lock in one transaction, and works outside of it, because an index
    cannot be made concurrently within one.

    Raises:
        ConfigurationError: this role may not change the table, or the pool that was handed in has one connection.
    """
    if not connections.spare:
        msg = "making the indexes of a vector table while others write takes two connections; give the pool a max_size of 2 or more"
        raise ConfigurationError(msg)
    async with holding(connections, LOCK):
        table = await read()
        if table is not None:
            async with connections.connection() as connection:
                await _mend(connection, table, fields)


async def _mend(connection: Connection, table: Table, fields: Sequence[Path]) -> None:
    lacking = table.lacks(fields)
    makings = [vector_tables.create_field_index(table.name, table.relation, field, concurrently=True) for field in lacking]
    try:
        async with connection.transaction():
            for statement in table.mends:
                await connection.execute(statement)
        for field, statement in zip(lacking, makings, strict=True):
            # What a crash left half made would be taken for the index.
            if field_index(table.name, field) in table.invalid:
                await connection.execute(f"DROP INDEX {qualified(field_index(table.name, field), table.schema)}")
            await connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        msg = (
            f"the vector index {table.name!r}: role {connection.info.user!r} may not change its table ({_first(error)}); let its owner "
            f"run: {'; '.join([*table.mends, *makings])}"
        )
        raise ConfigurationError(msg) from error


async def _extension(connection: Connection) -> Extension:
    """pgvector, made if this role may."""
    found = await _rows(connection, vector_tables.EXTENSION)
    if not found:
        at = f"the database {connection.info.dbname!r}"
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.errors.InsufficientPrivilege as error:
            msg = (
                f"{at} has no pgvector, and role {connection.info.user!r} may not add it ({_first(error)}); "
                "let an operator run in that database: CREATE EXTENSION vector"
            )
            raise ConfigurationError(msg) from error
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
            msg = (
                f"{at} has no pgvector, and its server does not have it to add ({_first(error)}); install it there (the package "
                "postgresql-NN-pgvector of Debian, pgvector_NN of Red Hat), then run in that database: CREATE EXTENSION vector"
            )
            raise ConfigurationError(msg) from error
        found = await _rows(connection, vector_tables.EXTENSION)
    return vector_tables.extension(found[0])


async def _refuse_taken(connection: Connection, name: str, schema: str | None) -> None:
    """Refuse the name of something that is no vector table; PostgreSQL keeps tables, indexes, sequences and types in one list."""
    taken = await _rows(connection, "SELECT FROM pg_class WHERE oid = to_regclass(%s)", [qualified(name, schema)])
    if taken:
        msg = f"the index {name!r}: the database has a table, index or sequence of this name that holds no vectors; use another name"
        raise InvalidInputError(msg)


async def _rows(connection: Connection, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement, values)).fetchall()


def _first(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
