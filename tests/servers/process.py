"""One server process: its own process group, a log, readiness by connecting, a bounded stop.

Knows operating-system processes. Must not know any server's command line or protocol.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

S = TypeVar("S")

START_ATTEMPTS = 2
LOG_TAIL_CHARACTERS = 4000
PORTS = range(15_000, 32_768)
"""Below the ports that operating systems give to clients by themselves (from 32,768 on Linux, from 49,152 elsewhere)."""


class MissingServerError(RuntimeError):
    """A server cannot be started here because a package is not installed; the message names the mend."""


class ServerStartError(RuntimeError):
    """A server was started and did not answer; the message carries the end of its log."""


@contextlib.contextmanager
def own_server(start: Callable[[Path], contextlib.AbstractContextManager[S]], *, kind: str, parent: Path | None = None) -> Iterator[S]:
    """Give a server for the length of the block; its files, in a new folder in `parent`, are thrown away."""
    for attempt in range(1, START_ATTEMPTS + 1):
        with (
            tempfile.TemporaryDirectory(prefix=f"mastra-{kind}-", dir=parent, ignore_cleanup_errors=True) as folder,
            contextlib.ExitStack() as stack,
        ):
            # Who runs the server may be another user.
            Path(folder).chmod(0o711)
            try:
                server = stack.enter_context(start(Path(folder)))
            except ServerStartError:
                # Somebody else may have taken the port between asking for a free one and listening on it.
                if attempt == START_ATTEMPTS:
                    raise
                continue
            yield server
            return


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 on which nobody listens, and which no other call gets, in any process of this user's, for 17,000 calls.

    So it is still free when a server binds it later, and a port that a test takes for one where nobody listens stays one.
    """
    with Path(tempfile.gettempdir(), f"mastra-ports-{os.getuid()}").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = file.read()
        port = int(before) if before else PORTS.start + os.getpid() % len(PORTS)
        for _ in PORTS:
            port = port + 1 if port + 1 in PORTS else PORTS.start
            if is_free(port):
                break
        else:
            raise ServerStartError(f"every port of 127.0.0.1 from {PORTS.start} to {PORTS.stop - 1} is taken: end what listens there")
        file.truncate(0)
        file.write(str(port))
        return port


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as listener:
        # As servers do: what a closed connection leaves behind for a minute is in nobody's way.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class ServerProcess:
    """A child process with its own process group, stopped at the latest when this interpreter exits.

    An interpreter that is killed cannot stop its children: `tests.servers.shared` starts servers under a keeper process for that.
    """

    def __init__(
        self,
        command: Sequence[object],
        *,
        log: Path,
        cwd: Path,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command` in `cwd`, both output streams to `log`, as operating-system user `user` when that is given."""
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **account(user),
            )
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the server's process group."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], *, what: str, timeout_seconds: float) -> None:
        """Return once `ready()` is true; `ServerStartError` with the log when the process ends or the time is up first."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            # Before asking: another server may answer on a port that this one failed to get.
            code = self._process.poll()
            if code is not None:
                raise ServerStartError(f"{what} ended with exit code {code} before it answered. Its log ends with:\n{self.log_tail()}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise ServerStartError(f"{what} did not answer within {timeout_seconds:g} s. Its log ends with:\n{self.log_tail()}")
            time.sleep(0.02)

    def log_tail(self) -> str:
        """Give the last lines that the server wrote."""
        return self._log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]

    def stop(self, *, sign: signal.Signals = signal.SIGTERM, timeout_seconds: float = 10) -> None:
        """End the process with `sign` and, when it has not gone in time, its whole group with SIGKILL. Idempotent."""
        atexit.unregister(self.stop)
        if self._process.poll() is not None:
            return
        self._process.send_signal(sign)
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def account(user: str | None) -> dict[str, Any]:
    """Give subprocess's arguments that make a child run as `user`; none for None."""
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def answers(host: str, port: int) -> bool:
    """Say whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
