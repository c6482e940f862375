"""The blocking facade says what the async class says, method for method."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import mastra_core
import mastra_core.sync


@cache
def facades() -> dict[type, type]:
    """Facade by async class: every class that `mastra_core.sync.facade` has marked."""
    found = {}
    for module in _modules(mastra_core):
        for value in vars(module).values():
            if isinstance(value, type) and "__async_class__" in vars(value):
                found[vars(value)["__async_class__"]] = value
    return found


def test_every_public_coroutine_has_a_blocking_twin() -> None:
    """What can be awaited can be had through `.sync` by the same name."""
    assert facades(), "no class is marked by @facade"
    missing = [
        f"{facade.__qualname__} lacks {name}, which {async_class.__qualname__} has"
        for async_class, facade in facades().items()
        for name in _coroutines(async_class)
        if not callable(getattr(facade, name, None))
    ]
    assert not missing, "\n".join(missing)


def test_a_blocking_twin_does_not_have_to_be_awaited() -> None:
    """`.sync.method()` gives the value itself."""
    awaited = [
        f"{facade.__qualname__}.{name}"
        for async_class, facade in facades().items()
        for name in _coroutines(async_class)
        if inspect.iscoroutinefunction(twin := getattr(facade, name, None)) or inspect.isasyncgenfunction(twin)
    ]
    assert awaited == []


def test_a_blocking_twin_runs_the_coroutine_of_its_own_name() -> None:
    """`.sync.get_x()` does what `get_x()` does, and not its neighbour's work."""
    swapped = [
        f"{facade.__qualname__}.{name} runs {runs}"
        for async_class, facade in facades().items()
        for name in _coroutines(async_class)
        if (runs := getattr(getattr(facade, name, None), "__name__", name)) != name
    ]
    assert swapped == []


def test_a_facade_promises_nothing_its_async_class_lacks() -> None:
    """Whoever moves from blocking code to async finds every method again."""
    extra = [
        f"{facade.__qualname__}.{name}"
        for async_class, facade in facades().items()
        for name in vars(facade)
        if not name.startswith("_") and not hasattr(async_class, name)
    ]
    assert extra == []


def test_every_class_with_a_sync_attribute_has_a_facade() -> None:
    """`x.sync` is complete wherever it exists, because the tests above see it."""
    # First, since to look for them imports modules, which become names in those that are looked through.
    known = facades()
    without = {
        value.__qualname__
        for module in _modules(mastra_core)
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__.startswith("mastra_core") and "sync" in vars(value) and value not in known
    }
    assert without == set()


def test_every_class_with_blocking_methods_is_marked_as_a_facade() -> None:
    """A facade cannot drift from its async class by not being compared."""
    unmarked = {
        value.__qualname__
        for module in _modules(mastra_core)
        for value in vars(module).values()
        if isinstance(value, type) and any(_is_blocking(member) for member in vars(value).values()) and "__async_class__" not in vars(value)
    }
    assert unmarked == set(), "mark these with @facade(...)"


def _is_blocking(member: object) -> bool:
    """Whether `blocking` or `blocking_iterator` made it."""
    return inspect.isfunction(member) and member.__code__.co_filename == mastra_core.sync.__file__


def _coroutines(async_class: type) -> list[str]:
    """Names of what is awaited, or iterated over with `async for`."""
    members = inspect.getmembers(async_class, lambda member: inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member))
    return [name for name, _ in members if not name.startswith("_")]


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)
