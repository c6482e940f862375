"""One server of a kind for a whole test run, however many worker processes use it, and none left when the run is gone.

The run holds a lock on a file. The first worker that needs a server starts a keeper process, which starts the server, writes
its address to a file and then waits for that lock: the operating system gives it up when the run ends, in whatever way it
ends (SIGKILL too), and the keeper stops the server.

Knows files, locks and processes. Must not know pytest or a protocol.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psycopg
import redis as redis_py
from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError

from . import dynamodb, mongodb, mongoeco, postgres, redis, redis_cluster, redis_search, redis_sentinel, sqld
from .process import MissingServerError, own_server

PROJECT = Path(__file__).resolve().parents[2]
# A keeper outlives the worker that started it: held here, as an object dropped before its process ended would warn.
KEEPERS: list[subprocess.Popen[bytes]] = []
START_TIMEOUT_SECONDS = 120

Server = (
    postgres.PostgresServer
    | redis.RedisServer
    | redis_cluster.RedisClusterServer
    | redis_search.RedisSearchServer
    | redis_sentinel.RedisSentinelServer
    | dynamodb.DynamoDBServer
    | mongodb.MongoDBServer
    | mongoeco.MongoEcoServer
    | sqld.SqldServer
)


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of server before one runs."""

    variable: str
    """The environment variable that names a server to use instead of starting one."""
    start: type[Server]
    installed: Callable[[], Path]
    """Gives the program's path, or raises MissingServerError with the mend."""
    reachable: Callable[[str], str]
    """Gives the version of the server at an address, or raises what its driver raises."""
    optional: bool = False
    """Whether it needs something that not every machine can have, so that its tests are left out where it is missing."""
    each: bool = False
    """Whether each worker has one: it starts quickly and has nothing like databases, so that two tests could not use it at once."""


KINDS = {
    "postgres": Kind("MASTRA_TEST_POSTGRES_URL", postgres.PostgresServer, postgres.binaries, postgres.reachable),
    "redis": Kind("MASTRA_TEST_REDIS_URL", redis.RedisServer, redis.binary, redis.reachable),
    "redis_cluster": Kind(
        "MASTRA_TEST_REDIS_CLUSTER_URL", redis_cluster.RedisClusterServer, redis_cluster.binary, redis_cluster.reachable, each=True
    ),
    "redis_search": Kind(
        "MASTRA_TEST_REDIS_SEARCH_URL", redis_search.RedisSearchServer, redis_search.module, redis_search.reachable, each=True
    ),
    "redis_sentinel": Kind(
        "MASTRA_TEST_REDIS_SENTINEL_URL", redis_sentinel.RedisSentinelServer, redis_sentinel.binary, redis_sentinel.reachable
    ),
    "dynamodb": Kind("MASTRA_TEST_DYNAMODB_URL", dynamodb.DynamoDBServer, dynamodb.binary, dynamodb.reachable),
    "mongodb": Kind("MASTRA_TEST_MONGODB_URL", mongodb.MongoDBServer, mongodb.binary, mongodb.reachable),
    "mongodb_search": Kind("MASTRA_TEST_MONGODB_SEARCH_URL", mongoeco.MongoEcoServer, mongoeco.binary, mongoeco.reachable, optional=True),
    "sqld": Kind("MASTRA_TEST_SQLD_URL", sqld.SqldServer, sqld.binary, sqld.reachable),
}


@dataclass(frozen=True)
class Address:
    """Where a server is, and whose it is."""

    name: str
    version: str
    url: str
    ours: bool
    """True when this run started the server, so that its data may be thrown away."""


