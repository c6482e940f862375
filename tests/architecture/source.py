"""The shipped source as the architecture tests read it: files and syntax trees. Imports nothing of what it reads."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Module(NamedTuple):
    """One shipped Python file: its path below the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def file_name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@cache
def core_modules() -> tuple[Module, ...]:
    """Every module of mastra_core."""
    return tuple(_parse(path) for path in sorted(ROOT.glob("mastra_core/**/*.py")))


@cache
def plugin_modules() -> tuple[Module, ...]:
    """Every module of every plugin below plugins/."""
    return tuple(_parse(path) for path in sorted(ROOT.glob("plugins/*/src/**/*.py")))


def shipped_modules() -> tuple[Module, ...]:
    """Every module that users install."""
    return core_modules() + plugin_modules()


def _parse(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that is, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def imported_names(tree: ast.Module) -> set[str]:
    """Full dotted names of everything *tree* imports, wherever the import stands: `from a.b import c` gives `a.b.c`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names
