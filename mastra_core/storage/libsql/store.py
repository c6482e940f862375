"""LibSQLStore: the default, in a file beside the program. Builds the engine; must not run a statement."""

from __future__ import annotations

from mastra_core.errors import ConfigurationError
from mastra_core.storage.libsql.driver import Place
from mastra_core.storage.libsql.engine import LibSQLEngine
from mastra_core.storage.store import Store


class LibSQLStore(Store):
    """A store in an SQLite file that the TypeScript package `@mastra/libsql` reads and writes too.

    Every commit is on the disk before a save returns (`synchronous=FULL`); concurrent saves share a commit.

    Args:
        id: its name in errors and logs; default "libsql".
        url: `file:./mastra.db`, `file:/data/mastra.db?mode=ro`, or `:memory:`, which is lost at the end.

    Raises:
        ConfigurationError: *url* is missing or names no file.
    """

    def __init__(self, *, id: str = "libsql", url: str = "") -> None:  # noqa: A002  # the option's fixed name
        if not url:
            msg = "LibSQLStore needs a url, such as 'file:./mastra.db', or ':memory:' for a store that is not kept"
            raise ConfigurationError(msg)
        super().__init__(LibSQLEngine(Place.of_url(url)), id=id, product="libsql")


def open_libsql(url: str) -> LibSQLStore:
    """The store of a `file:` or `:memory:` URL; what the plugin's description names."""
    return LibSQLStore(url=url)
