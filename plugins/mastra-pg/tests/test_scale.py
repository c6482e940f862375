"""Reads of full databases touch as few blocks as reads of small ones, counted by the server: not a matter of how fast a machine is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kinds import Thread
from mastra_pg import PostgresStore
from tests.scale import START
from tests.scale_postgres import blocks, load_messages, load_threads, sent_by

Read = Callable[[MemoryDomain, int], Awaitable[Any]]


def include(memory: MemoryDomain, count: int) -> Awaitable[Any]:
    """A message in the middle and its neighbours."""
    window = {"id": f"t-{count // 2:07d}", "with_previous_messages": 2, "with_next_messages": 2}
    return memory.list_messages("t", per_page=0, include=[window], resource_id="u")  # type: ignore[list-item]


async def streamed(memory: MemoryDomain, _: int) -> None:
    """The first of a thread's messages, read by key."""
    async for _message in memory.iter_messages("t"):
        return


OF_MESSAGES: Mapping[str, tuple[Read, int]] = {
    "list": (lambda memory, _: memory.list_messages("t"), 15),
    "last ten": (lambda memory, _: memory.list_messages("t", per_page=10, order_by={"direction": "DESC"}), 10),
    "a turn": (lambda memory, _: memory.read_turn("t", resource_id="u", last=10), 15),
    "include": (include, 20),
    "of a resource": (lambda memory, _: memory.list_messages_by_resource_id("u"), 15),
    "by id": (lambda memory, count: memory.list_messages_by_id([f"t-{count // 3:07d}"]), 10),
    "streamed": (streamed, 100),
}
"""Reads of a thread, and how many blocks each may touch at most."""

OF_THREADS: Mapping[str, tuple[Read, int]] = {
    "of a resource": (
        lambda memory, _: memory.list_threads(filter={"resource_id": "resource-7"}, per_page=2, include_total=False), 10,
    ),
    "of all": (lambda memory, _: memory.list_threads(per_page=20, include_total=False), 10),
    "one": (lambda memory, count: memory.get_thread_by_id(f"thread-{count // 2:07d}"), 10),
}  # fmt: skip
"""Reads of threads, likewise."""


async def fill(url: str, *, messages: int = 0, threads: int = 0) -> None:
    """Make the tables and load them."""
    async with PostgresStore(connection_string=url) as store:
        await store.init()
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=START, updated_at=START))
    load_messages(url, thread_id="t", count=messages)
    load_threads(url, count=threads)


async def touched(url: str, reads: Mapping[str, tuple[Read, int]], count: int) -> dict[str, int]:
    """The blocks that each read touches; the test fails with the plan where there are too many."""
    found: dict[str, int] = {}
    async with PostgresStore(connection_string=url) as store:
        await store.init()
        for name, (read, most) in reads.items():
            sent = await sent_by(lambda read=read: read(store.memory, count))
            counted = [await blocks(url, statement) for statement in sent]
            found[name] = sum(number for number, _ in counted)
            assert found[name] <= most, f"{name}: {found[name]} blocks of {count} records\n" + "\n".join(plan for _, plan in counted)
    return found


@pytest.mark.parametrize("count", [50, 20_000])
async def test_reads_of_a_long_thread_touch_few_blocks(postgres_url: str, count: int) -> None:
    """Issue: "list, last-10, include (without totals) stay flat" (messages of a thread)."""
    await fill(postgres_url, messages=count)
    await touched(postgres_url, OF_MESSAGES, count)


@pytest.mark.parametrize("count", [50, 20_000])
async def test_reads_of_many_threads_touch_few_blocks(postgres_url: str, count: int) -> None:
    """Issue: "list, last-10, include (without totals) stay flat" (threads)."""
    await fill(postgres_url, threads=count)
    await touched(postgres_url, OF_THREADS, count)


@pytest.mark.scale
async def test_a_million_messages_and_a_hundred_thousand_threads_are_read_as_few(postgres_url: str) -> None:
    """Must hold: "1,000,000 messages in one thread and 100,000 threads: list, last-10, include (without totals) stay flat"."""
    await fill(postgres_url, messages=1_000_000, threads=100_000)
    await touched(postgres_url, OF_MESSAGES, 1_000_000)
    await touched(postgres_url, OF_THREADS, 100_000)
