"""Programs of documents, run as a user would run them: in a folder of their own, one process each.

And what their commands install. Knows processes, blocks and distributions. Must not know which servers there are.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path

from tests.docs.pages import ROOT, Block, Section


def python_of(section: Section) -> list[Block]:
    """The Python of *section*, each block with the file that it names."""
    return [block for block in section.blocks if block.language == "python"]


def run_all(section: Section, folder: Path, *, environment: Mapping[str, str]) -> None:
    """Write every program of *section* into *folder* and run those that no other one imports, in their order.

    Raises:
        AssertionError: one failed, wrote to the error stream without the text saying so, or did not print what its comments promise.
    """
    programs = python_of(section)
    for block in programs:
        (folder / block.name).write_text(block.code, encoding="utf-8")
    for block in to_run(programs):
        said, complained = run(folder / block.name, environment)
        # A warning that the text speaks of is part of what it shows.
        assert not complained or "MastraWarning" in section.text, complained
        missing = [promise for promise in block.promises if promise not in said]
        assert not missing, f"{block.name} promises {missing}, and printed: {said}"


def to_run(programs: Sequence[Block]) -> list[Block]:
    """Those that no other one imports; the others are run by being imported."""
    imported = set(chain.from_iterable(re.findall(r"^from (\w+) import", block.code, re.MULTILINE) for block in programs))
    return [block for block in programs if block.name.removesuffix(".py") not in imported]


def run(program: Path, environment: Mapping[str, str]) -> tuple[str, str]:
    """What *program* wrote to both streams; it has to end well."""
    command = [sys.executable, "-W", "error::RuntimeWarning", program.name]
    done = subprocess.run(command, cwd=program.parent, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def mastra(*arguments: str, folder: Path = ROOT) -> str:
    """What the command line prints for *arguments*, run in *folder*; it has to end well."""
    local = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-m", "mastra_core.cli.main", *arguments]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **local}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def published() -> dict[str, set[str]]:
    """What this repository publishes, with the extras of each."""
    found = {}
    for path in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found[project["name"]] = set(project.get("optional-dependencies", {}))
    return found


def check_install(wanted: Sequence[str]) -> None:
    """Whether *wanted*, the arguments of `pip install`, are distributions and extras of ours, or installed for these tests.

    Raises:
        AssertionError: one is not.
    """
    ours = published()
    for one in wanted:
        part = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?", one)
        assert part is not None, one
        if part[1] not in ours:
            # Raises where there is none.
            metadata.distribution(part[1])
        assert set((part[2] or "").split(",")) - {""} <= ours.get(part[1], set()), one


def commands_of(section: Section) -> list[list[str]]:
    """The commands of *section*, a list of words each; a line that ends in a backslash goes on in the next."""
    code = "".join(block.code for block in section.blocks if block.language == "sh").replace("\\\n", " ")
    return [words for line in code.splitlines() if (words := shlex.split(line, comments=True))]
