"""Stores, and how to open them; importing this imports no driver, each name is loaded on first use."""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from mastra_core.storage.composite import CompositeStore
    from mastra_core.storage.composite import CompositeStore as MastraCompositeStore
    from mastra_core.storage.domains.memory import MemoryDomain
    from mastra_core.storage.domains.paging import Page
    from mastra_core.storage.libsql.store import LibSQLStore
    from mastra_core.storage.libsql.store import LibSQLStore as DefaultStorage
    from mastra_core.storage.libsql.vectors import LibSQLVector
    from mastra_core.storage.memory_store import InMemoryStore
    from mastra_core.storage.opening import open_store, open_vector
    from mastra_core.storage.records.kinds import Message, Resource, Thread
    from mastra_core.storage.store import Store
    from mastra_core.storage.vectors.inmemory import InMemoryVector
    from mastra_core.storage.vectors.port import IndexDescription, VectorMatch, VectorStore

__all__ = [
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
]

_PLACES = {
    "CompositeStore": ("mastra_core.storage.composite", "CompositeStore"),
    "MastraCompositeStore": ("mastra_core.storage.composite", "CompositeStore"),
    "DefaultStorage": ("mastra_core.storage.libsql.store", "LibSQLStore"),
    "InMemoryStore": ("mastra_core.storage.memory_store", "InMemoryStore"),
    "LibSQLStore": ("mastra_core.storage.libsql.store", "LibSQLStore"),
    "MemoryDomain": ("mastra_core.storage.domains.memory", "MemoryDomain"),
    "Message": ("mastra_core.storage.records.kinds", "Message"),
    "Page": ("mastra_core.storage.domains.paging", "Page"),
    "Resource": ("mastra_core.storage.records.kinds", "Resource"),
    "Store": ("mastra_core.storage.store", "Store"),
    "Thread": ("mastra_core.storage.records.kinds", "Thread"),
    "open_store": ("mastra_core.storage.opening", "open_store"),
    "InMemoryVector": ("mastra_core.storage.vectors.inmemory", "InMemoryVector"),
    "IndexDescription": ("mastra_core.storage.vectors.port", "IndexDescription"),
    "LibSQLVector": ("mastra_core.storage.libsql.vectors", "LibSQLVector"),
    "VectorMatch": ("mastra_core.storage.vectors.port", "VectorMatch"),
    "VectorStore": ("mastra_core.storage.vectors.port", "VectorStore"),
    "open_vector": ("mastra_core.storage.opening", "open_vector"),
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module, attribute = _PLACES[name]
    found: object = getattr(importlib.import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
