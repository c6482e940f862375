"""Distributions as pip would leave them: a module and a dist-info folder, in a folder of their own on sys.path."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Install = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install("acme", source, names=["acme"])` installs the distribution `mastra-acme` 1.2; returns its module's name."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def installed(name: str, source: str, *, names: list[str] | None = None) -> str:
        module = f"mastra_test_{name}_{next(_numbers)}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source).replace("THIS", module))
        info = tmp_path / f"mastra_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mastra-{name}\nVersion: 1.2\n")
        lines = [f"{entry} = {module}" for entry in names or [name]]
        (info / "entry_points.txt").write_text("\n".join(["[mastra]", *lines, ""]))
        # Importers remember a folder by its modification time, which may not have changed since the last look.
        for finder in sys.path_importer_cache.values():
            if hasattr(finder, "invalidate_caches"):
                finder.invalidate_caches()
        return module

    yield installed
    for added in set(sys.modules) - before:
        if added.startswith("mastra_test_"):
            del sys.modules[added]
