"""Where a store connects to: the one way that was given, as libpq takes it, or a pool. Repeats no password; opens no connection."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from mastra_core.errors import ConfigurationError
from mastra_core.storage.options import one_way
from mastra_pg.connections import Connections, Preparing
from mastra_pg.names import check_schema_name

Pool = AsyncConnectionPool[Any]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
OURS = ("schema_name", "skip_default_indexes")
"""What a URL may say besides libpq's parameters, so that a command line can say it."""

SYSTEM_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where operating systems keep the authorities that they trust: Debian, Fedora and Red Hat, older ones of these, SUSE, Alpine and macOS."""

_URL = re.compile(r"(?P<scheme>postgres(?:ql)?)(?:\+\w+)?(?P<rest>://.*)", re.DOTALL)
_UNKNOWN = re.compile(r'invalid (?:URI query parameter|connection option)\W+"(\w+)"')


@attrs.frozen(kw_only=True)
class Limits:
    """How many connections a pool of ours keeps, and for how long; the defaults of the stores' options.

    Attributes:
        max_connections: how many at most.
        max_lifetime_seconds: when a connection is replaced by a new one.
        max_idle_seconds: when one that is not needed is closed.
        prepare_threshold: after how many runs a statement is prepared; None: never; "auto": never behind a pooler.
    """

    max_connections: int = 20
    max_lifetime_seconds: float = 1800
    max_idle_seconds: float = 300
    prepare_threshold: Preparing = "auto"


@attrs.frozen(kw_only=True)
class Address:
    """The way to connect.

    Attributes:
        source: libpq's parameters, or the pool that was handed in.
        said: which of `OURS` the URL says.
    """

    source: str | Pool = attrs.field(repr=False)
    said: Mapping[str, str]

    def connections(self, limits: Limits, *, of: str) -> Connections:
        """The connections of a store.

        Raises:
            ConfigurationError: *limits* are not what they may be, or are for a pool that has its own.
        """
        if not isinstance(self.source, str):
            for field in attrs.fields(Limits):
                if getattr(limits, field.name) != field.default:
                    msg = f"{of}: {field.name} is for a pool that the store makes; set it where the pool is made, or leave out pool"
                    raise ConfigurationError(msg)
            return Connections(self.source)
        for name in ("max_connections", "max_lifetime_seconds", "max_idle_seconds"):
            value: object = getattr(limits, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
                msg = f"{of}: {name} must be more than 0, found {value!r}"
                raise ConfigurationError(msg)
        threshold: object = limits.prepare_threshold
        if threshold not in {None, "auto"} and (not isinstance(threshold, int) or isinstance(threshold, bool) or threshold < 0):
            msg = f"{of}: prepare_threshold must be a number from 0, None for never, or 'auto', found {threshold!r}"
            raise ConfigurationError(msg)
        return Connections(self.source, **attrs.asdict(limits))

    def schema_name(self, given: str | None, *, of: str) -> str | None:
        """The schema that was given, as an option or by the URL.

        Raises:
            ConfigurationError: both give one, or it is no name of a schema.
        """
        said = self.said.get("schema_name")
        if given is not None and said not in {None, given}:
            msg = f"{of}: two schemas were given, {said!r} in connection_string and schema_name={given!r}; leave one out"
            raise ConfigurationError(msg)
        return check_schema_name(given if said is None else said, at=of)


def address_of(*, of: str, connection_string: object, pool: object, ssl: object, parts: Mapping[str, object]) -> Address:
    """The one way to connect that was given.

    Args:
        of: the class, to begin messages with.
        connection_string: None where it was not given, as everything.
        pool: of the application.
        ssl: a mode of libpq, True or False.
        parts: host, port, database, user and password.

    Raises:
        ConfigurationError: none was given, or more than one, or one cannot be read.
    """
    example = f"{of}(connection_string='postgresql://user:password@localhost:5432/mydb')"
    way = one_way({"connection_string": connection_string, "host": parts["host"], "pool": pool}, of=of, example=example)
    stray = [name for name, value in parts.items() if name != "host" and value is not None]
    if way != "host" and stray:
        msg = f"{of} takes exactly one way to connect; found {way}, and {' and '.join(stray)}, which goes with host. Leave out one of them"
        raise ConfigurationError(msg)
    if way == "pool":
        return Address(source=_pool(pool, ssl, of=of), said={})
    if way == "host":
        return Address(source=_trusting(_with_ssl(_of_host(parts, of=of), ssl, of=of)), said={})
    libpq, said = _of_url(connection_string, of=of)
    return Address(source=_trusting(_with_ssl(libpq, ssl, of=of)), said=said)


def _pool(pool: object, ssl: object, *, of: str) -> Pool:
    if not isinstance(pool, AsyncConnectionPool):
        msg = f"{of}: pool must be a psycopg_pool.AsyncConnectionPool, found {type(pool).__module__}.{type(pool).__name__}"
        raise ConfigurationError(msg)
    if ssl is not None:
        msg = f"{of}: ssl is for connections that the store makes; set sslmode where the pool is made, or leave out pool"
        raise ConfigurationError(msg)
    return pool


def _of_host(parts: Mapping[str, object], *, of: str) -> str:
    lacking = [name for name in ("database", "user") if not parts[name]]
    if lacking:
        msg = f"{of}: host is given without {' and '.join(lacking)}; give host, database and user, and port and password if need be"
        raise ConfigurationError(msg)
    port = 5432 if parts["port"] is None else parts["port"]
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        msg = f"{of}: port must be a number from 1 to 65535, found {port!r}"
        raise ConfigurationError(msg)
    for name, value in parts.items():
        if name != "port" and not isinstance(value, str | None):
            msg = f"{of}: {name} must be a string, found {type(value).__name__}"
            raise ConfigurationError(msg)
    named = {"host": parts["host"], "port": port, "dbname": parts["database"], "user": parts["user"], "password": parts["password"]}
    return make_conninfo("", **{name: value for name, value in named.items() if value is not None})  # type: ignore[arg-type]  # checked above


def _of_url(given: object, *, of: str) -> tuple[str, dict[str, str]]:
    """What libpq takes of a connection string, and what is ours in it."""
    if not isinstance(given, str):
        msg = f"{of}: connection_string must be a string, found {type(given).__name__}"
        raise ConfigurationError(msg)
    said: dict[str, str] = {}
    match = _URL.fullmatch(given.strip())
    if match is None:
        return _readable(given.strip(), of=of), said
    rest, mark, query = match["rest"].partition("?")
    kept = []
    for part in query.split("&") if mark else []:
        name, _, value = part.partition("=")
        if name in OURS:
            said[name] = unquote(value)
        else:
            kept.append(part)
    return _readable(match["scheme"] + rest + ("?" if kept else "") + "&".join(kept), of=of), said


def _readable(libpq: str, *, of: str) -> str:
    """*libpq* if it can be read; of an error, the name of a parameter alone is repeated, as the rest may be a password."""
    try:
        conninfo_to_dict(libpq)
    except psycopg.ProgrammingError as error:
        unknown = _UNKNOWN.search(str(error))
        said = (
            f"PostgreSQL knows no parameter {unknown[1]!r}; leave it out, or name one of {list(OURS)}" if unknown else "it cannot be read"
        )
        msg = (
            f"{of}: connection_string: {said}. It is written 'postgresql://user:password@host:5432/database', or 'host=… dbname=…'; "
            "special characters in a URL's user and password are percent-encoded (urllib.parse.quote, safe='')"
        )
        raise ConfigurationError(msg) from None
    return libpq


def _with_ssl(libpq: str, ssl: object, *, of: str) -> str:
    """*libpq* with the mode that *ssl* says."""
    if ssl is None:
        return libpq
    mode = {True: "require", False: "disable"}.get(ssl) if isinstance(ssl, bool) else ssl
    if mode not in MODES:
        msg = f"{of}: ssl must be True (as 'require'), False or one of {list(MODES)}, found {ssl!r}"
        raise ConfigurationError(msg)
    held = conninfo_to_dict(libpq).get("sslmode")
    if held not in {None, mode}:
        msg = f"{of}: two modes of TLS were given, sslmode={held} in connection_string and ssl={ssl!r}; leave one out"
        raise ConfigurationError(msg)
    return make_conninfo(libpq, sslmode=mode)


def _trusting(libpq: str) -> str:
    """*libpq* with the file that sslrootcert=system means here.

    The OpenSSL in psycopg's wheels looks for authorities where no system has them, unless a variable says where they are. One of the
    system, which psycopg uses otherwise, knows.
    """
    told = conninfo_to_dict(libpq)
    named = told.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    mode = told.get("sslmode") or os.environ.get("PGSSLMODE") or "verify-full"
    if named != "system" or mode != "verify-full" or psycopg.pq.__impl__ != "binary":
        # A weaker mode is refused by libpq, beside "system".
        return libpq
    if "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ:
        return libpq
    found = next((file for file in SYSTEM_AUTHORITIES if Path(file).is_file()), "system")
    return make_conninfo(libpq, sslrootcert=found, sslmode=mode)
