"""LibSQLStore: the default, in a file beside the program. Builds the engine; must not run a statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Never

from mastra_core.storage.libsql.driver import Place
from mastra_core.storage.libsql.engine import LibSQLEngine
from mastra_core.storage.options import one_way, refuse_unknown
from mastra_core.storage.store import Store


class LibSQLStore(Store):
    """A store in an SQLite file that the TypeScript package `@mastra/libsql` reads and writes too.

    Every commit is on the disk before a save returns (`synchronous=FULL`); concurrent saves share a commit.

    Args:
        id: its name in errors and logs; default "libsql".
        url: `file:./mastra.db`, `file:/data/mastra.db?mode=ro`, or `:memory:`, which is lost at the end.
        config: the older form, `{"url": …}`, in place of *url*.

    Raises:
        ConfigurationError: there is no url, or there are two; it names no file; or an option is unknown.
    """

    def __init__(
        self,
        *,
        id: str = "libsql",  # the option's fixed name
        url: str | None = None,
        config: Mapping[str, str] | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, known=("id", "url", "config"), at="LibSQLStore")
        way = one_way({"url": url, "config": config}, of="LibSQLStore", example="LibSQLStore(url='file:./mastra.db')")
        if way == "config":
            refuse_unknown(config or {}, known=("url",), at="LibSQLStore(config=…)")
            url = (config or {}).get("url")
        super().__init__(LibSQLEngine(Place.of_url(url or "")), id=id, product="libsql")


def open_libsql(url: str) -> LibSQLStore:
    """The store of a `file:` or `:memory:` URL; what the plugin's description names."""
    return LibSQLStore(url=url)
