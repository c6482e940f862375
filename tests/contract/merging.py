"""Four processes that lay metadata over one thread, one resource and one message, all at the same moment, on any store."""

from __future__ import annotations

from mastra_core import clock
from mastra_core.storage.opening import open_store
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.testing.equality import assert_same
from tests.contract.racing import PROCESSES, at_once

EACH = 8
"""Merges of each process: 32 of all."""
BEFORE = {"kept": [1, None], "raced": "nobody"}

MERGER = """
import asyncio, sys
from mastra_core.storage.opening import open_store

async def main(url, process, each):
    async with open_store(url) as store:
        memory = store.memory
        await memory.get_thread_by_id("t")
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(0, each, 2):
            laid = [{f"{process}-{n}": {"process": process, "list": [n]}, "raced": process} for n in (number, number + 1)]
            await asyncio.gather(
                *(memory.update_thread("t", metadata=metadata) for metadata in laid),
                *(memory.update_resource("u", metadata=metadata) for metadata in laid),
                *(memory.update_messages([{"id": "m", "content": {"metadata": metadata}}]) for metadata in laid),
            )

asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""


async def prepare(url: str) -> None:
    """A thread, a message and a resource with metadata."""
    async with open_store(url) as store:
        thread = Thread(id="t", resource_id="u", title="Raced", metadata=BEFORE, created_at=clock.now(), updated_at=clock.now())
        content = {"format": 2, "parts": [{"type": "text", "text": "said"}], "metadata": BEFORE}
        await store.memory.save_turn(thread=thread, messages=[Message(id="m", thread_id="t", content=content)])
        await store.memory.update_resource("u", working_memory="# Notes", metadata=BEFORE)


def merge(url: str) -> None:
    """Let the processes loose."""
    at_once(MERGER, url, numbers=(EACH,))


async def assert_all_survive(url: str) -> None:
    """Assert that every process's every key is there, that what nobody touched is as it was, and that the last writer won the one key."""
    async with open_store(url) as store:
        thread = await store.memory.get_thread_by_id("t")
        (message,) = await store.memory.list_messages("t")
        resource = await store.memory.get_resource_by_id("u")
    assert thread is not None
    assert resource is not None
    assert (thread.title, resource.working_memory, message.content["parts"][0]["text"]) == ("Raced", "# Notes", "said")
    laid = {f"{process}-{number}": {"process": process, "list": [number]} for process in range(PROCESSES) for number in range(EACH)}
    for held in (thread.metadata, resource.metadata, message.content["metadata"]):
        assert held is not None
        assert held["raced"] in range(PROCESSES)
        assert_same(held, {**BEFORE, **laid, "raced": held["raced"]})
