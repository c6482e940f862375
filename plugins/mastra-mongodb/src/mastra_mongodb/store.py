"""MongoDBStore: builds the engine; must not make a request."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import InvalidURI
from pymongo.uri_parser import parse_uri

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.lifetimes import Lifetimes
from mastra_core.storage.store import Store
from mastra_mongodb import lifetimes
from mastra_mongodb.engine import MongoDBEngine
from mastra_mongodb.indexes import given
from mastra_mongodb.wire import Document

FORM = "mongodb://USER:PASSWORD@HOST:27017/DATABASE"
DEFAULTS: Mapping[str, Any] = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "socketTimeoutMS": 45_000, "appname": "mastra"}
"""Unless the options or the uri say otherwise: a server that is away is told within seconds, and no call waits for ever."""


class MongoDBStore(Store):
    """A store in one MongoDB database, which the TypeScript package `@mastra/mongodb` reads and writes too. Not yet released.

    Args:
        id: its name in errors and logs.
        uri: `mongodb://…` or `mongodb+srv://…`.
        db_name: the database; None is the one that *uri* names.
        options: of pymongo's client, such as `{"maxPoolSize": 10, "serverSelectionTimeoutMS": 5000}` (milliseconds); they go
            before the uri's.
        url: the deprecated name of *uri*.
        client: a `pymongo.AsyncMongoClient` to use instead, in place of *uri* and *options*; it is not closed.
        transactions: None uses them where the server has them; False does without; True refuses a server that has none.
        indexes: further indexes to make: `{"collection": "mastra_threads", "keys": {"metadata.team": 1}, "options": {"name": "team"}}`.
        skip_default_indexes: leave the indexes that reads and writes need to an operator; `mastra ddl URL` lists them.
        ttl: by entity ("thread", "message", "resource", "workflow_snapshot", "score", "span"), a timedelta or seconds after which
            MongoDB deletes a record that is not written again; of a message and a span, after it was made. Nothing goes by itself without
            it. What was asked for stays in force until its index is dropped.

    Raises:
        ConfigurationError: no way to connect is given, or two are; the uri or an option cannot be used; there is no database's name.
    """

    def __init__(
        self,
        *,
        id: str = "mongodb",
        uri: str = "",
        db_name: str | None = None,
        options: Mapping[str, Any] | None = None,
        url: str = "",
        client: AsyncMongoClient[Any] | None = None,
        transactions: bool | None = None,
        indexes: Sequence[Mapping[str, Any]] = (),
        skip_default_indexes: bool = False,
        ttl: Lifetimes | None = None,
    ) -> None:
        if url:
            warnings.warn("MongoDBStore: url is deprecated; call it uri", DeprecationWarning, stacklevel=2)
        ways = [name for name, value in (("uri", uri), ("url", url), ("client", client)) if value]
        if len(ways) != 1 or (client is not None and options is not None):
            found = "none of them" if not ways else " and ".join([*ways, *(["options"] if client is not None and options else [])])
            raise ConfigurationError(f"MongoDBStore takes a uri, such as {FORM}, with options if need be, or a client; found {found}")
        named = None if client is not None else _named(uri or url, options or {})
        database = db_name or named
        if not database:
            raise ConfigurationError(f"MongoDBStore needs the name of a database: pass db_name, or name it in the uri: {FORM}")
        engine = MongoDBEngine(
            partial(AsyncMongoClient[Document], uri or url, **_settings(uri or url, options or {})) if client is None else lambda: client,
            database,
            keeps_client=client is not None,
            transactions=transactions,
            indexes=(*given(indexes), *lifetimes.read(ttl)),
            skip_default_indexes=skip_default_indexes,
        )
        super().__init__(engine, id=id, product="mongodb")


def open_mongodb(url: str) -> MongoDBStore:
    """The store of a `mongodb://` URL, which names the database; what the plugin's description names.

    Raises:
        ConfigurationError: it cannot be used, or names no database.
    """
    return MongoDBStore(uri=url)


def _parsed(uri: str) -> Mapping[str, Any]:
    """The parts of a uri that can be told without a network; of mongodb+srv:// the options in its DNS record are not among them."""
    plain = "mongodb://" + uri.removeprefix("mongodb+srv://") if uri.startswith("mongodb+srv://") else uri
    try:
        return parse_uri(plain, validate=False, warn=False)
    except (InvalidURI, DriverConfigurationError, ValueError):
        # Without the driver's words: they may quote the uri, and with it a password.
        raise ConfigurationError(f"MongoDBStore: the uri cannot be read; its form is {FORM}, with %-escapes in user and password") from None


def _named(uri: str, options: Mapping[str, Any]) -> str | None:
    _ = options
    database = _parsed(uri)["database"]
    return None if database is None else str(database)


def _settings(uri: str, options: Mapping[str, Any]) -> dict[str, Any]:
    said = {str(name).lower() for name in (*_parsed(uri)["options"], *options)}
    return {**{name: value for name, value in DEFAULTS.items() if name.lower() not in said}, **options}
