"""`RedisStore`: its options, and the engine they make. Sends nothing; must not know a record."""

from __future__ import annotations

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.lifetimes import Lifetimes
from mastra_core.storage.store import Store
from mastra_redis import options
from mastra_redis.connections import Confirmation
from mastra_redis.engine import RedisEngine
from mastra_redis.setup import Client, Target, of_parts, target


class RedisStore(Store):
    """Threads, messages, runs, scores and spans in Redis: one node, a master that Sentinels name, or a cluster.

    Args:
        connection_string: `redis://`, `rediss://` (TLS), `unix://`, `redis+sentinel://host:26379,host2:26379/service/0` or
            `redis+cluster://host:6379,host2:6379`. It may carry key_prefix, typescript_writes and wait_replicas after `?`.
        host: one node instead, with *port*, *username*, *password* and the number *db* of its database.
        client: a client of redis.asyncio instead (of one node, of Sentinel's `master_for`, or a RedisCluster), which stays the caller's:
            close() leaves it open. It must answer bytes (no decode_responses) and must not retry by itself: a write that was made would
            be sent again.
        id: the store's name in errors and logs.
        key_prefix: what every key begins with, so that programs can share a database. `@mastra/redis` has no such option, so it finds
            nothing there.
        ttl: by entity ("thread", "message", "resource", "workflow_snapshot", "score", and "span", which TypeScript calls "trace"), a
            timedelta or seconds after which a record goes that is not written again. Nothing goes by itself without it.
        typescript_writes: whether `@mastra/redis` writes to this database too: lists then look through all keys, as TypeScript does.
        wait_replicas: how many replicas must have a write before it is answered; 0 is the master's word alone.
        wait_seconds: how long that may take.

    Raises:
        ConfigurationError: no way to connect or two, a URL that cannot be read, a client that decodes responses, or an option that
            cannot be.
    """

    def __init__(
        self,
        *,
        id: str = "redis",
        connection_string: str | None = None,
        host: str | None = None,
        port: int = 6379,
        username: str | None = None,
        password: str | None = None,
        db: int = 0,
        client: Client | None = None,
        key_prefix: str = "",
        ttl: Lifetimes | None = None,
        typescript_writes: bool = False,
        wait_replicas: int = 0,
        wait_seconds: float = 1.0,
    ) -> None:
        parts = {"port": port != 6379, "username": username is not None, "password": password is not None, "db": db != 0}
        _one_way({"connection_string": connection_string, "host": host, "client": client}, [name for name, said in parts.items() if said])
        there = _there(connection_string, client)
        if there is None:
            there = Target(connect=of_parts(host=str(host), port=port, username=username, password=password, db=db), options={})
        wait = options.replicas(wait_replicas or there.options.get("wait_replicas", 0))
        self._engine = RedisEngine(
            there.connect,
            owned=client is None,
            prefix=options.key_prefix(key_prefix or there.options.get("key_prefix", "")),
            typescript_writes=typescript_writes or options.flag("typescript_writes", there.options.get("typescript_writes", "false")),
            lifetimes=options.lifetimes(ttl),
            confirmation=Confirmation(replicas=wait, seconds=_seconds(wait_seconds)) if wait else None,
        )
        super().__init__(self._engine, id=id, product="redis")

    def get_client(self) -> Client:
        """The client of redis.asyncio that the store uses, for commands of your own; close the store, not the client.

        It belongs to the event loop that uses it first.
        """
        return self._engine.client


def open_redis(url: str) -> RedisStore:
    """The store of *url*, not yet connected."""
    return RedisStore(connection_string=url)


def _there(url: str | None, client: Client | None) -> Target | None:
    if url is not None:
        return target(url)
    if client is None:
        return None
    if client.get_encoder().decode_responses:
        msg = "RedisStore: the client decodes responses; make it with decode_responses=False, since texts are compared as bytes"
        raise ConfigurationError(msg)
    return Target(connect=lambda: client, options={})


def _one_way(ways: dict[str, object], parts: list[str]) -> None:
    for name in ("connection_string", "host"):
        if isinstance(ways[name], str) and not str(ways[name]).strip():
            raise ConfigurationError(f"RedisStore: {name} is required and cannot be empty.")
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        msg = (
            "RedisStore: give exactly one of connection_string ('redis://host:6379/0'), host (with port, username, password, db) and client"
            f" (of redis.asyncio); found {' and '.join(given) or 'none'}"
        )
        raise ConfigurationError(msg)
    if parts and given != ["host"]:
        raise ConfigurationError(f"RedisStore: {', '.join(parts)} go with host; put them into the {given[0]}, or give host instead")


def _seconds(value: float) -> float:
    # WAIT takes 0 for ever, and whole milliseconds.
    if isinstance(value, bool) or not 0.001 <= value <= 3600:
        raise ConfigurationError(f"RedisStore: wait_seconds is {value!r}; give between 0.001 and 3600 seconds")
    return value
