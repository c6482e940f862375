"""What mastra-pg offers; importing this imports no driver."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, VectorDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The PostgreSQL store."""
    return [
        StoreDescription(
            schemes=("postgresql", "postgres"),
            factory="mastra_pg.store:open_postgres",
            summary="PostgreSQL; reads and writes what @mastra/pg does",
        )
    ]


@hookimpl
def mastra_vectors() -> list[VectorDescription]:
    """The vector store on pgvector."""
    return [
        VectorDescription(
            schemes=("postgresql", "postgres"),
            factory="mastra_pg.vectors:open_pg_vector",
            summary="PostgreSQL with pgvector; reads and writes what @mastra/pg does",
            port_version=1,
        )
    ]
