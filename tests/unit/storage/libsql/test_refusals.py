"""Bad input and bad files: a clear error with the mend, and nothing written. Each test quotes the issue's list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError, InvalidInputError, OwnershipError, StorageUnavailableError, StoreClosedError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread

START = clock.from_text("2024-01-01T00:00:00.000Z")
THREAD = Thread(id="t", resource_id="u", created_at=START, updated_at=START)
Call = Callable[[MemoryDomain], Awaitable[object]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LibSQLStore]:
    """A store with one thread and nothing in it."""
    async with LibSQLStore(url=f"file:{tmp_path}/refusals.db") as store:
        await store.memory.save_thread(THREAD)
        yield store


def turn(message: Message, *, thread: Thread = THREAD) -> Call:
    """The call that saves one message."""
    return lambda memory: memory.save_turn(thread=thread, messages=[message])


REFUSED: dict[str, tuple[Call, str]] = {
    "naive datetime": (turn(Message(id="m", thread_id="t", created_at=datetime(2024, 1, 1))), r"naive.*add a time zone, such as tzinfo=datetime\.UTC"),
    "over-long id": (turn(Message(id="m" * 256, thread_id="t")), r"256 characters.*at most 255 characters and 900 bytes\. Shorten it"),
    "NaN": (turn(Message(id="m", thread_id="t", content={"format": 2, "parts": [{"n": float("nan")}]})), r"content\.parts\[0\]\.n: nan is no JSON number; store None or a string"),
    "bool as per_page": (lambda memory: memory.list_messages("t", per_page=True), r"per_page must be a whole number, found True \(bool\); None gives everything"),
    "negative per_page": (lambda memory: memory.list_threads(per_page=-1), r"perPage must be >= 0, found -1"),
    "unknown option": (lambda memory: memory.list_messages("t", order_by={"feild": "created_at"}), r"unknown key 'feild'.*Did you mean 'field'\?"),
    "camelCase option": (lambda memory: memory.list_messages("t", include=[{"id": "m", "withPreviousMessages": 1}]), r"Did you mean 'with_previous_messages'\?"),
    "unknown order": (lambda memory: memory.list_threads(order_by={"field": "title"}), r"cannot order by 'title'; choose from \['created_at', 'updated_at'\]"),
    "lone surrogate in an id": (turn(Message(id="m\ud83d", thread_id="t")), r"lone surrogate U\+D83D"),
    "U+0000 in a title": (lambda memory: memory.save_thread(Thread(id="z", resource_id="u", title="a\0b", created_at=START, updated_at=START)), r"U\+0000 at position 1"),
    "a key that is no string": (turn(Message(id="m", thread_id="t", content={"format": 2, "parts": [], "metadata": {1: 2}})), r"JSON keys are strings, so write '1'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_input_is_refused_with_the_mend_and_nothing_is_written(store: LibSQLStore, name: str) -> None:
    """Issue: "Naive datetime, over-long id, NaN, a bool as per_page, unknown or camelCase option, …: a clear error with the mend, nothing written"."""
    call, text = REFUSED[name]
    with pytest.raises(InvalidInputError, match=text) as caught:
        await call(store.memory)
    assert caught.value.store_id == "libsql" or not caught.value.store_id
    assert caught.value.operation
    assert [message async for message in store.memory.iter_messages("t")] == []
    assert (await store.memory.list_threads()).total == 1


async def test_another_owner_is_refused_by_name(store: LibSQLStore) -> None:
    """Issue: "other owner": the text names the thread, its owner and who asked."""
    text = r"^Thread with id t is for resource with id u but resource other was queried$"
    other = Thread(id="t", resource_id="other", created_at=START, updated_at=START)
    with pytest.raises(OwnershipError, match=text):
        await store.memory.save_turn(thread=other, messages=[Message(id="m", thread_id="t")])
    with pytest.raises(OwnershipError, match=text):
        await store.memory.read_turn("t", resource_id="other", last=10)
    assert await store.memory.get_thread_by_id("t", resource_id="other") is None
    assert [message async for message in store.memory.iter_messages("t")] == []


@pytest.mark.parametrize(
    "options, text",
    [
        ({"url": "file:a.db", "config": {"url": "file:b.db"}}, r"exactly one way to connect, of \['url', 'config'\]; found url and config"),
        ({}, r"exactly one way to connect.*found none.*LibSQLStore\(url='file:\./mastra\.db'\)"),
        ({"url": "file:a.db", "authToken": "x"}, r"no option 'authToken'"),
        ({"url": "file:a.db?authToken=hidden"}, r"^'file:a\.db': unknown option 'authToken'; the only one is mode \(ro, rw or rwc\)$"),
        ({"uri": "file:a.db"}, r"no option 'uri'.*Did you mean 'url'\?"),
        ({"url": "./a.db"}, r"for a file write 'file:\./a\.db'"),
        ({"url": "file:a.db?mode=readonly"}, r"mode is 'ro', 'rw' or 'rwc', found 'readonly'"),
        ({"url": "file:a.db", "id": " "}, r"id must be a non-empty string"),
    ],
)
def test_a_store_that_cannot_be_set_up_says_how(options: dict[str, object], text: str) -> None:
    """Issue: "two ways to connect", and none, and options that do not exist."""
    with pytest.raises(ConfigurationError, match=text):
        LibSQLStore(**options)  # type: ignore[arg-type]


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Issue: "closed store"."""
    store = LibSQLStore(url=f"file:{tmp_path}/closed.db")
    await store.init()
    await store.close()
    await store.close()
    with pytest.raises(StoreClosedError, match=r"'libsql' is closed; open a new one"):
        await store.memory.list_threads()


