"""Where a MongoDB database is: what a uri says without a look into the network, and how the driver is set up for it. Opens nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from mastra_core.errors import ConfigurationError
from mastra_mongodb.wire import Document

FORM = "mongodb://USER:PASSWORD@HOST:27017/DATABASE"
SCHEMES = ("mongodb://", "mongodb+srv://")
SETTINGS: Mapping[str, Any] = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "appname": "mastra"}
"""Unless the options or the uri say otherwise: a server that is away is told within seconds."""
WRITE_CONCERN = {"w", "journal", "fsync", "wtimeoutms"}

# What no name of a database may have.
_NO_DATABASE = re.compile(r"""[\s/\\."$*<>:|?\0]""")


@attrs.frozen
class Address:
    """A database of a server.

    Attributes:
        uri: where the server is; may hold a password.
        database: the database's name.
        options: of pymongo's client; may hold a password.
    """

    uri: str = attrs.field(repr=False)
    database: str
    options: Mapping[str, Any] = attrs.field(repr=False)

    def client(self) -> AsyncMongoClient[Document]:
        """A new client, which connects when it is first used.

        Raises:
            ConfigurationError: a file that the options name cannot be read.
        """
        try:
            return AsyncMongoClient(self.uri, **self.options)
        except OSError as error:
            msg = f"a file that tlsCAFile, tlsCertificateKeyFile or tlsCRLFile names cannot be used: {error}"
            raise ConfigurationError(msg) from None


def address(uri: object, *, db_name: object, options: Mapping[str, Any] | None, settings: Mapping[str, Any] = SETTINGS, of: str) -> Address:
    """The checked address of a database.

    Args:
        uri: of the server; it may name the database.
        db_name: the database; None is the one that *uri* names.
        options: of pymongo's client; they go before those in *uri*.
        settings: options for what neither says.
        of: the store's class, for messages.

    Raises:
        ConfigurationError: it is no address of MongoDB, or no database is named, or one that cannot be.
    """
    if not isinstance(uri, str) or not uri.startswith(SCHEMES):
        shown = f"{uri.partition('://')[0]}://…" if isinstance(uri, str) and "://" in uri else type(uri).__name__
        raise ConfigurationError(f"{of}: uri begins with {' or '.join(SCHEMES)}, found {shown}")
    parsed, given = _parsed(uri, of), options or {}
    said = {str(name).lower() for name in (*parsed["options"], *given)}
    unsaid = {name: value for name, value in settings.items() if name.lower() not in said}
    if not said & WRITE_CONCERN:
        # On the disks of most members, or of the only one, which by itself confirms what it would lose if it were killed within 100 ms.
        unsaid["w"] = "majority"
    return Address(uri, database_name(db_name or parsed["database"], of=of), {**unsaid, **given})


def database_name(name: object, *, of: str) -> str:
    """*name*, if a database can have it.

    Raises:
        ConfigurationError: there is none, or one that cannot be.
    """
    if not isinstance(name, str) or not name or _NO_DATABASE.search(name):
        raise ConfigurationError(f"{of} needs the name of a database: pass db_name, or name it in the uri: {FORM}; found {name!r}")
    return name


def _parsed(uri: str, of: str) -> Mapping[str, Any]:
    """The parts of a uri that can be told without a network; of mongodb+srv:// the options in its DNS record are not among them."""
    try:
        return parse_uri(f"mongodb://{uri.partition('://')[2]}", validate=False, warn=False)
    except (PyMongoError, ValueError):
        # Without the driver's words: they may quote the uri, and with it a password.
        raise ConfigurationError(f"{of}: the uri cannot be read; its form is {FORM}, with %-escapes in user and password") from None
