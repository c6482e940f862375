"""SecantusDB from PyPI: MongoDB's wire protocol over WiredTiger, in a process of its own; a replica set of one node, or a standalone server.

No mongod, and GPL-2.0: a tool of the tests alone. Knows the program's command line. Must not know pytest.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymongo
from pymongo.errors import PyMongoError

from .process import MissingServerError, ServerProcess, free_port


def binary() -> Path:
    """Give the server's launcher; `MissingServerError` when the package is not installed."""
    program = Path(sys.executable).parent / "secantusd-py"
    if not program.is_file():
        raise MissingServerError("SecantusDB is not installed: run `make setup`")
    return program


def reachable(url: str) -> str:
    """Give the version of the server at `url`; PyMongoError when it does not answer."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=2000, connectTimeoutMS=2000) as client:
        return str(client.server_info()["version"])


class MongoDBServer:
    """One server on 127.0.0.1 between `with` and its end; its files stay in the folder, so that it can be killed and started again."""

    name = "SecantusDB"
    package = "SecantusDB"

    def __init__(self, folder: Path, *, options: tuple[str, ...] = ()) -> None:
        """Keep files and log under `folder`, which must exist; `options` are further arguments, such as `--standalone`."""
        self._folder = folder
        self._options = options
        self._process: ServerProcess | None = None
        self._port = 0
        self.version = ""

    @property
    def url(self) -> str:
        """The server's address, without a database."""
        return f"mongodb://127.0.0.1:{self._port}/?directConnection=true"

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self._port = free_port()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the server; nobody needs what it would still write, which takes it 2 s."""
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it, again on the port it had, and wait until it answers."""
        fixed = ["--host", "127.0.0.1", "--storage-path", self._folder / "data", "--cache-size", "256M", "--log-level", "WARNING"]
        command = [binary(), "--port", str(self._port), *fixed, *self._options]
        self._process = ServerProcess(command, log=self._folder / "log", cwd=self._folder)
        try:
            self._process.wait_until(self._ready, what=self.name, timeout_seconds=60)
        except BaseException:
            self._process.stop()
            raise

    def kill(self) -> None:
        """End it at once, as a machine does that loses power: with SIGKILL."""
        if self._process is None:
            raise RuntimeError("the server is not running: use it within its `with` block")
        self._process.stop(sign=signal.SIGKILL)

    def _ready(self) -> bool:
        try:
            self.version = reachable(self.url)
        except PyMongoError:
            return False
        return True
