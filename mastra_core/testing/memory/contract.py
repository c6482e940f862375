"""The whole contract of a store's memory domain."""

from __future__ import annotations

from mastra_core.testing.memory.lists import IncludeContract, MessageListContract
from mastra_core.testing.memory.saving import MessageContract, TimeContract, TurnContract
from mastra_core.testing.memory.threads import ThreadContract, ThreadListContract


class MemoryContract(ThreadContract, ThreadListContract, TurnContract, MessageContract, TimeContract, MessageListContract, IncludeContract):
    """Threads and messages as users meet them. A subclass defines `open_store`; see `MemoryUnderTest`."""
