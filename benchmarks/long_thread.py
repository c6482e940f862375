"""Reads of a thread of 10,000 messages beside reads of one of 1,000,000: what each takes, and the memory that it needs.

    .venv/bin/python benchmarks/long_thread.py [--messages 10000 1000000] [--folder /dev/shm] [--json]

Each read has a process of its own, which opens the store, reads one message, and then measures. The memory is the process's own
(anonymous): the pages of the file that SQLite maps are the system's to keep or drop. SQLite's page caches are part of it, 16 MB at most
for each of the four threads that read; a short thread does not fill them. "filter" looks for metadata that one message in the
middle has, so it passes all of them; "iter" reads every message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Self

from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Thread
from tests.scale import MARK, START, load_messages

EVERY_SECONDS = 0.002
"""Between two looks at the memory."""

Read = Callable[[MemoryDomain, int], Awaitable[int]]


def message_id(index: int) -> str:
    """The id of a message, as the loader gives it."""
    return f"t-{index:07d}"


async def last(memory: MemoryDomain, _: int) -> int:
    return len(await memory.list_messages("t", per_page=10, order_by={"direction": "DESC"}))


async def include(memory: MemoryDomain, count: int) -> int:
    around = message_id(count // 2)
    window = [{"id": around, "with_previous_messages": 2, "with_next_messages": 2}]
    return len(await memory.list_messages("t", per_page=0, include=window))  # type: ignore[arg-type]


async def filtered(memory: MemoryDomain, _: int) -> int:
    return len(await memory.list_messages("t", filter={"metadata": MARK}))


async def iterated(memory: MemoryDomain, _: int) -> int:
    seen = 0
    async for _message in memory.iter_messages("t"):
        seen += 1
    return seen


READS: Mapping[str, Read] = {"last-10": last, "include": include, "filter": filtered, "iter": iterated}


class Watch:
    """The most memory of its own that the process had while this was watched, in bytes above what it had before."""

    def __init__(self) -> None:
        self.most = self.before = own_memory()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look a last time."""
        self._over.set()
        self._thread.join()
        self.most = max(self.most, own_memory())

    def _look(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self.most = max(self.most, own_memory())


def own_memory() -> int:
    """Bytes of memory that are this process's alone, as Linux counts them."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) * 1024


async def measured(path: Path, name: str, count: int) -> dict[str, float]:
    """One read: records found, seconds and bytes."""
    async with LibSQLStore(url=f"file:{path}?mode=rw") as store:
        await store.memory.list_messages("t", per_page=1)
        with Watch() as watch:
            began = time.perf_counter()
            found = await READS[name](store.memory, count)
            seconds = time.perf_counter() - began
    return {"found": found, "seconds": seconds, "bytes": watch.most - watch.before}


def in_a_process(path: Path, name: str, count: int) -> dict[str, float]:
    """One read, measured in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--one", name, str(path), str(count)]
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def load(path: Path, count: int) -> float:
    """Make a file with a thread of *count* messages; how many seconds it took."""
    began = time.perf_counter()
    async with LibSQLStore(url=f"file:{path}") as store:
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=START, updated_at=START))
    load_messages(path, thread_id="t", count=count, marked=count // 2)
    return time.perf_counter() - began


def compare(folder: Path, counts: list[int]) -> list[dict[str, object]]:
    """Every read on a thread of each length."""
    rows: list[dict[str, object]] = []
    for count in counts:
        path = folder / f"{count}.db"
        loaded = asyncio.run(load(path, count))
        rows.append({"what": "load", "messages": count, "found": count, "seconds": loaded, "bytes": 0})
        rows += [{"what": name, "messages": count, **in_a_process(path, name, count)} for name in READS]
        for left in folder.glob(f"{path.name}*"):
            left.unlink()
    return rows


def main() -> None:
    """Print the table."""
    shm = Path("/dev/shm")  # noqa: S108  # the point is a file that costs no disk
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, nargs="+", default=[10_000, 1_000_000])
    options.add_argument("--folder", type=Path, default=shm if shm.is_dir() else Path(tempfile.gettempdir()))
    options.add_argument("--json", action="store_true")
    options.add_argument("--one", nargs=3, metavar=("READ", "PATH", "COUNT"), help="measure one read of a file that is there")
    given = options.parse_args()
    if given.one:
        name, path, count = given.one
        print(json.dumps(asyncio.run(measured(Path(path), name, int(count)))))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        rows = compare(Path(folder), given.messages)
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    base = {row["what"]: row for row in rows if row["messages"] == given.messages[0]}
    for row in rows:
        ratio = float(str(row["seconds"])) / float(str(base[row["what"]]["seconds"]))
        megabytes = float(str(row["bytes"])) / 1e6
        print(
            f"{row['what']:8} of {row['messages']:>9,} messages: {row['found']:>9,} found in {row['seconds']:9.4f} s "
            f"({ratio:7.2f} times), {megabytes:6.2f} MB"
        )


if __name__ == "__main__":
    main()
