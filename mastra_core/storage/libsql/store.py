"""LibSQLStore: the default, in a file beside the program, or on a libSQL server. Builds the engine; must not run a statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Never

from mastra_core.errors import ConfigurationError
from mastra_core.storage.libsql.address import SCHEMES, Address
from mastra_core.storage.libsql.driver import Place
from mastra_core.storage.libsql.engine import LibSQLEngine
from mastra_core.storage.options import one_way, refuse_unknown
from mastra_core.storage.records.engine import RecordEngine
from mastra_core.storage.store import Store


class LibSQLStore(Store):
    """A store in an SQLite file or on a libSQL server (sqld, Turso) that the TypeScript package `@mastra/libsql` reads and writes too.

    In a file, every commit is on the disk before a save returns (`synchronous=FULL`); concurrent saves share a commit. A server is asked
    over HTTP, once to read a turn and once to write it; that needs the extra `mastra-core[libsql]`.

    Args:
        id: its name in errors and logs; default "libsql".
        url: `file:./mastra.db`, `file:/data/mastra.db?mode=ro`, or `:memory:`, which is lost at the end; of a server `libsql://host`,
            `https://host:port` or `http://host:port`. `libsql://host:port?tls=0` is without TLS.
        auth_token: the token of a server; the URL's `?authToken=…` does as well. It is never shown.
        config: the older form, `{"url": …, "auth_token": …}`, in place of *url* and *auth_token*.

    Raises:
        ConfigurationError: there is no url, or there are two; it names no file and no server; a token was given for a file; or an option
            is unknown.
    """

    def __init__(
        self,
        *,
        id: str = "libsql",  # the option's fixed name
        url: str | None = None,
        auth_token: str | None = None,
        config: Mapping[str, str] | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, known=("id", "url", "auth_token", "config"), at="LibSQLStore")
        way = one_way({"url": url, "config": config}, of="LibSQLStore", example="LibSQLStore(url='file:./mastra.db')")
        if way == "config":
            refuse_unknown(config or {}, known=("url", "auth_token"), at="LibSQLStore(config=…)")
            url, inside = (config or {}).get("url"), (config or {}).get("auth_token")
            if auth_token and inside:
                msg = "LibSQLStore: two tokens were given, auth_token and config['auth_token']; leave one out"
                raise ConfigurationError(msg)
            auth_token = auth_token or inside
        super().__init__(_engine(url or "", auth_token), id=id, product="libsql")


def open_libsql(url: str) -> LibSQLStore:
    """The store of a `file:`, `:memory:` or `libsql:` URL; what the plugin's description names."""
    return LibSQLStore(url=url)


def _engine(url: str, auth_token: str | None) -> RecordEngine:
    if url.partition(":")[0].lower() in SCHEMES:
        # Imported here, so that a file needs nothing of it.
        from mastra_core.storage.libsql.remote import RemoteLibSQLEngine

        return RemoteLibSQLEngine(Address.of_url(url, auth_token=auth_token))
    place = Place.of_url(url)
    if auth_token:
        msg = "LibSQLStore: auth_token is for a server, and a file has none; leave it out, or write url='libsql://…'"
        raise ConfigurationError(msg)
    return LibSQLEngine(place)
