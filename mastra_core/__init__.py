"""Mastra: agents that remember. Importing this imports no driver and no model; each name is loaded when it is first used."""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

from mastra_core.errors import (
    AgentNotFoundError,
    ConfigurationError,
    ConflictError,
    InvalidInputError,
    MastraError,
    MastraWarning,
    ModelError,
    OwnershipError,
    PluginError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
    StoredDataError,
    ThreadNotFoundError,
    UnknownBackendError,
    UnsupportedError,
)

if _typing.TYPE_CHECKING:
    from mastra_core.agent.agent import Agent
    from mastra_core.mastra import Mastra
    from mastra_core.memory.memory import Memory
    from mastra_core.memory.options import MemoryOptions

__all__ = [
    "Agent",
    "AgentNotFoundError",
    "ConfigurationError",
    "ConflictError",
    "InvalidInputError",
    "Mastra",
    "MastraError",
    "MastraWarning",
    "Memory",
    "MemoryOptions",
    "ModelError",
    "OwnershipError",
    "PluginError",
    "StorageError",
    "StorageUnavailableError",
    "StoreClosedError",
    "StoredDataError",
    "ThreadNotFoundError",
    "UnknownBackendError",
    "UnsupportedError",
]

_MODULES = {
    "Agent": "mastra_core.agent.agent",
    "Mastra": "mastra_core.mastra",
    "Memory": "mastra_core.memory.memory",
    "MemoryOptions": "mastra_core.memory.options",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(_importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
