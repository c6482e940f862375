"""What was acknowledged survives: kill -9, eight processes at once, 32 savers, a batch that fails among others."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError, OwnershipError, StorageError, StoreClosedError
from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread

START = clock.from_text("2024-01-01T00:00:00.000Z")

DYING = """
import os, signal
from mastra_core.storage.libsql import engine
from mastra_core.storage.sql import writes

# Every message in a statement of its own, and death in the middle of the statements of a turn.
writes.ROWS_PER_STATEMENT = 1
left = 20 * 300 + 10
connect = engine.connect

def dying(place):
    def count(sql):
        global left
        left -= sql.startswith("INSERT INTO \\"mastra_messages\\"")
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    connection = connect(place)
    connection.set_trace_callback(count)
    return connection

engine.connect = dying
"""

SAVER = """
import asyncio, sys
from mastra_core import clock
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread

async def main(path, name, count, parts):
    async with LibSQLStore(url=f"file:{path}") as store:
        thread = Thread(id=name, resource_id="u", created_at=clock.now(), updated_at=clock.now())
        for number in range(count):
            turn = [Message(id=f"{name}-{number:04d}-{part}", thread_id=name) for part in range(parts)]
            await store.memory.save_turn(thread=thread, messages=turn)
            print(number, flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


def saver(path: Path, name: str, count: int, *, parts: int = 2, before: str = "") -> subprocess.Popen[str]:
    """A process that saves *count* turns of *parts* messages and prints the number of each one once it is acknowledged."""
    arguments = [sys.executable, "-c", before + SAVER, str(path), name, str(count), str(parts)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stored(path: Path, thread_id: str) -> Sequence[str]:
    """The ids of a thread's messages, read by SQLite itself, after a check of the whole file."""
    connection = connect(Place(str(path)))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = connection.execute("SELECT id FROM mastra_messages WHERE thread_id = ? ORDER BY id", [thread_id]).fetchall()
    connection.close()
    return [row[0] for row in rows]


def test_kill_in_the_middle_of_saving_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Issue: "kill -9 in the middle of 1,000 saves: every save that had returned is there, …, and `PRAGMA integrity_check` passes"."""
    path = tmp_path / "killed.db"
    with saver(path, "t", 1000) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().splitlines()]
    assert process.returncode == -signal.SIGKILL
    assert acknowledged[-1] < 999
    turns = sorted({message_id.rpartition("-")[0] for message_id in stored(path, "t")})
    assert turns[: len(acknowledged)] == [f"t-{number:04d}" for number in acknowledged]


def test_kill_in_the_middle_of_a_turn_leaves_none_of_it(tmp_path: Path) -> None:
    """Issue: "kill -9 in the middle of 1,000 saves: …, none is half there, and `PRAGMA integrity_check` passes"."""
    path = tmp_path / "half.db"
    with saver(path, "t", 1000, parts=20, before=DYING) as process:
        assert process.stdout is not None
        acknowledged = process.stdout.read().splitlines()
    assert process.returncode == -signal.SIGKILL
    assert len(acknowledged) == 300
    assert len(stored(path, "t")) == 20 * 300


def test_eight_processes_open_one_fresh_file_at_once_and_lose_nothing(tmp_path: Path) -> None:
    """Issue: "Eight processes open one fresh file at once and write: nothing lost"."""
    path = tmp_path / "shared.db"
    processes = [saver(path, f"t{index}", 25) for index in range(8)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    for index in range(8):
        assert len(stored(path, f"t{index}")) == 50


async def test_of_saves_committed_together_one_that_fails_is_undone_alone(tmp_path: Path) -> None:
    """Savers that share a commit do not share their errors."""
    async with LibSQLStore(url=f"file:{tmp_path}/group.db") as store:
        mine = Thread(id="mine", resource_id="u", created_at=START, updated_at=START)
        await store.memory.save_thread(mine)
        strange = Thread(id="mine", resource_id="another", created_at=START, updated_at=START)
        saves = [
            store.memory.save_turn(thread=strange if number % 4 == 0 else mine, messages=[Message(id=f"m{number}", thread_id="mine")])
            for number in range(40)
        ]
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, OwnershipError)] == list(range(0, 40, 4))
        kept = {message.id async for message in store.memory.iter_messages("mine")}
    assert kept == {f"m{number}" for number in range(40) if number % 4}


async def test_a_full_disk_fails_the_saves_that_do_not_fit_and_keeps_the_others(tmp_path: Path) -> None:
    """Issue: "full disk": a clear error with the mend, nothing of the write kept, and saving goes on when there is room."""
    async with LibSQLStore(url=f"file:{tmp_path}/full.db") as store:
        thread = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
        await store.memory.save_turn(thread=thread, messages=[Message(id="first", thread_id="t")])
        (writer,) = store.records.engine.writer.connections
        pages = await store.records.engine.writer.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
        assert writer is not None
        await store.records.engine.readers.run(lambda connection: None)
        await limit_pages(store, pages + 4)
        big = {"format": 2, "parts": [{"type": "text", "text": "x" * 100_000}]}
        with pytest.raises(StorageError, match=r"disk is full; free some space\. What was saved before is safe"):
            await store.memory.save_turn(
                thread=thread, messages=[Message(id="small", thread_id="t"), Message(id="big", thread_id="t", content=big)]
            )
        assert [message.id async for message in store.memory.iter_messages("t")] == ["first"]
        await limit_pages(store, 1_000_000)
        await store.memory.save_turn(thread=thread, messages=[Message(id="big", thread_id="t", content=big)])
        assert [message.id async for message in store.memory.iter_messages("t")] == ["first", "big"]


async def limit_pages(store: LibSQLStore, pages: int) -> None:
    """Make SQLite find the disk full past *pages*; the PRAGMA belongs to the writer's connection."""
    await store.records.engine.writer.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall())


async def test_closing_finishes_what_was_accepted(tmp_path: Path) -> None:
    """A save that was under way when close() was called is kept or refused, and never half of either."""
    store = LibSQLStore(url=f"file:{tmp_path}/closing.db")
    thread = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
    await store.memory.save_thread(thread)
    saves = [asyncio.ensure_future(store.memory.save_turn(thread=thread, messages=[Message(id=f"m{i}", thread_id="t")])) for i in range(20)]
    await asyncio.sleep(0)
    await store.close()
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert all(isinstance(outcome, tuple | StoreClosedError) for outcome in outcomes), outcomes
    saved = [f"m{number}" for number, outcome in enumerate(outcomes) if isinstance(outcome, tuple)]
    assert sorted(stored(tmp_path / "closing.db", "t")) == sorted(saved)


async def test_chunked_saving_names_the_last_message_stored(tmp_path: Path) -> None:
    """A long import that fails can be taken up again where it stopped."""
    async with LibSQLStore(url=f"file:{tmp_path}/chunked.db") as store:
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=START, updated_at=START))
        messages = [Message(id=f"m{number:04d}", thread_id="t", resource_id="u") for number in range(1200)]
        messages[900] = Message(id="m0900", thread_id="t", resource_id="u", content={"format": 2, "parts": [float("nan")]})
        with pytest.raises(InvalidInputError) as caught:
            await store.memory.save_messages(messages, chunked=True)
        assert caught.value.__notes__ == ["stored up to message 'm0499'"]
        assert len([message async for message in store.memory.iter_messages("t")]) == 500
