"""One turn on PostgreSQL: through the store, the same two batches by hand on psycopg, and through the real @mastra/pg, in one run.

    .venv/bin/python benchmarks/postgres_turn.py [--messages 10 1000 100000] [--rounds 400] [--url postgresql://…] [--json]

By hand means: the statements of the store, as it gives them to psycopg, in a pipeline each for the read and for the write, and the JSON of
messages decoded and encoded; but no ids, times or owners checked, no records built, no errors translated, no pool. A turn of @mastra/pg is
what its Memory asks of the store: the thread, the last ten messages without a total, and the saving of two. Everybody works in turn, round
by round, so that a busy machine slows all; @mastra/pg has a process of its own and times itself. Without --url a server is started that
waits for no disk.

"32 tasks" have a conversation each, which they read and add to; "one thread" is a single conversation that all of them share. By hand they
have a pool of as many connections as the store has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

from benchmarks.peers.postgres import Node, database, piped
from mastra_core import clock
from mastra_core.storage import open_store
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.storage.store import Store
from tests.scale import CONTENT, START
from tests.scale_postgres import Statement, load_messages, sent_by
from tests.servers.process import MissingServerError

BATCH = 20
"""Calls between two looks at the clock."""
TASKS = 32
CONNECTIONS = 20

Timed = Callable[[int], Awaitable[float]]
"""Does BATCH calls from this number on, and says how many microseconds one took."""


def a_thread(name: str) -> Thread:
    """A conversation, as a run that has read it knows it."""
    return Thread(id=name, resource_id="u", created_at=START, updated_at=START)


def two(name: str, thread: str) -> list[Message]:
    """What a turn saves."""
    return [Message(id=f"{name}-{role}", thread_id=thread, role=role, content=json.loads(CONTENT)) for role in ("user", "assistant")]


class ByHand:
    """The statements of a turn, with other ids and times, and nothing else."""

    def __init__(self, reads: Sequence[Statement], writes: Sequence[Statement], *, thread: str, name: str) -> None:
        """Statements of a read and of a write of the turn *name* in *thread*."""
        self._reads, self._writes, self._thread, self._name = reads, writes, thread, name

    async def read(self, connection: psycopg.AsyncConnection[Any], thread: str) -> None:
        statements = [(text, [thread if value == self._thread else value for value in values]) for text, values in self._reads]
        *_, rows = await piped(connection, statements)
        texts = [text for row in rows for text in row if isinstance(text, str) and text.startswith('{"format"')]
        if len([json.loads(text) for text in texts]) != len(rows):
            msg = f"by hand: {len(rows)} messages were found, but {len(texts)} contents among them"
            raise RuntimeError(msg)

    async def write(self, connection: psycopg.AsyncConnection[Any], thread: str, name: str) -> None:
        now = clock.now()

        def other(value: Any) -> Any:
            if isinstance(value, datetime):
                return now
            if not isinstance(value, str):
                return value
            if value.startswith('{"format"'):
                return json.dumps(json.loads(CONTENT))
            return thread if value == self._thread else value.replace(self._name, name)

        rows = await piped(connection, [(text, [other(value) for value in values]) for text, values in self._writes])
        if not all(rows):
            msg = f"by hand: {rows}, where the store has a row for each thread and message"
            raise RuntimeError(msg)


async def by_hand(store: Store, thread: str) -> ByHand:
    """What the store sends for a turn in this thread, to be sent by hand."""
    # What has no parameter is no statement of a turn: the first question on a new connection, who answers there.
    reads = [sent for sent in await sent_by(lambda: store.memory.read_turn(thread, resource_id="u", last=10)) if sent[1]]
    name = f"probe-{thread}"
    writes = await sent_by(lambda: store.memory.save_turn(thread=a_thread(thread), messages=two(name, thread), existed=True))
    return ByHand(reads, [sent for sent in writes if sent[1]], thread=thread, name=name)


def mean(call: Callable[[int], Awaitable[object]]) -> Timed:
    """How many microseconds a call takes, of BATCH of them."""

    async def timed(number: int) -> float:
        began = time.perf_counter()
        for index in range(number, number + BATCH):
            await call(index)
        return (time.perf_counter() - began) / BATCH * 1e6

    return timed


async def in_turn(contenders: Mapping[str, Timed], rounds: int) -> dict[str, float]:
    """The median microseconds of a call of each, and the median ratio of ours to what was done by hand just after.

    What the first batches take is not counted, in which statements get prepared.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-BATCH, rounds, BATCH):
        for name, timed in contenders.items():
            taken = await timed(number)
            if number >= 0:
                times[name].append(taken)
    ratio = statistics.median(ours / hand for ours, hand in zip(times["ours"], times["by_hand"], strict=True))
    return {**{f"{name}_us": statistics.median(held) for name, held in times.items()}, "ratio": ratio}


async def measure(store: Store, url: str, count: int, *, rounds: int, node: Node | None) -> list[dict[str, Any]]:
    """Read and write of a turn on a thread of *count* messages."""
    thread = f"t{count}"
    await store.memory.save_thread(a_thread(thread))
    await asyncio.to_thread(load_messages, url, thread_id=thread, count=count)
    hand = await by_hand(store, thread)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def save(number: int) -> object:
            return await store.memory.save_turn(thread=a_thread(thread), messages=two(f"ours-{count}-{number}", thread), existed=True)

        def theirs(what: str) -> Timed:
            async def timed(number: int) -> float:
                assert node is not None
                given = {"thread": thread, "times": BATCH, "name": f"ts-{count}-{number}"}
                return float((await asyncio.to_thread(node.ask, what, **given))["ms"]) / BATCH * 1000

            return timed

        contenders: dict[str, dict[str, Timed]] = {
            "last-10": {
                "ours": mean(lambda _: store.memory.read_turn(thread, resource_id="u", last=10)),
                "by_hand": mean(lambda _: hand.read(connection, thread)),
            },
            "save_turn": {"ours": mean(save), "by_hand": mean(lambda number: hand.write(connection, thread, f"hand-{count}-{number}"))},
        }
        rows = []
        for what, asked in (("last-10", "read"), ("save_turn", "write")):
            if node is not None:
                contenders[what]["typescript"] = theirs(asked)
            rows.append({"what": what, "messages": count, **await in_turn(contenders[what], rounds)})
    return rows


