"""PostgresStore: builds the engine; must not run a statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Never

from mastra_core.errors import ConfigurationError
from mastra_core.storage.options import refuse_unknown
from mastra_core.storage.store import Store
from mastra_pg.address import Address, Limits, Pool, SslMode, address_of
from mastra_pg.connections import Preparing
from mastra_pg.engine import PostgreSQLEngine
from mastra_pg.indexes import Index
from mastra_pg.tables import layout

OPTIONS = (
    "id", "connection_string", "host", "port", "database", "user", "password", "pool", "schema_name", "ssl", "skip_default_indexes",
    "indexes", "max_connections", "max_idle_seconds", "max_lifetime_seconds", "prepare_threshold",
)  # fmt: skip


class PostgresStore(Store):
    """A store in a PostgreSQL database, 16 or newer, that the TypeScript package `@mastra/pg` reads and writes too.

    It connects on first use, and makes what its tables lack; `.pool` is there for SQL of your own.

    Args:
        id: its name in errors and logs; default "postgresql".
        connection_string: `postgresql://user:password@host/database`, with libpq's parameters behind `?`, and `schema_name` and
            `skip_default_indexes`; or libpq's `key=value` form. Several hosts may be named.
        host: of the server, or the folder of its socket; in place of connection_string, with *database* and *user*.
        port: default 5432.
        database: its name.
        user: the role.
        password: None: what the server's rules, PGPASSWORD or a password file give.
        pool: an open psycopg_pool.AsyncConnectionPool, in place of all that; the store never closes it.
        schema_name: where the tables are, made if it is not there; None: the first schema of the search path, most often `public`.
        ssl: one of libpq's modes, "disable", "allow", "prefer", "require", "verify-ca" or "verify-full"; True is "require", which
            encrypts and asks for no certificate, False "disable"; None: what the connection string says, or "prefer".
        skip_default_indexes: make none of the indexes that keep reads fast; for who makes them otherwise.
        indexes: more indexes: each an `Index(…)` or a mapping of its fields.
        max_connections: how many at most, of one process; default 20.
        max_idle_seconds: when a connection that is not needed is closed; default 300.
        max_lifetime_seconds: when one is replaced by a new one; default 1800.
        prepare_threshold: after how many runs the server keeps a statement's plan; None: never, as poolers in transaction mode may
            need it; default "auto": never where a pooler answers.

    Raises:
        ConfigurationError: no way to connect was given, or two; an option is unknown or cannot be.
    """

    def __init__(
        self,
        *,
        id: str = "postgresql",  # the option's fixed name
        connection_string: str | None = None,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        user: str | None = None,
        password: str | None = None,
        pool: Pool | None = None,
        schema_name: str | None = None,
        ssl: bool | SslMode | None = None,
        skip_default_indexes: bool | None = None,
        indexes: Sequence[Index | Mapping[str, Any]] = (),
        max_connections: int = 20,
        max_idle_seconds: float = 300,
        max_lifetime_seconds: float = 1800,
        prepare_threshold: Preparing = "auto",
        **unknown: Never,
    ) -> None:
        at = "PostgresStore"
        refuse_unknown(unknown, known=OPTIONS, at=at)
        where = {"host": host, "port": port, "database": database, "user": user, "password": password}
        address = address_of(of=at, connection_string=connection_string, pool=pool, ssl=ssl, parts=where)
        limits = Limits(
            max_connections=max_connections,
            max_idle_seconds=max_idle_seconds,
            max_lifetime_seconds=max_lifetime_seconds,
            prepare_threshold=prepare_threshold,
        )
        places = layout(
            address.schema_name(schema_name, of=at), skip_default_indexes=_skips(skip_default_indexes, address), indexes=_indexes(indexes)
        )
        self._connections = address.connections(limits, of=at)
        super().__init__(PostgreSQLEngine(self._connections, layout=places), id=id, product="pg")

    @property
    def pool(self) -> Pool:
        """The pool of connections, for SQL of your own: `async with store.pool.connection() as connection: …`.

        It belongs to the event loop that uses the store first. Its connections are in autocommit; close the store, not the pool.

        Raises:
            ConfigurationError: the store is not open yet; `await store.init()` opens it, as any first use does.
        """
        return self._connections.pool


def open_postgres(url: str) -> PostgresStore:
    """The store of a `postgresql://` URL; what the plugin's description names."""
    return PostgresStore(connection_string=url)


def _skips(given: object, address: Address) -> bool:
    said: object = address.said.get("skip_default_indexes")
    found = {"true": True, "false": False}.get(str(said).lower(), said) if given is None else given
    if found is None or isinstance(found, bool):
        return bool(found)
    msg = f"PostgresStore: skip_default_indexes must be True or False, found {found!r}"
    raise ConfigurationError(msg)


def _indexes(given: object) -> list[Index]:
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        msg = f"PostgresStore: indexes must be a list of Index(…) or mappings, found {type(given).__name__}"
        raise ConfigurationError(msg)
    return [Index.of(index) for index in given]
