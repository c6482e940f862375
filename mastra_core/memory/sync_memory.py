"""A memory for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from mastra_core.memory.memory import Memory
from mastra_core.sync import blocking, facade


@facade(Memory)
class MemorySync:
    """A memory, blocking; see Memory for what each method promises."""

    def __init__(self, memory: Memory) -> None:
        self._async = memory

    recall = blocking(Memory.recall)
    create_thread = blocking(Memory.create_thread)
    get_thread_by_id = blocking(Memory.get_thread_by_id)
    list_threads = blocking(Memory.list_threads)
    delete_thread = blocking(Memory.delete_thread)
    save_messages = blocking(Memory.save_messages)
    update_messages = blocking(Memory.update_messages)
    delete_messages = blocking(Memory.delete_messages)
    clone_thread = blocking(Memory.clone_thread)
    get_working_memory = blocking(Memory.get_working_memory)
    update_working_memory = blocking(Memory.update_working_memory)
    reindex = blocking(Memory.reindex)
    close = blocking(Memory.close)
