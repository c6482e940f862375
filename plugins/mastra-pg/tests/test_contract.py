"""The PostgreSQL engine, certified by the kit on a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.rows import dict_row

from mastra_core.clock import is_stored_form
from mastra_core.storage.records.kind import Field, Key, Kind
from mastra_core.testing import CompositeContract, EngineContract, MemoryContract
from mastra_pg.connections import Connections
from mastra_pg.dialect import POSTGRESQL
from mastra_pg.engine import PostgreSQLEngine
from mastra_pg.store import PostgresStore
from tests.servers.fixtures import fresh_postgres_database


class TestPostgreSQLEngine(EngineContract):
    """The port. Must hold: "The whole kit passes." The other domains and vectors are certified in the files that are named for them."""

    snapshot = Path(__file__).parent / "snapshots" / "postgresql.txt"

    expected_failures: ClassVar = {
        "test_large_and_round_floats_come_back_equal": "JSONB keeps a number's value, not its notation: 1e23 comes back as a whole number",
    }

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.url = postgres_url

    @asynccontextmanager
    async def open_engine(self) -> AsyncIterator[PostgreSQLEngine]:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute("DROP SCHEMA public CASCADE")
            await connection.execute("CREATE SCHEMA public")
        yield PostgreSQLEngine(Connections(self.url, max_connections=10))

    def again(self, engine: PostgreSQLEngine) -> PostgreSQLEngine:
        return PostgreSQLEngine(Connections(self.url, max_connections=10))

    async def peek(self, engine: PostgreSQLEngine, kind: Kind[Any], key: Key) -> Mapping[str, Any] | None:
        async with await psycopg.AsyncConnection.connect(self.url, row_factory=dict_row) as connection:
            where = " AND ".join(f'"{kind.by_name[name].column}" = %s' for name in kind.key)
            return await (await connection.execute(f'SELECT * FROM "{kind.name}" WHERE {where}', key)).fetchone()

    async def on_disk(self, engine: PostgreSQLEngine, kind: Kind[Any], key: Key) -> Mapping[str, Any]:
        async with await psycopg.AsyncConnection.connect(self.url, options="-c TimeZone=UTC") as connection:
            columns = await connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position", [kind.name]
            )
            types = dict(await columns.fetchall())
            shown, where = (
                ", ".join(f'"{name}"::text' for name in types),
                " AND ".join(f'"{kind.by_name[name].column}" = %s' for name in kind.key),
            )
            row = await (await connection.execute(f'SELECT {shown} FROM "{kind.name}" WHERE {where}', key)).fetchone()
        assert row is not None
        return {f"{name} {form}": value for (name, form), value in zip(types.items(), row, strict=True)}

    async def poke(self, engine: PostgreSQLEngine, kind: Kind[Any], document: Mapping[str, Any]) -> bool:
        if any(field.type == "time" and not is_stored_form(document.get(field.stored) or "") for field in kind.fields):
            return False
        values = {field: document[field.stored] for field in kind.fields if field.stored in document}
        columns = [
            (column, column.bind.replace("{}", "%s"), stored(field, at))
            for field, at in values.items()
            for column in POSTGRESQL.columns(field)
        ]
        names, binds = ", ".join(f'"{column.name}"' for column, _, _ in columns), ", ".join(bind for _, bind, _ in columns)
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            try:
                await connection.execute(f'INSERT INTO "{kind.name}" ({names}) VALUES ({binds})', [value for _, _, value in columns])
            except psycopg.errors.NotNullViolation:
                return False
        return True


def stored(field: Field, value: Any) -> Any:
    """What a column takes for a value of a document."""
    return value if value is None or field.type not in {"json", "json_text"} else json.dumps(value)


class TestPostgresMemory(MemoryContract):
    """The memory domain."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.url = postgres_url

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[PostgresStore]:
        yield PostgresStore(connection_string=self.url)


class TestPostgresComposite(CompositeContract):
    """Two databases of one server."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str, postgres_server: Any) -> None:
        self.url, self.server = postgres_url, postgres_server

    @asynccontextmanager
    async def open_stores(self) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
        with fresh_postgres_database(self.server) as other:
            yield PostgresStore(id="one", connection_string=self.url), PostgresStore(id="other", connection_string=other)
