"""Reads of small and of full databases in PostgreSQL: a thread of 1,000,000 messages beside one of 10,000, 100,000 threads beside 1,000.

    .venv/bin/python benchmarks/postgres_long.py [--messages 10000 1000000] [--threads 1000 100000] [--rounds 40] [--url URL] [--json]

Each size has a database of its own, loaded by COPY, on one server. A figure is the median of some reads, of large and small databases in
turn, so that a busy machine slows both. "include" is a message in the middle with two neighbours on each side; "list" is the first page
of a user's threads, or of messages, without a total. "iter" reads every message once, and its figure is of one message. Without --url a
server is started that waits for no disk; a million messages need 2 GB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from benchmarks.peers.postgres import database
from mastra_core.storage import open_store
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kinds import Thread
from tests.scale import START
from tests.scale_postgres import load_messages, load_threads

Read = Callable[[MemoryDomain, int], Awaitable[int]]
"""Reads something of a database of that many messages or threads, and says how many records it found."""


async def first_page(memory: MemoryDomain, _: int) -> int:
    return len(await memory.list_messages("t", per_page=40))


async def last(memory: MemoryDomain, _: int) -> int:
    return len(await memory.list_messages("t", per_page=10, order_by={"direction": "DESC"}))


async def turn(memory: MemoryDomain, _: int) -> int:
    return len((await memory.read_turn("t", resource_id="u", last=10)).messages)


async def include(memory: MemoryDomain, count: int) -> int:
    window = {"id": f"t-{count // 2:07d}", "with_previous_messages": 2, "with_next_messages": 2}
    return len(await memory.list_messages("t", per_page=0, include=[window]))  # type: ignore[list-item]


async def of_a_user(memory: MemoryDomain, _: int) -> int:
    return len(await memory.list_threads(filter={"resource_id": "resource-7"}, per_page=2, include_total=False))


async def newest(memory: MemoryDomain, _: int) -> int:
    return len(await memory.list_threads(per_page=20, include_total=False))


async def one(memory: MemoryDomain, count: int) -> int:
    return 0 if await memory.get_thread_by_id(f"thread-{count // 2:07d}") is None else 1


OF_MESSAGES: Mapping[str, Read] = {"list": first_page, "last-10": last, "a turn": turn, "include": include}
OF_THREADS: Mapping[str, Read] = {"list of a user": of_a_user, "list of all": newest, "one thread": one}


async def iterated(memory: MemoryDomain, count: int) -> float:
    """The microseconds of one message of all that are read."""
    began = time.perf_counter()
    seen = 0
    async for _message in memory.iter_messages("t"):
        seen += 1
    if seen != count:
        msg = f"{seen} of {count} messages were read"
        raise RuntimeError(msg)
    return (time.perf_counter() - began) / seen * 1e6


async def compare(reads: Mapping[str, Read], memories: Mapping[int, MemoryDomain], *, rounds: int) -> list[dict[str, Any]]:
    """A row for each read and size: what it found, the median of microseconds, and how many times that of the smallest size."""
    rows: list[dict[str, Any]] = []
    for what, read in reads.items():
        times: dict[int, list[float]] = {count: [] for count in memories}
        found = {}
        for number in range(-8, rounds):
            for count, memory in memories.items():
                began = time.perf_counter()
                found[count] = await read(memory, count)
                if number >= 0:
                    times[count].append((time.perf_counter() - began) * 1e6)
        least = statistics.median(times[min(times)])
        medians = {count: statistics.median(held) for count, held in times.items()}
        rows += [{"what": what, "size": count, "found": found[count], "us": us, "ratio": us / least} for count, us in medians.items()]
    return rows


async def benchmark(server: str, *, messages: Sequence[int], threads: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Every row; the databases are dropped afterwards."""
    rows: list[dict[str, Any]] = []
    with ExitStack() as databases:
        async with AsyncExitStack() as stores:
            of_messages: dict[int, MemoryDomain] = {}
            of_threads: dict[int, MemoryDomain] = {}
            for held, counts in ((of_messages, messages), (of_threads, threads)):
                for count in counts:
                    url = databases.enter_context(database(server))
                    store = await stores.enter_async_context(open_store(url))
                    await store.init()
                    if held is of_messages:
                        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=START, updated_at=START))
                        await asyncio.to_thread(load_messages, url, thread_id="t", count=count)
                    else:
                        await asyncio.to_thread(load_threads, url, count=count)
                    held[count] = store.memory
            rows += await compare(OF_MESSAGES, of_messages, rounds=rounds)
            rows += await compare(OF_THREADS, of_threads, rounds=rounds)
            taken = {count: await iterated(memory, count) for count, memory in of_messages.items()}
            least = taken[min(taken)]
            rows += [{"what": "iter", "size": count, "found": count, "us": us, "ratio": us / least} for count, us in taken.items()]
    return rows


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--messages", type=int, nargs="+", default=[10_000, 1_000_000])
    options.add_argument("--threads", type=int, nargs="+", default=[1000, 100_000])
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--url", default=None, help="a server on which databases may be created")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with ExitStack() as stack:
        server = given.url or stack.enter_context(database(None))
        rows = asyncio.run(benchmark(server, messages=given.messages, threads=given.threads, rounds=given.rounds))
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['what']:15} of {row['size']:>9,}: {row['found']:>9,} found in {row['us']:10,.0f} us ({row['ratio']:7.2f} times)")


if __name__ == "__main__":
    main()
