"""What mastra-redis offers, named by its entry points; loads neither redis-py nor a store."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The Redis store."""
    return [
        StoreDescription(
            schemes=("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
            factory="mastra_redis.store:open_redis",
            summary="Redis: one node, Sentinel or a cluster (not yet released)",
            port_version=1,
        )
    ]
