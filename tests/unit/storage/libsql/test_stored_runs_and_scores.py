"""Runs and scores lie in an SQLite file as the TypeScript package writes them, and what it left undone is read or named."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mastra_core.errors import StoredDataError
from mastra_core.storage.libsql.driver import HAS_JSONB, Connection, Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.testing.scores.under_test import a_score
from mastra_core.testing.stored import assert_stored
from mastra_core.testing.workflows.under_test import a_run, persist
from tests.contract.rows import select

NO_OBJECT = r"mastra_workflow_snapshot w/r: field snapshot cannot be decoded \(it is no JSON object\)"
GOLDEN = Path(__file__).parents[3] / "interop" / "golden" / "libsql" / "golden.db"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LibSQLStore]:
    """A store in a file of its own."""
    async with LibSQLStore(url=f"file:{tmp_path}/stored.db") as opened:
        yield opened


@pytest.fixture
def raw(store: LibSQLStore, tmp_path: Path) -> Iterator[Connection]:
    """The same file, past the store."""
    connection = connect(Place(str(tmp_path / "stored.db")))
    yield connection
    connection.close()


async def test_a_run_is_stored_under_typescripts_names(store: LibSQLStore, raw: Connection) -> None:
    """The columns of the contract §3.1, the snapshot as binary JSONB, times as text."""
    run = a_run(resource_id="ada", created=1, updated=2)
    await persist(store.workflows, run)
    assert_stored(RUNS, select(raw, RUNS, ("w", "r")), run)
    held = raw.execute('SELECT typeof(snapshot), "resourceId", "createdAt" FROM mastra_workflow_snapshot').fetchall()
    assert held == [("blob" if HAS_JSONB else "text", "ada", "2024-03-01T00:00:00.000Z")]


async def test_a_score_is_stored_under_typescripts_names(store: LibSQLStore, raw: Connection) -> None:
    """The columns of the contract §3.1; what is not given is null."""
    saved = await store.scores.save_score(a_score(id="x", trace_id="t", metadata={"m": [1]}))
    assert_stored(SCORES, select(raw, SCORES, ("x",)), saved)
    await store.scores.save_score(a_score(id="x", output="[1]"))
    row = raw.execute('SELECT typeof(score), "spanId", "entityType", json(output) FROM mastra_scorers').fetchone()
    assert row == ("real", None, None, '"[1]"')


@pytest.mark.parametrize("kind", [RUNS, SCORES], ids=lambda kind: kind.name)
async def test_the_columns_are_typescripts_in_its_order(raw: Connection, tmp_path: Path, kind: Kind[Any]) -> None:
    """A fresh table has the names and types of the table that the TypeScript package made."""
    columns = "SELECT name, type FROM pragma_table_info(?)"
    golden = connect(Place(str(shutil.copy(GOLDEN, tmp_path / "golden.db"))))
    made = golden.execute(columns, [kind.name]).fetchall()
    golden.close()
    assert raw.execute(columns, [kind.name]).fetchall() == made


async def test_a_snapshot_of_json_text_is_read_filtered_and_gone_on_with(store: LibSQLStore, raw: Connection) -> None:
    """Rows that others wrote as text are runs like any other."""
    raw.execute(
        "INSERT INTO mastra_workflow_snapshot (workflow_name, run_id, snapshot, \"createdAt\", \"updatedAt\") VALUES ('w', 'r', ?, ?, ?)",
        ['{"status":"suspended","context":{}}', "2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z"],
    )
    assert len(await store.workflows.list_workflow_runs(status="suspended")) == 1
    claimed = await store.workflows.update_workflow_state("w", run_id="r", opts={"status": "running"}, expected_status="suspended")
    assert claimed == {"status": "running", "context": {}}
    assert await store.workflows.update_workflow_results("w", run_id="r", step_id="s", result={"output": 1}) == {"s": {"output": 1}}


@pytest.mark.parametrize("snapshot", ["[1]", '"text"', "7"])
async def test_a_snapshot_that_is_no_object_is_named(store: LibSQLStore, raw: Connection, snapshot: str) -> None:
    """A run that nobody can go on with is an error with its kind, key and field, and is not overwritten."""
    await persist(store.workflows, a_run())
    raw.execute("UPDATE mastra_workflow_snapshot SET snapshot = ?", [snapshot])
    with pytest.raises(StoredDataError, match=NO_OBJECT):
        await store.workflows.update_workflow_results("w", run_id="r", step_id="s", result={})
    assert raw.execute("SELECT snapshot FROM mastra_workflow_snapshot").fetchall() == [(snapshot,)]
    with pytest.raises(StoredDataError, match=NO_OBJECT):
        await store.workflows.list_workflow_runs(thread_id="t")
