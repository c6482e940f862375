"""What users may import is written down here; a name appears or disappears on purpose."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

EXPORTED = {
    "mastra_core": (
        "Agent",
        "AgentNotFoundError",
        "ConfigurationError",
        "ConflictError",
        "GenerateTitle",
        "ContextLengthError",
        "IndexNotFoundError",
        "InvalidInputError",
        "Mastra",
        "MastraError",
        "MastraWarning",
        "Memory",
        "MemoryOptions",
        "ModelError",
        "Observability",
        "OwnershipError",
        "PluginError",
        "RunContext",
        "SemanticRecall",
        "StorageError",
        "StorageUnavailableError",
        "StoreClosedError",
        "StoredDataError",
        "ThreadNotFoundError",
        "Tool",
        "UnknownBackendError",
        "UnsupportedError",
        "WorkingMemory",
        "tool",
    ),
    "mastra_core.storage": (
        "CompositeStore",
        "DefaultStorage",
        "InMemoryStore",
        "InMemoryVector",
        "IndexDescription",
        "LibSQLStore",
        "LibSQLVector",
        "MastraCompositeStore",
        "MemoryDomain",
        "Message",
        "Page",
        "Resource",
        "Store",
        "Thread",
        "VectorMatch",
        "VectorStore",
        "open_store",
        "open_vector",
    ),
}


@pytest.mark.parametrize("module_name, names", EXPORTED.items())
def test_the_exported_names_are_exactly_those_listed(module_name: str, names: tuple[str, ...]) -> None:
    """A name that users rely on is not lost, and an inner one does not become a promise by accident."""
    module = importlib.import_module(module_name)
    assert sorted(module.__all__) == sorted(names)


@pytest.mark.parametrize("module_name", EXPORTED)
def test_every_exported_name_can_be_imported(module_name: str) -> None:
    """`from mastra_core import X` works for every X that is promised, also where it is loaded on first use."""
    module = importlib.import_module(module_name)
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []


@pytest.mark.parametrize("module_name", EXPORTED)
def test_nothing_public_is_left_unlisted(module_name: str) -> None:
    """What completion offers is what is promised."""
    module = importlib.import_module(module_name)
    unlisted = {name for name in vars(module) if not name.startswith("_")} - set(module.__all__) - {"annotations"}
    assert sorted(name for name in unlisted if not isinstance(vars(module)[name], ModuleType)) == []


def test_every_error_of_ours_is_exported() -> None:
    """Whatever Mastra raises can be caught by a name imported from mastra_core."""
    errors = importlib.import_module("mastra_core.errors")
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__}
    assert defined - set(EXPORTED["mastra_core"]) == set()
