"""The memory domain under test: how its store is opened, and what the contracts save."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import attrs
import pytest_asyncio

from mastra_core import clock
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.testing.contract import Contract
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import a_message, a_thread


class HasMemory(Protocol):
    """A store with a memory domain."""

    @property
    def memory(self) -> MemoryDomain:
        """The domain."""
        ...


class MemoryUnderTest(Contract):
    """What a backend supplies, and the fixture made of it."""

    def open_store(self) -> AbstractAsyncContextManager[HasMemory]:
        """An async context manager: an object with `.memory` over an empty database of its own; nothing of it is left on exit."""
        msg = f"{type(self).__name__} must define open_store(self): an async context manager that gives an object with .memory"
        raise NotImplementedError(msg)

    @pytest_asyncio.fixture
    async def memory(self) -> AsyncIterator[MemoryDomain]:
        """The memory domain of a fresh store."""
        async with self.open_store() as store:
            await store.memory.records.open()
            self.capabilities = store.memory.records.engine.capabilities
            try:
                yield store.memory
            finally:
                await store.memory.records.close()

    async def fill(self, memory: MemoryDomain, *messages: Message, thread: Thread | None = None) -> None:
        """Save *messages* of one thread, and the thread."""
        await memory.save_turn(thread=thread or a_thread(messages[0].thread_id), messages=messages)

    async def holds(self, memory: MemoryDomain, thread_id: str, *expected: Message) -> None:
        """Assert that the thread has exactly these messages, oldest first; their content, owner and role, and created_at where given."""
        page = await memory.list_messages(thread_id, per_page=None)
        assert_same(page.items, expected)


def undated(id: str) -> Message:
    """A message that leaves its time to the store."""
    return attrs.evolve(a_message(id), created_at=None)


def moments(messages: tuple[Message, ...]) -> list[datetime]:
    """When *messages* were created; every stored message has a time."""
    return [message.created_at or clock.EPOCH for message in messages]
