"""What mastra-mongodb offers; importing this imports no driver."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, VectorDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The MongoDB store."""
    return [
        StoreDescription(
            schemes=("mongodb", "mongodb+srv"),
            factory="mastra_mongodb.store:open_mongodb",
            summary="MongoDB; reads and writes what @mastra/mongodb does",
            port_version=1,
        )
    ]


@hookimpl
def mastra_vectors() -> list[VectorDescription]:
    """The vector store on MongoDB."""
    return [
        VectorDescription(
            schemes=("mongodb", "mongodb+srv"),
            factory="mastra_mongodb.vectors:open_mongodb_vector",
            summary="MongoDB with Atlas Search; reads and writes what @mastra/mongodb does",
            port_version=1,
        )
    ]
