"""One turn through the store beside the same statements written by hand on sqlite3: ratios of one run.

    .venv/bin/python benchmarks/turn.py [--messages 10 1000 100000] [--rounds 400] [--json]

By hand means: the same SQLite library, the same PRAGMAs, the same statements, the same hop into a worker thread, and the JSON of messages
decoded, but no ids, times or owners checked, no records built, no errors translated. The two run in turn, round by round, so that a busy
machine slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mastra_core import clock
from mastra_core.storage.libsql import engine as engine_module
from mastra_core.storage.libsql.driver import Connection, Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread
from tests.scale import CONTENT, START, load_messages

THREAD = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
BATCH = 20
"""Calls between two looks at the clock."""


def parts() -> dict[str, object]:
    """The content of a message of 0.7 kB."""
    return json.loads(CONTENT)


async def statements_of_a_turn(path: Path) -> tuple[list[str], list[str]]:
    """The texts that the store sends for a read and a write, as SQLite's trace gives them with parameters still open."""
    seen: list[str] = []

    class Listening:
        def __init__(self, connection: Connection) -> None:
            self._connection = connection

        def execute(self, sql: str, parameters: Sequence[object] = ()) -> object:
            seen.append(sql)
            return self._connection.execute(sql, parameters)

        def __getattr__(self, name: str) -> object:
            return getattr(self._connection, name)

    real = engine_module.connect
    engine_module.connect = lambda place: Listening(real(place))  # type: ignore[assignment,return-value]
    try:
        async with LibSQLStore(url=f"file:{path}") as store:
            seen.clear()
            await store.memory.read_turn("t", resource_id="u", last=10)
            reads = seen[:]
            seen.clear()
            await store.memory.save_turn(thread=THREAD, messages=two("statements"), existed=True)
            return reads, [sql for sql in seen if sql not in {"BEGIN IMMEDIATE", "COMMIT"}]
    finally:
        engine_module.connect = real


def two(name: str) -> list[Message]:
    """What a turn saves."""
    return [Message(id=f"{name}-{role}", thread_id="t", role=role, content=parts()) for role in ("user", "assistant")]


class ByHand:
    """The same statements in a worker thread, and nothing else."""

    def __init__(self, path: Path, reads: list[str], writes: list[str]) -> None:
        self._threads = ThreadPoolExecutor(1)
        self._connection = connect(Place(str(path)))
        self._reads, self._writes = reads, writes

    async def read(self, _: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._read)

    def _read(self) -> None:
        get, last = self._reads
        self._connection.execute(get, ["t"]).fetchone()
        rows = self._connection.execute(last, ["t", 10]).fetchall()
        assert len([json.loads(row[2]) for row in rows]) == 10

    async def write(self, number: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._write, number)

    def _write(self, number: int) -> None:
        now = clock.to_text(clock.now())
        touch, save = self._writes
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute(touch, [now, "t", "u"]).fetchall()
        rows: list[object] = []
        for role in ("user", "assistant"):
            rows += [f"hand-{number}-{role}", "t", json.dumps(parts()), role, "v2", now, "u"]
        execute(save, [*rows, "t"]).fetchall()
        execute("COMMIT")

    def close(self) -> None:
        self._threads.submit(self._connection.close).result()
        self._threads.shutdown()


async def paired(ours: Callable[[int], Awaitable[object]], hand: Callable[[int], Awaitable[object]], rounds: int) -> tuple[float, float]:
    """The median microseconds of a call of each, run in turn in batches."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-BATCH, rounds, BATCH):
        for call, held in ((ours, times[0]), (hand, times[1])):
            began = time.perf_counter()
            for index in range(number, number + BATCH):
                await call(index)
            if number >= 0:
                held.append((time.perf_counter() - began) / BATCH * 1e6)
    return statistics.median(times[0]), statistics.median(times[1])


async def measure(folder: Path, count: int, rounds: int) -> list[dict[str, object]]:
    """Read and write of a turn on a thread of *count* messages."""
    path = folder / f"turn-{count}.db"
    async with LibSQLStore(url=f"file:{path}") as store:
        await store.memory.save_thread(THREAD)
        load_messages(path, thread_id="t", count=count)
        hand = ByHand(path, *(await statements_of_a_turn(path)))

        async def read(_: int) -> object:
            return await store.memory.read_turn("t", resource_id="u", last=10)

        async def write(number: int) -> object:
            return await store.memory.save_turn(thread=THREAD, messages=two(f"ours-{number}"), existed=True)

        rows: list[dict[str, object]] = []
        for name, ours, theirs in (("last-10", read, hand.read), ("save_turn", write, hand.write)):
            mine, by_hand = await paired(ours, theirs, rounds)
            rows.append({"what": name, "messages": count, "ours_us": mine, "by_hand_us": by_hand, "ratio": mine / by_hand})
        hand.close()
        return rows


async def together(folder: Path, savers: int, each: int) -> dict[str, object]:
    """Turns a second of *savers* tasks on one thread."""
    async with LibSQLStore(url=f"file:{folder}/savers.db") as store:
        await store.memory.save_thread(THREAD)

        async def save(name: str) -> None:
            for number in range(each):
                await store.memory.save_turn(thread=THREAD, messages=two(f"{name}-{number}"), existed=True)

        began = time.perf_counter()
        await asyncio.gather(*(save(str(index)) for index in range(savers)))
        return {"what": f"{savers} savers", "turns_per_second": savers * each / (time.perf_counter() - began)}


async def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, nargs="+", default=[10, 1000, 100_000])
    options.add_argument("--rounds", type=int, default=400)
    options.add_argument("--folder", default=None, help="where the files lie; a folder in memory leaves out the disk")
    options.add_argument("--json", action="store_true")
    options.add_argument("--at-most", type=float, default=None, help="end with an error when a ratio is above this")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        rows = [row for count in given.messages for row in await measure(Path(folder), count, given.rounds)]
        rows += [await together(Path(folder), savers, 2000 // savers) for savers in (1, 32)]
    if given.json:
        json.dump(rows, sys.stdout, indent=1)
    for row in [] if given.json else rows:
        print("  ".join(f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()))
    over = [row for row in rows if given.at_most is not None and row.get("ratio", 0.0) > given.at_most]  # type: ignore[operator]
    if over:
        sys.exit(f"above {given.at_most} times the same statements by hand: {over}")


if __name__ == "__main__":
    asyncio.run(main())
