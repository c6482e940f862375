"""PostgresStore: builds the engine; must not run a statement."""

from __future__ import annotations

from mastra_core.errors import ConfigurationError
from mastra_core.storage.store import Store
from mastra_pg.engine import PostgreSQLEngine


class PostgresStore(Store):
    """A store in a PostgreSQL database that the TypeScript package `@mastra/pg` reads and writes too. Not yet released.

    Args:
        id: its name in errors and logs.
        connection_string: `postgresql://user:password@host/database`, or libpq's `key=value` form.

    Raises:
        ConfigurationError: *connection_string* is missing.
    """

    def __init__(self, *, id: str = "postgresql", connection_string: str = "") -> None:  # the option's fixed name
        if not connection_string:
            msg = "PostgresStore needs a connection_string, such as 'postgresql://user:password@localhost/mydb'"
            raise ConfigurationError(msg)
        super().__init__(PostgreSQLEngine(connection_string), id=id, product="pg")


def open_postgres(url: str) -> PostgresStore:
    """The store of a `postgresql://` URL; what the plugin's description names."""
    return PostgresStore(connection_string=url)
