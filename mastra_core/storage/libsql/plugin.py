"""The built-in store's description: registered by entry points, as every plugin's is. Must not import the engine."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The embedded store, for files and for this process's memory."""
    return [
        StoreDescription(
            schemes=("file", "libsql", "memory"),
            factory="mastra_core.storage.libsql.store:open_libsql",
            summary="embedded SQLite file, or :memory:; reads and writes what @mastra/libsql does",
            port_version=1,
        )
    ]
