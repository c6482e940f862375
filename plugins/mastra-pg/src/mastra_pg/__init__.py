"""PostgreSQL storage for Mastra. Importing this imports no driver; what is named here is loaded when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mastra_pg.indexes import Index
    from mastra_pg.store import PostgresStore
    from mastra_pg.vector_layouts import Flat, Hnsw, IvfFlat
    from mastra_pg.vectors import PgVector

_HOMES = {
    "Flat": "mastra_pg.vector_layouts",
    "Hnsw": "mastra_pg.vector_layouts",
    "Index": "mastra_pg.indexes",
    "IvfFlat": "mastra_pg.vector_layouts",
    "PgVector": "mastra_pg.vectors",
    "PostgresStore": "mastra_pg.store",
}

__all__ = ["Flat", "Hnsw", "Index", "IvfFlat", "PgVector", "PostgresStore"]


def __getattr__(name: str) -> Any:
    """What is exported, from its home."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)
