"""Where pysqlite3 has no wheel, the standard library's SQLite serves, with a JSONB decoder of ours if it is older than 3.45."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.jsonb import jsonb_to_text

GOLDEN = Path(__file__).parents[3] / "interop" / "golden" / "libsql" / "golden.db"

PROGRAM = """
import asyncio, sys
sys.modules["pysqlite3"] = None
from mastra_core import clock
from mastra_core.storage.libsql import driver
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread

async def main(url):
    async with LibSQLStore(url=url) as store:
        memory = store.memory
        assert (await memory.get_thread_by_id("thread-plain")).metadata == {"pinned": True, "color": "red"}
        assert (await memory.list_threads(filter={"metadata": {"pinned": True}})).total == 1
        assert (await memory.list_threads(filter={"metadata": {"pinned": 1}})).total == 0
        thread = Thread(id="new", resource_id="u", metadata={"n": None, "l": [1, 2.5]}, created_at=clock.now(), updated_at=clock.now())
        await memory.save_turn(thread=thread, messages=[Message(id="m", thread_id="new")])
        await memory.update_thread("new", metadata={"k": {"é": "\\u2028"}})
        assert (await memory.get_thread_by_id("new")).metadata == {"n": None, "l": [1, 2.5], "k": {"é": "\\u2028"}}
        assert (await memory.list_threads(filter={"metadata": {"n": None}})).total == 1
        await memory.update_thread("thread-plain", metadata={"added": 1})
        assert (await memory.get_thread_by_id("thread-plain")).metadata == {"pinned": True, "color": "red", "added": 1}
    print(driver.library())

asyncio.run(main(sys.argv[1]))
"""


def test_the_standard_librarys_sqlite_reads_jsonb_and_writes_what_typescript_reads(tmp_path: Path) -> None:
    """A file of the TypeScript package is read, filtered, merged and written without pysqlite3."""
    shutil.copy(GOLDEN, tmp_path / "golden.db")
    command = [sys.executable, "-c", PROGRAM, f"file:{tmp_path}/golden.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sqlite3 (SQLite ")


VALUES = [
    None, True, False, 0, -7, 10**30, 1.5, -0.0, 1e300, 0.30000000000000004, "", "é\u2028🎉", 'quote " and \\ and \n\t\b\f\r\x01',
    [], {}, [1, [2, {"a": None}]], {"a": {"b": [True, 1.25, "x" * 300]}, "": "empty key", 'k"e\\y': 1}, ["y" * 70_000], [list(range(500))],
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_our_decoder_gives_what_sqlite_gives(number: int) -> None:
    """Every JSON type and every width of its header comes back equal."""
    connection = connect(Place(None))
    (blob,) = connection.execute("SELECT jsonb(?)", [json.dumps(VALUES[number])]).fetchone()
    connection.close()
    text = jsonb_to_text(blob)
    assert isinstance(text, str)
    assert json.loads(text) == VALUES[number]


@pytest.mark.parametrize("blob", [b"", b"\xff", b"\xcb\x05", b"\x1c\x17", b"\xbb" + b"\x00" * 5, b"\x0e", b"\x17\xff"])
def test_what_is_no_jsonb_stays_bytes(blob: bytes) -> None:
    """A damaged value is not guessed at: reading it names the record."""
    assert isinstance(jsonb_to_text(blob), bytes)
