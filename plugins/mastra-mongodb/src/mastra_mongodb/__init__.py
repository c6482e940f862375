"""MongoDB storage and vectors for Mastra. Importing this imports no driver; what is named here is loaded when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mastra_mongodb.store import MongoDBStore
    from mastra_mongodb.vectors import MongoDBVector

_HOMES = {"MongoDBStore": "mastra_mongodb.store", "MongoDBVector": "mastra_mongodb.vectors"}

__all__ = ["MongoDBStore", "MongoDBVector"]


def __getattr__(name: str) -> Any:
    """What is exported, from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
