"""Mastra: agents that remember. Importing this imports no driver and no model; each name is loaded when it is first used."""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

from mastra_core.errors import (
    AgentNotFoundError,
    ConfigurationError,
    ConflictError,
    ContextLengthError,
    IndexNotFoundError,
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
    from mastra_core.agent.tools import RunContext, Tool, tool
    from mastra_core.mastra import Mastra
    from mastra_core.memory.features import GenerateTitle, SemanticRecall, WorkingMemory
    from mastra_core.memory.memory import Memory
    from mastra_core.memory.options import MemoryOptions
    from mastra_core.telemetry.options import Observability

__all__ = [
    "Agent",
    "AgentNotFoundError",
    "ConfigurationError",
    "ConflictError",
    "ContextLengthError",
    "GenerateTitle",
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
]

_MODULES = {
    "Agent": "mastra_core.agent.agent",
    "GenerateTitle": "mastra_core.memory.features",
    "Mastra": "mastra_core.mastra",
    "Memory": "mastra_core.memory.memory",
    "MemoryOptions": "mastra_core.memory.options",
    "Observability": "mastra_core.telemetry.options",
    "RunContext": "mastra_core.agent.tools",
    "SemanticRecall": "mastra_core.memory.features",
    "Tool": "mastra_core.agent.tools",
    "WorkingMemory": "mastra_core.memory.features",
    "tool": "mastra_core.agent.tools",
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
