"""One turn through RedisStore beside a pipeline written by hand on redis-py, and beside the real @mastra/redis: one server, one run.

    PYTHONPATH=. .venv/bin/python benchmarks/redis_turn.py [--messages 10 1000 100000] [--times 400] [--url redis://…] [--json]

By hand means: the same client library, the same keys, one pipeline to read (GET, SORT … BY nosort … GET, GET) and one MULTI to write, the
JSON of messages decoded; but no owner checked, nothing found to be in the way, no records built, no errors translated.
The ways run in turn, round by round, so that a busy machine slows all of them. @mastra/redis runs in a Node of its own, and times itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from redis.asyncio import Redis

from mastra_core import clock
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_redis import RedisStore, wire
from mastra_redis.keys import Keyspace
from mastra_redis.writing import Writer
from tests.scale import CONTENT, START
from tests.servers import typescript
from tests.servers.process import MissingServerError
from tests.servers.redis import RedisNode

TASKS = 32
KEYS = Keyspace(cluster=False)
PARTS = json.loads(CONTENT)
Call = Callable[[], Awaitable[object]]


def a_thread(name: str) -> Thread:
    """A thread of the one resource."""
    return Thread(id=name, resource_id="u", created_at=START, updated_at=START)


def a_message(thread_id: str, *, number: int = 0, name: str = "") -> Message:
    """A message of 0.7 kB; without a name one with an id and a time of now."""
    at = START + number * clock.MILLISECOND if name else clock.now()
    return Message(id=name or clock.new_id(within=thread_id), thread_id=thread_id, resource_id="u", content=PARTS, created_at=at)


async def load(client: Redis, thread_id: str, count: int) -> None:
    """A thread with *count* messages, as the store would have saved them."""
    writer = Writer(KEYS)
    pipe = client.pipeline(transaction=False)
    pipe.set(KEYS.record(THREADS, thread_id, place=""), wire.written(THREADS, a_thread(thread_id)).text)
    for entry in writer.entries(THREADS, a_thread(thread_id)):
        pipe.zadd(entry.key, {entry.member: entry.milliseconds * 1000})
    for number in range(count):
        message = a_message(thread_id, number=number, name=f"{thread_id}-{number:07d}")
        pipe.set(KEYS.record(MESSAGES, message.id, place=thread_id), wire.written(MESSAGES, message).text)
        pipe.set(KEYS.alias(MESSAGES, message.id), thread_id)
        for entry in writer.entries(MESSAGES, message):
            pipe.zadd(entry.key, {entry.member: entry.milliseconds * 1000})
        if number % 2000 == 0:
            await pipe.execute()
    await pipe.execute()


@attrs.frozen
class ByHand:
    """A turn as a programmer writes it."""

    client: Redis

    async def read(self, thread_id: str) -> None:
        """Thread, newest 10 messages and resource: one pipeline."""
        pipe = self.client.pipeline(transaction=False)
        pipe.get(f"mastra_threads:id:{thread_id}")
        pipe.sort(f"thread:{thread_id}:messages", by="nosort", get=f"mastra_messages:threadId:{thread_id}:id:*", start=0, num=10, desc=True)
        pipe.get("mastra_resources:u")
        thread, messages, _ = await pipe.execute()
        decoded = [json.loads(thread), *(json.loads(text) for text in messages)]
        assert len(decoded) == 11

    async def write(self, thread_id: str) -> None:
        """Two messages, their entries and the thread's new time: one MULTI."""
        pipe = self.client.pipeline(transaction=True)
        for message in (a_message(thread_id), a_message(thread_id)):
            assert message.created_at is not None
            pipe.set(f"mastra_messages:threadId:{thread_id}:id:{message.id}", wire.written(MESSAGES, message).text)
            pipe.set(f"msg-idx:{message.id}", thread_id)
            pipe.zadd(f"thread:{thread_id}:messages", {message.id: clock.to_milliseconds(message.created_at) * 1000})
        pipe.set(f"mastra_threads:id:{thread_id}", wire.written(THREADS, attrs.evolve(a_thread(thread_id), updated_at=clock.now())).text)
        await pipe.execute()


