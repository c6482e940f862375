"""What mastra-redis offers, named by its entry points; loads neither redis-py nor a store."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, VectorDescription, hookimpl

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The Redis store."""
    return [
        StoreDescription(
            schemes=_SCHEMES,
            factory="mastra_redis.store:open_redis",
            summary="Redis: one node, Sentinel or a cluster",
            port_version=1,
        )
    ]


@hookimpl
def mastra_vectors() -> list[VectorDescription]:
    """The vector store on Redis."""
    return [
        VectorDescription(
            schemes=_SCHEMES,
            factory="mastra_redis.vectors:open_redis_vector",
            summary="Redis with or without search: one node, Sentinel or a cluster",
            port_version=1,
        )
    ]
