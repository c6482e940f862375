"""Forgetting somebody: erasure over every store and vector store that a program uses at once.

Knows stores and vector stores by their public faces; must not know agents, kinds or engines.
"""

from __future__ import annotations

from collections.abc import Iterable

from mastra_core.storage.erasing import Erased, Erasure, one_target
from mastra_core.storage.records.records import Records
from mastra_core.storage.store import DOMAINS, Store
from mastra_core.storage.vectors.port import VectorStore

__all__ = ["Erased", "erase"]


async def erase(
    stores: Iterable[Store], vectors: Iterable[VectorStore] = (), *, resource_id: str | None = None, thread_id: str | None = None
) -> Erased:
    """Erase a resource, or a thread, from all *stores* and *vectors* together, and answer with the sums; see Store.erase.

    Together, because one store may know what is about a thread that lies in another: its scores and traces. A store or vector store that
    is given twice is counted once.

    Raises:
        ConfigurationError: not exactly one of the two ids was given.
        MastraError: a store failed in the middle; a note says what is erased, and calling again goes on.
    """
    field, value = one_target(resource_id=resource_id, thread_id=thread_id)
    places: dict[str, list[Records]] = {}
    for store in {id(one): one for one in stores}.values():
        for name in DOMAINS:
            domain = await store.get_store(name)
            if domain is not None:
                places.setdefault(name, []).append(domain.records)
    return await Erasure(places, vectors=list({id(one): one for one in vectors}.values())).run(field, value)
