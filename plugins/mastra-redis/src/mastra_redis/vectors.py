"""RedisVector: its options, and the engine they make. Sends nothing; must not know an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Never

from mastra_core.errors import ConfigurationError
from mastra_core.storage.options import one_way, refuse_unknown
from mastra_core.storage.vectors.looking import EXACT_SEARCH_LIMIT, How, check_search
from mastra_core.storage.vectors.vectors import Vectors
from mastra_redis import options
from mastra_redis.connections import Confirmation
from mastra_redis.setup import Client, Target, of_parts, target
from mastra_redis.vector_engine import RedisVectorEngine

_OPTIONS = (
    "id", "connection_string", "host", "port", "username", "password", "db", "client", "key_prefix", "search", "exact_search_limit",
    "wait_replicas", "wait_seconds",
)  # fmt: skip
_NODE: Mapping[str, Any] = {"host": None, "port": 6379, "username": None, "password": None, "db": 0}
_EXAMPLE = "RedisVector(connection_string='redis://localhost:6379/0')"


class RedisVector(Vectors):
    """Vectors in Redis: one node, a master that Sentinels name, or a cluster.

    On one node of Redis 8, or with the search module, in database 0, an index is searched along an HNSW graph, approximately: as many
    are found as were asked for, now and then not the very nearest. Elsewhere every vector that the filter leaves is looked at: exact, for
    as many as *exact_search_limit*. Fields named in create_index(metadata_indexes=[…]) narrow both by equality, `$in` and `$all`, so that
    one thread of a large index is searched quickly on any server.

    A batch is one script: all of it is seen at once, or nothing. Scores mean what they mean on every backend.

    Args:
        id: its name in errors and logs; default "redis".
        connection_string: `redis://`, `rediss://`, `unix://`, `redis+sentinel://…/service/0` or `redis+cluster://…`, as RedisStore takes
            it, key_prefix and wait_replicas after `?` included.
        host: one node instead, with *port*, *username*, *password* and the number *db* of its database.
        client: a client of redis.asyncio instead, which stays the caller's; it must answer bytes and must not retry by itself.
        key_prefix: what every key begins with, so that programs can share a database.
        search: "native" asks for a server that searches, "exact" looks at each vector, "auto" (the default) the first where it can.
        exact_search_limit: how many vectors a search may look at one by one; more is an UnsupportedError. Default 10,000.
        wait_replicas: how many replicas must have a write before it is answered; 0 is the master's word alone.
        wait_seconds: how long that may take.

    Raises:
        ConfigurationError: no way to connect or two, a URL that cannot be read, a client that decodes responses, or an option that is
            unknown or out of range.
    """

    def __init__(
        self,
        *,
        id: str = "redis",  # the option's fixed name
        connection_string: str | None = None,
        host: str | None = None,
        port: int = 6379,
        username: str | None = None,
        password: str | None = None,
        db: int = 0,
        client: Client | None = None,
        key_prefix: str = "",
        search: How = "auto",
        exact_search_limit: int = EXACT_SEARCH_LIMIT,
        wait_replicas: int = 0,
        wait_seconds: float = 1.0,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, known=_OPTIONS, at="RedisVector")
        node = {"host": host, "port": port, "username": username, "password": password, "db": db}
        _one_way(connection_string, client, node)
        _check(search, exact_search_limit, wait_seconds)
        try:
            there = _there(connection_string, client, node)
            prefix = options.key_prefix(key_prefix or there.options.get("key_prefix", ""))
            wait = options.replicas(wait_replicas or there.options.get("wait_replicas", 0))
        except ConfigurationError as error:
            # What is common to both stores is checked under the other's name.
            raise ConfigurationError(str(error).replace("RedisStore", "RedisVector")) from None
        self._engine = RedisVectorEngine(
            there.connect,
            owned=client is None,
            prefix=prefix,
            search=search,
            exact_limit=exact_search_limit,
            confirmation=Confirmation(replicas=wait, seconds=wait_seconds) if wait else None,
        )
        super().__init__(self._engine, id=id, product="redis")

    def get_client(self) -> Client:
        """The client of redis.asyncio that the store uses, for commands of your own; close the store, not the client.

        It belongs to the event loop that uses it first.
        """
        return self._engine.client


def _one_way(url: str | None, client: Client | None, node: Mapping[str, Any]) -> None:
    way = one_way({"connection_string": url, "host": node["host"], "client": client}, of="RedisVector", example=_EXAMPLE)
    parts = [name for name, value in node.items() if value != _NODE[name]]
    if parts and way != "host":
        raise ConfigurationError(f"RedisVector: {', '.join(parts)} go with host; put them into the {way}, or give host instead")


def _there(url: str | None, client: Client | None, node: Mapping[str, Any]) -> Target:
    if url:
        return target(url)
    if client is None:
        return Target(connect=of_parts(**node), options={})
    if client.get_encoder().decode_responses:
        msg = "RedisVector: the client decodes responses; make it with decode_responses=False, since vectors are bytes"
        raise ConfigurationError(msg)
    return Target(connect=lambda: client, options={})


def _check(search: object, limit: object, wait_seconds: object) -> None:
    check_search(search, limit=limit, at="RedisVector")
    # WAIT takes 0 for ever, and whole milliseconds.
    if isinstance(wait_seconds, bool) or not isinstance(wait_seconds, int | float) or not 0.001 <= wait_seconds <= 3600:
        raise ConfigurationError(f"RedisVector: wait_seconds is {wait_seconds!r}; give between 0.001 and 3600 seconds")


def open_redis_vector(url: str) -> RedisVector:
    """The vector store of a Redis URL, not yet connected; what the plugin's description names."""
    return RedisVector(connection_string=url)
