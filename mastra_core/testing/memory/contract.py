"""The whole contract of a store's memory domain."""

from __future__ import annotations

from mastra_core.testing.memory.copies import CloneContract, OwnerContract
from mastra_core.testing.memory.finding import ByIdContract, ByResourceContract
from mastra_core.testing.memory.lists import IncludeContract, MessageListContract
from mastra_core.testing.memory.resources import ResourceContract
from mastra_core.testing.memory.saving import MessageContract, TimeContract, TurnContract
from mastra_core.testing.memory.threads import ThreadContract, ThreadListContract
from mastra_core.testing.memory.updates import MessageUpdateContract, ThreadUpdateContract


class MemoryContract(
    ThreadContract,
    ThreadListContract,
    ThreadUpdateContract,
    TurnContract,
    MessageContract,
    TimeContract,
    MessageUpdateContract,
    MessageListContract,
    IncludeContract,
    ByIdContract,
    ByResourceContract,
    CloneContract,
    OwnerContract,
    ResourceContract,
):
    """Threads, messages and resources as users meet them. A subclass defines `open_store`; see `MemoryUnderTest`."""
