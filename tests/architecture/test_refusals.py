"""What no shipped file may do: hide errors, or name the machine it was written on."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import ROOT, shipped_modules, tracked_files

# Files that may catch whatever happens, and why they cannot know what that is. Never a plugin's.
BROAD_CATCHES = {
    "mastra_core/agent/tools.py": "calls what a user wrote, and tells the model what it raised",
    "mastra_core/plugins/manager.py": "loads what strangers wrote, and raises ours from it",
    "mastra_core/telemetry/cleaning.py": "calls what a user wrote to redact a value, and keeps a marker when it raises",
    "mastra_core/storage/libsql/workers.py": "a thread keeps what happened for the waiter, which raises it",
}

# In pieces, so that this file passes too.
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/" + r"(?:root|work|home|Users)/\w")
REGISTRY_HOST = re.compile("pypi" + r"\.(?:org|io)|pythonhosted" + r"\.org|npmjs" + r"\.(?:org|com)|npmmirror" + r"\.com", re.IGNORECASE)
MENTION = re.compile(f"{MACHINE_PATH.pattern}|{REGISTRY_HOST.pattern}", re.IGNORECASE)


def test_nobody_catches_every_exception() -> None:
    """A bug surfaces as itself: it is never taken for a missing row or an unreachable server."""
    found = [
        f"{module.path}:{handler.lineno} catches {what}; name the errors you can answer"
        for module in shipped_modules()
        if module.path not in BROAD_CATCHES
        for handler in ast.walk(module.tree)
        if isinstance(handler, ast.ExceptHandler) and (what := _too_much(handler))
    ]
    assert not found, "\n".join(found)


def test_no_file_names_a_machine_or_a_registry() -> None:
    """A checkout works anywhere: no path of a machine, no package index."""
    found = []
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{number}: {hit[0]!r}" for number, line in enumerate(lines, 1) if (hit := MENTION.search(line))]
    assert not found, "\n".join(found)


def test_constraints_are_versions_and_nothing_else() -> None:
    """The pins install from whichever index a user has: no URL, option or path stands among them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    pin = re.compile(r"[a-z0-9-]+==[0-9a-z.+!]+( ; .+)?")
    assert pins
    assert [line for line in pins if not pin.fullmatch(line)] == []


def test_every_distribution_carries_the_licence() -> None:
    """Whoever installs one plugin alone has the licence too."""
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    plugins = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
    assert plugins
    assert [plugin.name for plugin in plugins if (plugin / "LICENSE").read_text(encoding="utf-8") != licence] == []


def _too_much(handler: ast.ExceptHandler) -> str | None:
    """What a handler catches that it cannot know, unless it lets it through: a rollback on the way out, or a note added."""
    if handler.type is None:
        return "everything"
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = {node.id for node in types if isinstance(node, ast.Name)} & {"Exception", "BaseException"}
    last = handler.body[-1]
    raised_again = isinstance(last, ast.Raise) and last.exc is None
    return None if raised_again else next(iter(broad), None)
