"""Lists of runs and scores are read along an index: a page costs the same however many there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mastra_core.storage.libsql.dialect import SQLITE
from mastra_core.storage.libsql.driver import Place, connect
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kind import Path as IndexPath
from mastra_core.storage.records.query import Query
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.sql.reads import statement


@pytest.mark.parametrize("kind, path", [(kind, path) for kind in (RUNS, SCORES) for path in kind.paths], ids=lambda value: value.name)
async def test_a_list_is_read_along_an_index_without_sorting(tmp_path: Path, kind: Kind[Any], path: IndexPath) -> None:
    """The newest are found first, not by reading and sorting all."""
    async with LibSQLStore(url=f"file:{tmp_path}/plan.db"):
        newest = statement(SQLITE, Query(kind, path.name, at=dict.fromkeys(path.by, "x"), descending=True, limit=10))
    connection = connect(Place(str(tmp_path / "plan.db")))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {newest.sql}", newest.parameters)]
    connection.close()
    assert len(plan) == 1, plan
    assert "USING INDEX" in plan[0], plan
