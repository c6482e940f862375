"""Modules, functions and classes stay small enough to be read in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.source import shipped_modules

MODULE_LINES = 400
FUNCTION_LINES = 40
PUBLIC_METHODS = 15
DOMAIN_METHODS = 25
MEND = "split it by reason to change"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_a_module_has_at_most_400_lines() -> None:
    """A reader can hold a module in the head."""
    lengths = {module.path: len(module.text.splitlines()) for module in shipped_modules()}
    too_long = [f"{path}: {lines} lines, at most {MODULE_LINES}; {MEND}" for path, lines in lengths.items() if lines > MODULE_LINES]
    assert not too_long, "\n".join(too_long)


def test_a_function_has_at_most_40_lines_without_its_docstring() -> None:
    """A reader can see a function on one screen."""
    too_long = [
        f"{module.path}:{function.lineno} {function.name}: {lines} lines, at most {FUNCTION_LINES}; {MEND}"
        for module in shipped_modules()
        for function in ast.walk(module.tree)
        if isinstance(function, Function) and (lines := _lines(function)) > FUNCTION_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_a_class_has_at_most_15_public_methods_and_a_domain_25() -> None:
    """A class has one job. Names of the kit's contracts (test_...) are tests, not methods."""
    too_wide = []
    for module in shipped_modules():
        limit = DOMAIN_METHODS if "/storage/domains/" in module.path else PUBLIC_METHODS
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and len(public := set(_public_methods(node))) > limit:
                too_wide.append(f"{module.path}:{node.lineno} {node.name}: {len(public)} public methods, at most {limit}; {MEND}")
    assert not too_wide, "\n".join(too_wide)


def _lines(function: Function) -> int:
    first = function.body[0]
    docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    documented = (first.end_lineno or first.lineno) - first.lineno + 1 if docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - documented


def _public_methods(node: ast.ClassDef) -> Iterator[str]:
    """Names, so that overloads and a property's setter count once."""
    for item in node.body:
        if isinstance(item, Function) and not item.name.startswith(("_", "test_")):
            yield item.name
