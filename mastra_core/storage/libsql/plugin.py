"""What describes the built-in stores, of records and of vectors: registered by entry points, as all are. Must not import an engine."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, VectorDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The built-in store, for files, for this process's memory and for libSQL servers."""
    return [
        StoreDescription(
            schemes=("file", "libsql", "memory"),
            factory="mastra_core.storage.libsql.store:open_libsql",
            summary="embedded SQLite file, :memory:, or a libSQL server; reads and writes what @mastra/libsql does",
            port_version=1,
        )
    ]


@hookimpl
def mastra_vectors() -> list[VectorDescription]:
    """The built-in vector store, for files and for this process's memory."""
    return [
        VectorDescription(
            schemes=("file", "memory"),
            factory="mastra_core.storage.libsql.vectors:open_libsql_vector",
            summary="vectors in an SQLite file, or :memory:; reads and writes what @mastra/libsql does",
            port_version=1,
        )
    ]