async def together(store: Store, url: str, *, each: int, shared: bool, node: Node | None) -> dict[str, Any]:
    """Turns a second of TASKS tasks, each read and write, in a thread each or all in one."""
    threads = ["shared"] * TASKS if shared else [f"own-{index}" for index in range(TASKS)]
    for name in dict.fromkeys(threads):
        await store.memory.save_thread(a_thread(name))
        await asyncio.to_thread(load_messages, url, thread_id=name, count=10)
    hand = await by_hand(store, threads[0])
    pool = AsyncConnectionPool(url, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, kwargs={"autocommit": True})
    await pool.open(wait=True)

    async def ours(task: int, number: int) -> None:
        thread = threads[task]
        await store.memory.read_turn(thread, resource_id="u", last=10)
        await store.memory.save_turn(thread=a_thread(thread), messages=two(f"o{shared}-{task}-{number}", thread), existed=True)

    async def hands(task: int, number: int) -> None:
        async with pool.connection() as connection:
            await hand.read(connection, threads[task])
        async with pool.connection() as connection:
            await hand.write(connection, threads[task], f"h{shared}-{task}-{number}")

    async def all_at_once(turn: Callable[[int, int], Awaitable[None]], start: int) -> float:
        async def task(index: int) -> None:
            for number in range(start, start + each):
                await turn(index, number)

        began = time.perf_counter()
        await asyncio.gather(*(task(index) for index in range(TASKS)))
        return TASKS * each / (time.perf_counter() - began)

    rates: dict[str, list[float]] = {"ours": [], "by_hand": [], "typescript": []}
    for turn in range(4):
        rates["ours"].append(await all_at_once(ours, turn * each))
        rates["by_hand"].append(await all_at_once(hands, turn * each))
        if node is not None:
            told = await asyncio.to_thread(node.ask, "turns", threads=threads, each=each, name=f"n{shared}-{turn}")
            rates["typescript"].append(TASKS * each / told["ms"] * 1000)
    await pool.close()
    figures = {f"{name}_turns_per_second": statistics.median(held[1:]) for name, held in rates.items() if held}
    ratio = figures["by_hand_turns_per_second"] / figures["ours_turns_per_second"]
    return {"what": "32 tasks, one thread" if shared else "32 tasks", **figures, "ratio": ratio}


async def stored(url: str) -> dict[str, int]:
    """How many messages each has saved, told by their ids: nothing is quicker than what is not done."""
    who = {"ours": "^(ours|o(True|False))-", "by_hand": "^(hand|h(True|False))-", "typescript": "^(ts|n(True|False))-"}
    counts = ", ".join(f"count(*) FILTER (WHERE id ~ '{ids}')" for ids in who.values())
    async with await psycopg.AsyncConnection.connect(url) as connection:
        found = await (await connection.execute(f"SELECT {counts} FROM mastra_messages")).fetchone()
    return {name: count for name, count in zip(who, found or (), strict=True) if count}


async def benchmark(url: str, *, counts: Sequence[int], rounds: int, each: int) -> dict[str, Any]:
    """Every row, how much each has stored, and who is missing and why."""
    missing: dict[str, str] = {}
    node: Node | None = None
    try:
        node = Node(url)
    except MissingServerError as error:
        missing["typescript"] = str(error)
    rows: list[dict[str, Any]] = []
    try:
        async with open_store(url) as store:
            await store.init()
            if node is not None:
                await asyncio.to_thread(node.ask, "open")
            for count in counts:
                rows += await measure(store, url, count, rounds=rounds, node=node)
            rows += [await together(store, url, each=each, shared=shared, node=node) for shared in (False, True)]
    finally:
        if node is not None:
            node.__exit__(None, None, None)
    return {"rows": rows, "stored": await stored(url), "missing": missing}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--messages", type=int, nargs="+", default=[10, 1000, 100_000])
    options.add_argument("--rounds", type=int, default=400)
    options.add_argument("--each", type=int, default=60, help="turns of each of the 32 tasks")
    options.add_argument("--url", default=None, help="a server on which databases may be created")
    options.add_argument("--json", action="store_true")
    options.add_argument("--at-most", type=float, default=None, help="end with an error when a ratio is above this")
    given = options.parse_args()
    with database(given.url) as url:
        figures = asyncio.run(benchmark(url, counts=given.messages, rounds=given.rounds, each=given.each))
    if given.json:
        json.dump(figures, sys.stdout, indent=1)
    else:
        for row in figures["rows"]:
            print("  ".join(f"{name} {value:,.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()))
        for name, why in figures["missing"].items():
            print(f"{name} is missing: {why}")
    over = [row for row in figures["rows"] if given.at_most is not None and row["ratio"] > given.at_most]
    if over:
        sys.exit(f"above {given.at_most} times the same statements by hand: {over}")


if __name__ == "__main__":
    main()
