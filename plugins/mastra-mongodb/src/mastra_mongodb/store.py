"""MongoDBStore: builds the engine; must not make a request."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import AsyncMongoClient

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.lifetimes import Lifetimes
from mastra_core.storage.store import Store
from mastra_mongodb import lifetimes
from mastra_mongodb.address import FORM, address, database_name
from mastra_mongodb.address import SETTINGS as COMMON
from mastra_mongodb.engine import MongoDBEngine
from mastra_mongodb.indexes import given

SETTINGS: Mapping[str, Any] = {**COMMON, "socketTimeoutMS": 45_000}
"""Unless the options or the uri say otherwise: no call waits for ever."""


class MongoDBStore(Store):
    """A store in one MongoDB database, which the TypeScript package `@mastra/mongodb` reads and writes too.

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
        ttl: by entity ("thread", "message", "resource", "workflow_snapshot", "score", and "span", which TypeScript calls "trace"), a
            timedelta or seconds after which MongoDB deletes a record that is not written again; of a message and a span, after it was made.
            Nothing goes by itself without it. What was asked for stays in force until its index is dropped.

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
        if client is not None:
            make, database = (lambda: client), database_name(db_name, of="MongoDBStore")
        else:
            where = address(uri or url, db_name=db_name, options=options, settings=SETTINGS, of="MongoDBStore")
            make, database = where.client, where.database
        engine = MongoDBEngine(
            make,
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
