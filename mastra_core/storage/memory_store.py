"""The store that forgets when the process ends: for tests and first steps. Knows the in-memory engine alone."""

from __future__ import annotations

from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.store import Store


class InMemoryStore(Store):
    """Everything in this process, as strict as a database.

    Args:
        id: its name in errors and logs.
    """

    def __init__(self, *, id: str = "in-memory") -> None:  # the option's fixed name
        super().__init__(InMemoryEngine(), id=id, product="inmemory")
