"""Runs of workflows that the real TypeScript packages wrote are read as they read them, and gone on with."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mastra_core.storage.domains.workflows import WorkflowsDomain
from mastra_core.storage.libsql.store import LibSQLStore

GOLDEN = Path(__file__).parent / "golden" / "libsql"
RUNS = ("run-suspended", "run-completed", "run-resumed")


@pytest.fixture(scope="session")
def said() -> Mapping[str, Any]:
    """What the TypeScript API answered to each call, by the name of the call."""
    return json.loads((GOLDEN / "readback.json").read_text())["results"]


@pytest.fixture
async def workflows(tmp_path: Path) -> AsyncIterator[WorkflowsDomain]:
    """The workflows domain over a copy of the golden database."""
    shutil.copy(GOLDEN / "golden.db", tmp_path / "golden.db")
    async with LibSQLStore(url=f"file:{tmp_path}/golden.db") as store:
        yield store.workflows


async def test_a_run_that_typescript_suspended_is_resumed(workflows: WorkflowsDomain, said: Mapping[str, Any]) -> None:
    """A Python process goes on with a run that a TypeScript process began; nothing else of it changes."""
    before = said["workflows.snapshot.run-suspended"]
    at = {"run_id": "run-suspended"}
    assert await workflows.update_workflow_state("orderWorkflow", **at, opts={"status": "running"}, expected_status="success") is None
    claimed = await workflows.update_workflow_state("orderWorkflow", **at, opts={"status": "running"}, expected_status="suspended")
    assert claimed == {**before, "status": "running"}
    result = {**before["context"]["approve"], "status": "success", "output": {"approved": True}}
    context = await workflows.update_workflow_results("orderWorkflow", **at, step_id="approve", result=result)
    assert context == {**before["context"], "approve": result}
    stored = await workflows.load_workflow_snapshot("orderWorkflow", run_id="run-suspended")
    assert stored == {**before, "status": "running", "context": context, "requestContext": {}}
    for name in RUNS[1:]:
        assert await workflows.load_workflow_snapshot("orderWorkflow", run_id=name) == said[f"workflows.snapshot.{name}"]