class SharedServers:
    """The servers of one run, found through a folder that all its processes share."""

    def __init__(self, folder: Path, *, worker: str = "") -> None:
        """Share through `folder`, made by `new_run` in the run's first process; `worker` is what this process is called in the run."""
        self.folder = folder
        self._worker = worker

    def address(self, kind: str) -> Address:
        """Give the run's server of `kind`, started now if no worker needed it before; one of this worker's own where tests cannot share.

        Raises MissingServerError when it is not installed here, and RuntimeError when it did not start or, configured
        through its environment variable, does not answer.
        """
        configured = os.environ.get(KINDS[kind].variable)
        name = f"{kind}.{self._worker}" if KINDS[kind].each and self._worker and not configured else kind
        with exclusive(self.folder / f"{name}.lock"):
            record = self.folder / f"{name}.json"
            if not record.exists():
                if configured:
                    write_address(record, self._configured(kind, configured))
                else:
                    KINDS[kind].installed()
                    self._start(kind, record)
            return Address(**json.loads(record.read_text()))

    def used(self) -> list[Address]:
        """Give the servers that this run reached, by kind; of those that each worker has, one."""
        first = {record.name.partition(".")[0]: record for record in sorted(self.folder.glob("*.json"), reverse=True)}
        return [Address(**json.loads(first[kind].read_text())) for kind in sorted(first)]

    @contextlib.contextmanager
    def exclusively(self, kind: str) -> Iterator[None]:
        """Keep every other test of the run off this kind of server until the block ends."""
        with exclusive(self.folder / f"{kind}.exclusive"):
            yield

    def wait_until_stopped(self, timeout_seconds: float = 30) -> None:
        """Return when every keeper has gone; RuntimeError naming its process when one has not. For the end of a run."""
        deadline = time.monotonic() + timeout_seconds
        for alive in sorted(self.folder.glob("*.alive")):
            with alive.open() as file:
                while not try_lock(file.fileno()):
                    if time.monotonic() > deadline:
                        raise RuntimeError(
                            f"the keeper of {alive.stem} (process {alive.read_text()}) did not stop within {timeout_seconds:g} s"
                        )
                    time.sleep(0.02)
        for keeper in KEEPERS:
            keeper.poll()

    def _configured(self, kind: str, url: str) -> Address:
        try:
            version = KINDS[kind].reachable(url)
        except (OSError, ValueError, psycopg.Error, redis_py.RedisError, BotoCoreError, ClientError, PyMongoError) as error:
            variable = KINDS[kind].variable
            # Some drivers quote the whole address; it may hold a password.
            secret, at, where = url.rpartition("@")
            found = f"{type(error).__name__}: {error}".replace(f"{secret}{at}", "")
            raise RuntimeError(
                f"{variable} names a server at {where} that cannot be used ({found}): start it, correct {variable}, or unset it"
            ) from None
        return Address(name=KINDS[kind].start.name, version=version, url=url, ours=False)

    def _start(self, kind: str, record: Path) -> None:
        log = record.with_suffix(".log")
        command = [sys.executable, "-m", "tests.servers", "keep", kind, str(record)]
        with log.open("wb") as output:
            keeper = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        KEEPERS.append(keeper)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not record.exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the {kind} server did not start:\n{log.read_text(errors='replace')[-6000:]}")
            time.sleep(0.02)


@contextlib.contextmanager
def new_run() -> Iterator[Path]:
    """Give a folder for `SharedServers` for the length of a run; at its end the servers stop and the folder goes."""
    folder = Path(tempfile.mkdtemp(prefix="mastra-servers-"))
    # PostgreSQL runs as another user than root and must be able to pass through.
    folder.chmod(0o711)
    (folder / "run").touch()
    try:
        # Not inherited by child processes, so that it is given up exactly when this process ends.
        with exclusive(folder / "run"):
            yield folder
            (folder / "ended").touch()
        SharedServers(folder).wait_until_stopped()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(kind: str, record: Path) -> None:
    """Run a server of `kind` for the run in whose folder its address is to be written, until that run is gone: what a keeper process does."""
    folder = record.parent
    with exclusive(record.with_suffix(".alive")) as alive:
        alive.write_text(str(os.getpid()))
        with running(kind, parent=folder) as address:
            write_address(record, address)
            with exclusive(folder / "run"):
                pass
    # A run that was killed could not clear up behind itself.
    if not (folder / "ended").exists():
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(kind: str, *, parent: Path | None = None) -> Iterator[Address]:
    """Run a server of `kind` for the length of the block and throw its data away; SIGTERM ends the block too. Main thread only."""
    previous = signal.signal(signal.SIGTERM, _exit)
    try:
        with own_server(KINDS[kind].start, kind=kind, parent=parent) as server:
            yield Address(name=server.name, version=server.version, url=server.url, ours=True)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def write_address(record: Path, address: Address) -> None:
    """Write `address` so that a reader sees all of it or nothing."""
    draft = record.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(address)))
    draft.rename(record)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[Path]:
    """Hold the lock on `path` during the block; waits for it. Given up by the operating system when the process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path


def try_lock(descriptor: int) -> bool:
    """Take the lock on an open file if nobody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def availability(kind: str) -> str:
    """Say in a line whether tests can have a server of `kind` here, and what to do if not."""
    known = KINDS[kind]
    if os.environ.get(known.variable):
        return f"configured by {known.variable}"
    try:
        known.installed()
        return f"can be started ({known.start.package})"
    except MissingServerError as missing:
        return f"{'missing, its tests are left out' if known.optional else 'MISSING'}: {missing}"
