"""`RedisStore`: how a client is made from a URL or taken over.

Knows redis-py's ways to connect; must not know a record.
"""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mastra_core.errors import ConfigurationError
from mastra_core.storage.store import Store
from mastra_redis.engine import RedisEngine

CLUSTER = "redis+cluster://"
SCHEMES = ("redis://", "rediss://", CLUSTER)


class RedisStore(Store):
    """Threads and messages in Redis 6.2 or newer: one node (`redis://`, `rediss://`), or a cluster (`redis+cluster://`).

    Args:
        connection_string: where the server is.
        client: a client of redis.asyncio instead, which stays the caller's: close() leaves it open. It must answer bytes
            (no decode_responses) and must not retry by itself: a write that was made would be sent again.
        id: the store's name in errors and logs.

    Raises:
        ConfigurationError: neither or both ways to connect, another scheme, or a client that decodes responses.
    """

    def __init__(
        self, *, connection_string: str | None = None, client: Redis | RedisCluster | None = None, id: str = "redis"
    ) -> None:  # fmt: skip
        if (connection_string is None) == (client is None):
            msg = "RedisStore: give exactly one of connection_string ('redis://host:6379/0') and client (a client of redis.asyncio)"
            raise ConfigurationError(msg)
        if client is not None:
            if client.get_encoder().decode_responses:
                msg = "RedisStore: the client decodes responses; make it with decode_responses=False, since texts are compared as bytes"
                raise ConfigurationError(msg)
            engine = RedisEngine(lambda: client, owned=False)
        else:
            assert connection_string is not None
            url = checked_url(connection_string)
            engine = RedisEngine(lambda: connected(url))
        super().__init__(engine, id=id, product="redis")


def open_redis(url: str) -> RedisStore:
    """The store of *url*, not yet connected."""
    return RedisStore(connection_string=url)


def checked_url(url: str) -> str:
    """*url*, if it has a scheme that is known here.

    Raises:
        ConfigurationError: it has another; the message shows nothing but the scheme.
    """
    if not url.startswith(SCHEMES):
        msg = f"RedisStore: the URL begins with {url.partition('://')[0]!r}; it must begin with one of {', '.join(SCHEMES)}"
        raise ConfigurationError(msg)
    return url


def connected(url: str) -> Redis | RedisCluster:
    """A client for *url* that never sends a command twice."""
    if url.startswith(CLUSTER):
        return RedisCluster.from_url("redis://" + url.removeprefix(CLUSTER), retry=Retry(NoBackoff(), 0))
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0))
