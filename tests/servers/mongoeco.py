"""mongoeco from PyPI: MongoDB's wire protocol with `$vectorSearch`, in memory, in a Python 3.13 of its own, behind `mongoeco_bridge.py`.

No mongod and no Atlas: a search index is simulated, and scores are not Atlas's. `install` makes its environment. Knows which packages and
which Python. Must not know pytest.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymongo
from pymongo.errors import PyMongoError

from .dynamodb import CACHE
from .process import MissingServerError, ServerProcess, free_port

SERVER_VERSION = "4.11.0"
PACKAGES = (
    f"mongoeco=={SERVER_VERSION}",
    "attrs==26.1.0",
    "cxp==5.0.0",
    "jsonschema==4.26.0",
    "jsonschema-specifications==2025.9.1",
    "msgspec==0.22.0",
    "numkong==7.8.6",
    "numpy==2.5.5",
    "pymongo==4.20.0",
    "pyuca==1.2",
    "referencing==0.37.0",
    "rfc8785==0.1.4",
    "rpds-py==2026.9.1",
    "shapely==2.2.0",
    "tqdm==4.70.1",
    "usearch==2.26.6",
)
"""All that runs there; the project's own environment has none of it but pymongo."""

PYTHON = "3.13"
INSTALLED = CACHE / f"mongoeco-{SERVER_VERSION}"
BRIDGE = Path(__file__).with_name("mongoeco_bridge.py")
MEND = f"mongoeco needs Python {PYTHON}: put one on PATH, or run `uv python install {PYTHON}`, then `make servers`"


def binary() -> Path:
    """Give the Python that has mongoeco; `MissingServerError` when it is not installed."""
    program = INSTALLED / "bin" / "python"
    if not (INSTALLED / "complete").is_file():
        raise MissingServerError("mongoeco is not installed: run `make servers`")
    return program


def install(folder: Path = INSTALLED) -> bool:
    """Have mongoeco in `folder`; True when it was fetched now, False when it was there.

    Raises MissingServerError when there is no Python 3.13 and none can be fetched, and RuntimeError with uv's words when a package cannot.
    """
    if (folder / "complete").is_file():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # An environment knows where it is, so that it cannot be made elsewhere and moved; the file says that it is whole.
    made = uv("venv", "--quiet", "--python", python(), str(folder))
    if made.returncode:
        raise MissingServerError(f"{MEND} ({made.stderr.strip()[-300:]})")
    filled = uv("pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *PACKAGES)
    if filled.returncode:
        raise RuntimeError(f"uv could not fetch mongoeco; check its index setting.\n{filled.stderr.strip()}")
    (folder / "complete").touch()
    return True


def python() -> str:
    """Give a Python 3.13: this one, one on PATH, one of pyenv; else its version, which uv may find or fetch."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{PYTHON}")
    found = [sys.executable, *([on_path] if on_path else []), *(str(path) for path in sorted(pyenv.glob(f"{PYTHON}*/bin/python")))]
    # pyenv's shim of a version that is not chosen is on PATH, and does not run.
    return next((one for one in found if version_of(one) == PYTHON), PYTHON)


def version_of(program: str) -> str:
    """Give the major and minor version of a Python, "" when it does not run."""
    asked = [program, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's uv."""
    return subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)


def reachable(url: str) -> str:
    """Give the version that the server at `url` says it has; PyMongoError when it does not answer."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=2000, connectTimeoutMS=2000) as client:
        # mongoeco does not know the driver's own spelling of this command.
        return str(client.admin.command("buildInfo")["version"])


class MongoEcoServer:
    """An empty server on 127.0.0.1 between `with` and its end; nothing is written to disk."""

    name = "mongoeco"
    package = "mongoeco"

    def __init__(self, folder: Path) -> None:
        """Keep the log under `folder`, which must exist."""
        self._folder = folder
        self._process: ServerProcess | None = None
        self._port = 0
        self.version = SERVER_VERSION

    @property
    def url(self) -> str:
        """The server's address, without a database."""
        return f"mongodb://127.0.0.1:{self._port}/?directConnection=true"

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self._port = free_port()
        # -P: beside the bridge lies a module that is called like the package.
        self._process = ServerProcess([binary(), "-P", BRIDGE, str(self._port)], log=self._folder / "log", cwd=self._folder)
        try:
            self._process.wait_until(self._ready, what=self.name, timeout_seconds=60)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the server; nothing of it is kept."""
        if self._process is not None:
            self._process.stop(sign=signal.SIGKILL)

    def _ready(self) -> bool:
        try:
            reachable(self.url)
        except PyMongoError:
            return False
        return True
