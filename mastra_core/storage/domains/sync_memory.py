"""The memory domain for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.sync import blocking, blocking_iterator, facade


@facade(MemoryDomain)
class MemoryDomainSync:
    """Threads, messages and resources of one store, blocking; see MemoryDomain for what each method promises."""

    def __init__(self, domain: MemoryDomain) -> None:
        self._async = domain

    get_thread_by_id = blocking(MemoryDomain.get_thread_by_id)
    save_thread = blocking(MemoryDomain.save_thread)
    list_threads = blocking(MemoryDomain.list_threads)
    delete_thread = blocking(MemoryDomain.delete_thread)
    read_turn = blocking(MemoryDomain.read_turn)
    save_turn = blocking(MemoryDomain.save_turn)
    save_messages = blocking(MemoryDomain.save_messages)
    list_messages = blocking(MemoryDomain.list_messages)
    iter_messages = blocking_iterator(MemoryDomain.iter_messages, ahead=100)
    iter_all_messages = blocking_iterator(MemoryDomain.iter_all_messages, ahead=100)
    delete_messages = blocking(MemoryDomain.delete_messages)
    update_thread = blocking(MemoryDomain.update_thread)
    update_thread_resource_id = blocking(MemoryDomain.update_thread_resource_id)
    clone_thread = blocking(MemoryDomain.clone_thread)
    list_messages_by_resource_id = blocking(MemoryDomain.list_messages_by_resource_id)
    list_messages_by_id = blocking(MemoryDomain.list_messages_by_id)
    update_messages = blocking(MemoryDomain.update_messages)
    get_resource_by_id = blocking(MemoryDomain.get_resource_by_id)
    save_resource = blocking(MemoryDomain.save_resource)
    update_resource = blocking(MemoryDomain.update_resource)
    update_working_memory = blocking(MemoryDomain.update_working_memory)
    give_title = blocking(MemoryDomain.give_title)
    dangerously_clear_all = blocking(MemoryDomain.dangerously_clear_all)
