"""What a turn costs on the embedded default: hops and statements, counted by SQLite's own trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastra_core import clock
from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.engine import LibSQLEngine
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import RESOURCES, Message, Resource, Thread
from tests.scale import load_messages, load_threads
from tests.tracing import Trace

START = clock.from_text("2024-01-01T00:00:00.000Z")
THREAD = Thread(id="t", resource_id="u", created_at=START, updated_at=START)


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Trace:
    """A trace of every connection that is opened from here on."""
    return Trace.installed(monkeypatch)


@pytest.fixture
async def store(tmp_path: Path, trace: Trace) -> AsyncIterator[LibSQLStore]:
    """A store in a fresh file."""
    async with LibSQLStore(url=f"file:{tmp_path}/budget.db") as store:
        yield store


async def cost_of_a_turn(store: LibSQLStore, trace: Trace) -> tuple[tuple[int, list[str]], tuple[int, list[str]]]:
    """Hops and statements of reading a turn, and of writing it; all reader threads are warm."""
    await store.memory.records.apply(Save(RESOURCES, Resource(id="u", created_at=START, updated_at=START)))
    await store.memory.save_thread(THREAD)
    trace.clear()
    turn = await store.memory.read_turn("t", resource_id="u", last=10, with_resource=True)
    assert len(turn.messages) == 10
    read = trace.taken()
    messages = [Message(id=f"new-{role}", thread_id="t", role=role) for role in ("user", "assistant")]
    await store.memory.save_turn(thread=THREAD, messages=messages, existed=True)
    return read, trace.taken()


async def check_budget(store: LibSQLStore, trace: Trace) -> None:
    """Semantics §4: one hop and at most 3 statements to read; one hop and at most 4 besides BEGIN and COMMIT to write."""
    read, (hops, written) = await cost_of_a_turn(store, trace)
    assert read[0] == 1
    assert len(read[1]) == 3, read[1]
    assert hops == 1
    assert (written[0], written[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
    assert len(written[1:-1]) == 2, written


@pytest.mark.parametrize("count", [10, 1000])
async def test_a_turn_costs_one_read_and_one_write(store: LibSQLStore, trace: Trace, tmp_path: Path, count: int) -> None:
    """Issue: "A turn stays within `semantics.md` §4 on libSQL at 10, 1,000 and 100,000 messages"."""
    load_messages(tmp_path / "budget.db", thread_id="t", count=count)
    await check_budget(store, trace)


@pytest.mark.scale
async def test_a_turn_costs_the_same_after_100_000_messages(store: LibSQLStore, trace: Trace, tmp_path: Path) -> None:
    """Issue: "A turn stays within `semantics.md` §4 on libSQL at 10, 1,000 and 100,000 messages"."""
    load_messages(tmp_path / "budget.db", thread_id="t", count=100_000)
    await check_budget(store, trace)


async def test_a_turn_costs_the_same_among_10_000_threads(store: LibSQLStore, trace: Trace, tmp_path: Path) -> None:
    """The size of the store does not change what a turn costs."""
    load_threads(tmp_path / "budget.db", count=10_000)
    load_messages(tmp_path / "budget.db", thread_id="t", count=10)
    await check_budget(store, trace)


async def test_no_read_of_a_turn_scans_a_table_or_sorts_a_thread(store: LibSQLStore, trace: Trace, tmp_path: Path) -> None:
    """Each of the three statements goes along an index."""
    load_messages(tmp_path / "budget.db", thread_id="t", count=1000)
    (_, statements), _ = await cost_of_a_turn(store, trace)
    connection = connect(Place(str(tmp_path / "budget.db")))
    for sql in statements:
        plan = " / ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql))
        assert "SCAN" not in plan, plan
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan, plan
    connection.close()


async def test_opening_a_ready_database_is_one_read(tmp_path: Path, trace: Trace) -> None:
    """Start-up on a prepared file looks at the schema once and writes nothing."""
    url = f"file:{tmp_path}/ready.db"
    async with LibSQLStore(url=url):
        pass
    trace.clear()
    async with LibSQLStore(url=url):
        ran = [sql for sql in trace.statements if not sql.startswith(("PRAGMA", "--"))]
    assert trace.hops == 1
    assert len(ran) == 1, ran


async def test_an_engine_in_memory_keeps_the_budget_too(trace: Trace) -> None:
    """In memory a turn is one hop to read and one to write as well."""
    engine = LibSQLEngine(Place(None))
    await engine.open()
    trace.clear()
    await engine.ping()
    assert trace.hops == 1
    await engine.close()
