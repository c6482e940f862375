"""Redis storage for Mastra. Importing this imports no driver; what is named here is loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mastra_redis.store import RedisStore

__all__ = ["RedisStore"]


def __getattr__(name: str) -> Any:
    """The store, imported when it is first asked for."""
    if name == "RedisStore":
        from mastra_redis.store import RedisStore

        return RedisStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
