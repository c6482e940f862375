"""How a client is made, of a URL or of its parts: one node, the master that Sentinels name, or a cluster.

Knows redis-py's ways to connect and what a URL may say. Sends nothing; must not know a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import attrs
from redis.asyncio import Connection, Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mastra_core.errors import ConfigurationError

Client = Redis | RedisCluster
SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
OPTIONS = ("key_prefix", "typescript_writes", "wait_replicas")
"""Options of the store that a URL may carry after `?`, beside those of redis-py."""
FORMS = (
    "redis://user:password@host:6379/0, rediss://… (TLS), unix:///path/to/redis.sock?db=0, "
    "redis+sentinel://host:26379,host2:26379/service/0 or redis+cluster://host:6379,host2:6379"
)
PORTS = {"sentinel": 26379, "cluster": 6379}


@attrs.frozen(kw_only=True)
class Target:
    """What a URL says: how to make a client, and options of the store."""

    connect: Callable[[], Client]
    options: Mapping[str, str]


def target(url: str) -> Target:
    """Read *url*; nothing is sent.

    Raises:
        ConfigurationError: it cannot be read; the message has no part of it that may be a secret.
    """
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in SCHEMES:
        msg = (
            f"RedisStore: the URL begins with {scheme!r}; it must begin with one of {', '.join(f'{name}://' for name in SCHEMES)}"
            if colon
            else f"RedisStore: connection_string is no URL; write {FORMS}"
        )
        raise ConfigurationError(msg)
    said = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    options = {name: said.pop(name) for name in OPTIONS if name in said}
    base, _, form = scheme.partition("+")
    try:
        if form == "sentinel":
            connect = _sentinel(base, rest, said)
        elif form == "cluster":
            connect = _cluster(base, rest, said)
        else:
            connect = _node(f"{scheme}://{_without_query(rest)}{_query(said)}")
    except ValueError:
        # Its words quote what was read as a port, which may be half a password.
        msg = f"RedisStore: the URL cannot be read; write {FORMS}, with %-codes for / @ : # ? in user name and password"
        raise ConfigurationError(msg) from None
    except TypeError:
        msg = (
            f"RedisStore: redis-py does not know all of the URL's options {sorted(said)}; those of the store are {', '.join(OPTIONS)}, and "
            "those that begin with ssl_ go with rediss:// alone"
        )
        raise ConfigurationError(msg) from None
    return Target(connect=connect, options=options)


def of_parts(*, host: str, port: int, username: str | None, password: str | None, db: int) -> Callable[[], Client]:
    """What makes a client of one node."""
    return lambda: Redis(host=host, port=port, username=username, password=password, db=db, retry=_never())


def _node(url: str) -> Callable[[], Client]:
    _checked(parse_url(url))
    return lambda: Redis.from_url(url, retry=_never())


def _sentinel(base: str, rest: str, said: Mapping[str, str]) -> Callable[[], Client]:
    hosts, userinfo, path = _hosts(rest, "sentinel")
    service, _, database = path.partition("/")
    if not service:
        raise ConfigurationError("RedisStore: the URL names no service; write redis+sentinel://host:26379/mymaster/0")
    of_sentinels = {name.removeprefix("sentinel_"): value for name, value in said.items() if name.startswith("sentinel_")}
    others = {name: value for name, value in said.items() if not name.startswith("sentinel_")}
    of_sentinels = {name: value for name, value in others.items() if name.startswith("ssl_")} | of_sentinels
    options = _options(base, userinfo, f"/{database}", others)
    sentinel_options = _options(base, "", "", of_sentinels) | {name: value for name, value in options.items() if name.startswith("socket_")}

    def connect() -> Client:
        sentinel = Sentinel(hosts, sentinel_kwargs=sentinel_options | {"retry": _never()})  # type: ignore[no-untyped-call]
        client: Redis = sentinel.master_for(service, retry=_never(), **options)
        return client

    return connect


def _cluster(base: str, rest: str, said: Mapping[str, str]) -> Callable[[], Client]:
    hosts, userinfo, path = _hosts(rest, "cluster")
    if path not in {"", "0"}:
        raise ConfigurationError("RedisStore: a cluster has one database, without a number; use key_prefix to tell programs apart")
    options = _options(base, userinfo, "", said)
    return lambda: RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in hosts], retry=_never(), **options)


def _options(base: str, userinfo: str, path: str, said: Mapping[str, str]) -> dict[str, Any]:
    """redis-py's arguments for what a URL says beside its hosts."""
    options: dict[str, Any] = dict(parse_url(f"{base}://{userinfo}host{path}{_query(said)}"))
    del options["host"]
    _checked(options)
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return options


def _checked(options: Mapping[str, Any]) -> None:
    """Make a connection that is never used: redis-py would else refuse options, and files for TLS, at the first command.

    Raises:
        ConfigurationError: what is said of TLS cannot be.
    """
    made = dict(options)
    try:
        connection = made.pop("connection_class", Connection)(**{name: value for name, value in made.items() if name not in _OF_POOLS})
        if isinstance(connection, SSLConnection):
            connection.ssl_context.get()
    except (OSError, RedisError) as error:
        files = ", ".join(f"{name}={options[name]}" for name in _FILES if name in options)
        msg = f"RedisStore: the URL's options for TLS cannot be used{f' ({files})' if files else ''}: {error}"
        raise ConfigurationError(msg) from None


_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_OF_POOLS = frozenset({"max_connections", "timeout"})


def _hosts(rest: str, form: str) -> tuple[list[tuple[str, int]], str, str]:
    """The hosts with their ports, the user's part with its `@`, and the path."""
    netloc, _, path = _without_query(rest).partition("/")
    userinfo, at, places = netloc.rpartition("@")
    hosts = []
    for place in places.split(","):
        parts = urlsplit(f"//{place}")
        if not parts.hostname:
            raise ValueError(form)
        hosts.append((parts.hostname, parts.port or PORTS[form]))
    return hosts, userinfo + at, unquote(path)


def _without_query(rest: str) -> str:
    return rest.partition("?")[0]


def _query(said: Mapping[str, str]) -> str:
    return f"?{urlencode(said)}" if said else ""


def _never() -> Retry:
    """A write that was made must not be sent again; what may be repeated, the store repeats itself."""
    return Retry(NoBackoff(), 0)