@attrs.frozen
class Ours:
    """A turn through the store."""

    store: RedisStore

    async def read(self, thread_id: str) -> None:
        """As an agent reads it."""
        turn = await self.store.memory.read_turn(thread_id, resource_id="u", last=10, with_resource=True)
        assert len(turn.messages) == 10

    async def write(self, thread_id: str) -> None:
        """As an agent writes it."""
        messages = [a_message(thread_id), a_message(thread_id)]
        await self.store.memory.save_turn(thread=a_thread(thread_id), messages=messages, existed=True)


async def microseconds(call: Call, *, times: int) -> float:
    """The mean of some calls."""
    began = time.perf_counter()
    for _ in range(times):
        await call()
    return (time.perf_counter() - began) / times * 1e6


async def turns_a_second(way: Ours | ByHand, *, tasks: int, each: int) -> float:
    """Whole turns, each task in a thread of its own."""

    async def task(number: int) -> None:
        for _ in range(each):
            await way.read(f"task-{number}")
            await way.write(f"task-{number}")

    began = time.perf_counter()
    await asyncio.gather(*(task(number) for number in range(tasks)))
    return tasks * each / (time.perf_counter() - began)


async def measured(url: str, *, messages: Sequence[int], times: int) -> list[dict[str, Any]]:
    """A row for each figure: ours, by hand, @mastra/redis."""
    rows: list[dict[str, Any]] = []
    async with RedisStore(connection_string=url) as store, Redis.from_url(url) as client:
        ours, hand = Ours(store), ByHand(client)
        for count in messages:
            await load(client, f"of-{count}", count)
        for number in range(TASKS):
            await load(client, f"task-{number}", 10)
        for what in ("read", "write"):
            for count in messages:
                found: dict[str, list[float]] = {"ours": [], "by hand": []}
                for _ in range(5):
                    for name, way in (("ours", ours), ("by hand", hand)):
                        call = getattr(way, what)
                        found[name].append(await microseconds(lambda call=call, count=count: call(f"of-{count}"), times=times // 5))
                rows.append(
                    {"what": f"{what}, thread of {count}", "unit": "µs", **{name: statistics.median(took) for name, took in found.items()}}
                )
        for tasks in (1, TASKS):
            speeds = {
                name: await turns_a_second(way, tasks=tasks, each=times // (1 if tasks == 1 else 8))
                for name, way in (("ours", ours), ("by hand", hand))
            }
            rows.append({"what": f"turns, {tasks} at once", "unit": "/s", **speeds})
    beside(rows, url, messages=messages, times=times)
    return rows


def beside(rows: list[dict[str, Any]], url: str, *, messages: Sequence[int], times: int) -> None:
    """Add what the real @mastra/redis took to the rows; nothing where it is not installed."""
    few = max(times // 20, 3)
    plan: list[tuple[str, object, int]] = [(what, f"of-{count}", few) for what in ("read", "write") for count in messages]
    plan += [("turns", [f"task-{number}" for number in range(tasks)], few) for tasks in (1, TASKS)]
    try:
        took = typescript.run(Path(__file__).parent / "peers" / "mastra_redis.mjs", url, json.dumps(plan))
    except MissingServerError as error:
        print(f"without @mastra/redis: {error}")
        return
    for row, (what, threads, count), milliseconds in zip(rows, plan, took, strict=True):
        row["@mastra/redis"] = len(threads) * count / milliseconds * 1000 if isinstance(threads, list) else milliseconds / count * 1000
        assert what in row["what"]


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """An empty Redis: the one at *url*, or one that is started now and keeps nothing on disk."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="mastra-bench-", ignore_cleanup_errors=True) as folder, RedisNode(Path(folder)) as node:
        yield node.url


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, nargs="+", default=[10, 1000, 100_000])
    parser.add_argument("--times", type=int, default=400)
    parser.add_argument("--url", help="an empty database of a server that is there")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with server(given.url) as url:
        rows = asyncio.run(measured(url, messages=given.messages, times=given.times))
    if given.json:
        print(json.dumps(rows))
        return
    for row in rows:
        figures = ", ".join(f"{name} {row[name]:,.0f}" for name in ("ours", "by hand", "@mastra/redis") if name in row)
        print(f"{row['what']:28} {row['unit']:3} {figures}  (ours / by hand {row['ours'] / row['by hand']:.2f})")


if __name__ == "__main__":
    main()
