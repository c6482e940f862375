"""Who imports what, where import-linter's contracts do not reach: drivers by file, plugins by allow-list, the first import by weight."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, core_modules, imported_names, plugin_modules

# The files of a plugin that may touch a database driver; faults.py names its exceptions, and says which of ours each one is.
DRIVER_FILES = {
    "address.py", "connection_state.py", "connections.py", "engine.py", "faults.py", "pipelines.py", "setup.py", "store.py",
    "journal.py", "sending.py", "singles.py", "transactions.py",
    "vector_connection.py", "vector_engine.py", "vector_indexes.py", "vector_setup.py", "vectors.py",
}  # fmt: skip
DRIVERS = {"psycopg", "psycopg_pool", "redis", "boto3", "botocore", "pymongo"}
# A model's runtime is imported by one file.
RUNTIMES = {"xllamacpp", "onnxruntime"}

PLUGIN_MAY_IMPORT = (
    "mastra_core.clock",
    "mastra_core.errors",
    "mastra_core.names",
    "mastra_core.plugins",
    "mastra_core.storage.options",
    "mastra_core.storage.records",
    "mastra_core.storage.sql",
    "mastra_core.storage.store",
    "mastra_core.storage.vectors",
)
MODEL_PLUGIN_MAY_IMPORT = ("mastra_core.agent.model", "mastra_core.errors", "mastra_core.plugins")
MODEL_PLUGINS = ("plugins/mastra-local/",)

HEAVY = {
    "boto3", "botocore", "numpy", "onnxruntime", "openai", "opentelemetry", "psycopg", "pysqlite3", "redis", "sqlalchemy", "sqlite3", "xllamacpp",
}  # fmt: skip
IMPORT_BUDGET_SECONDS = 0.150


def test_every_part_of_the_core_has_its_layer() -> None:
    """A new module cannot escape the import rules by not being named in them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = {name.strip(" ()") for layer in layers for name in layer.split(":")}
    parts = {_part(module.path) for module in core_modules()} - {"mastra_core", "mastra_core.storage"}
    assert sorted(parts - named) == [], "add these to the layers in pyproject.toml"


def test_one_file_of_a_plugin_talks_to_the_driver() -> None:
    """A driver's quirks stand in one place, so a new driver version is one file's work."""
    found = [
        f"{module.path} imports {driver}; only {', '.join(sorted(DRIVER_FILES))} may"
        for module in plugin_modules()
        if module.file_name not in DRIVER_FILES
        for driver in sorted(_packages(imported_names(module.tree)) & DRIVERS)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("runtime", sorted(RUNTIMES))
def test_one_file_talks_to_a_models_runtime(runtime: str) -> None:
    """A model's runtime can be replaced by rewriting one file."""
    users = [module.path for module in core_modules() + plugin_modules() if runtime in _packages(imported_names(module.tree))]
    assert len(users) <= 1, f"{runtime} is imported by {users}"


def test_a_plugin_imports_the_port_and_nothing_above_it() -> None:
    """A plugin certified today keeps working when domains, memory and agents change."""
    found = []
    for module in plugin_modules():
        allowed = MODEL_PLUGIN_MAY_IMPORT if module.path.startswith(MODEL_PLUGINS) else PLUGIN_MAY_IMPORT
        for name in sorted(imported_names(module.tree)):
            if (
                name.split(".")[0] == "mastra_core"
                and not name.startswith(tuple(f"{prefix}." for prefix in allowed))
                and name not in allowed
            ):
                found.append(f"{module.path} imports {name}; a plugin may import {', '.join(allowed)}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("package", ["mastra_core", "mastra_core.storage", "mastra_core.plugins"])
def test_importing_mastra_core_loads_no_driver(package: str) -> None:
    """`import mastra_core` imports no sqlalchemy, openai or driver."""
    loaded = _run(f"import {package}, sys; print(*sys.modules)").split()
    assert sorted(HEAVY.intersection(name.split(".")[0] for name in loaded)) == []


# With what is built and installed, since nothing else runs then.
@pytest.mark.packaging
def test_importing_mastra_core_adds_under_150_ms() -> None:
    """`import mastra_core` adds under 150 ms: a command that only prints its help does not wait for databases."""
    bare = min(_seconds("pass") for _ in range(7))
    added = min(_seconds("import mastra_core") for _ in range(7)) - bare
    print(f"import mastra_core adds {added * 1000:.0f} ms to {bare * 1000:.0f} ms")
    assert added < IMPORT_BUDGET_SECONDS


def _part(path: str) -> str:
    """The layer that *path* belongs to: a child of mastra_core, or of mastra_core.storage."""
    names = path.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(names[: 3 if names[1:2] == ["storage"] else 2])


def _packages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def _run(code: str) -> str:
    # Away from the checkout, so that nothing there is imported by accident.
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(sys.prefix))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _seconds(code: str) -> float:
    started = time.perf_counter()
    _run(code)
    return time.perf_counter() - started
