"""Metadata that the driver would take for a reference of MongoDB's (`$ref` with `$id`) is data, as any other."""

from __future__ import annotations

from typing import Any

from mastra_core.testing.samples import a_thread
from mastra_mongodb import MongoDBStore


async def test_what_looks_like_a_reference_comes_back_as_it_was(mongodb_url: str) -> None:
    """Issue 9, Build 2: "strings that begin with `$` or contain dots are data", names too."""
    odd: dict[str, Any] = {"ref": {"$ref": "x", "$id": {"$id": "y", "$ref": "z"}, "$db": "d", "more": [{"$ref": "a", "$id": None}]}}
    async with MongoDBStore(uri=mongodb_url) as store:
        await store.memory.save_thread(a_thread(metadata=odd))
        stored = await store.memory.get_thread_by_id("t")
        assert stored is not None
        assert stored.metadata == odd