async def test_a_read_only_file_can_be_read_and_refuses_writes(tmp_path: Path) -> None:
    """Issue: "read-only file"."""
    path = tmp_path / "readonly.db"
    async with LibSQLStore(url=f"file:{path}") as store:
        await store.memory.save_thread(THREAD)
    before = path.read_bytes()
    async with LibSQLStore(url=f"file:{path}?mode=ro") as store:
        assert (await store.memory.list_threads()).total == 1
        with pytest.raises(StorageUnavailableError, match=r"read-only; make the file and its folder writable"):
            await store.memory.save_turn(thread=THREAD, messages=[Message(id="m", thread_id="t")])
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """Issue: "a file that is not a database"."""
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and no database at all.\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StorageUnavailableError, match=r"notes\.txt.*not an SQLite database; check the path"):
        await LibSQLStore(url=f"file:{path}").memory.list_threads()
    assert path.read_bytes() == before


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The first thing a new user gets wrong."""
    store = LibSQLStore(url=f"file:{tmp_path}/nowhere/mastra.db")
    with pytest.raises(StorageUnavailableError, match=r"nowhere/mastra\.db.*check that its folder exists"):
        await store.init()
    (tmp_path / "nowhere").mkdir()
    await store.init()
    assert (await store.memory.list_threads()).total == 0
    await store.close()


async def test_a_database_locked_by_another_process_is_waited_for_and_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that never ends its transaction does not hang others for ever."""
    monkeypatch.setattr("mastra_core.storage.libsql.driver.BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("mastra_core.storage.records.guard.RETRY_DELAYS_SECONDS", (0.01,))
    path = tmp_path / "locked.db"
    async with LibSQLStore(url=f"file:{path}") as store:
        await store.memory.save_thread(THREAD)
        other = connect(Place(str(path)))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailableError, match=r"another process has kept the database locked"):
            await store.memory.save_turn(thread=THREAD, messages=[Message(id="m", thread_id="t")])
        other.execute("ROLLBACK")
        await store.memory.save_turn(thread=THREAD, messages=[Message(id="m", thread_id="t")])
        other.close()
