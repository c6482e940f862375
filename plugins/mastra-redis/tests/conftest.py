"""Real servers for these tests."""

from __future__ import annotations

import pytest

from mastra_core.testing.samples import a_message, a_thread


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures that start Redis."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
    config.pluginmanager.import_plugin("tests.briefly")


async def every_domain(store):
    """One call of each operation of daily use."""
    memory, runs, scores = store.memory, store.workflows, store.scores
    await memory.save_turn(thread=a_thread("t9"), messages=[a_message("m9", thread_id="t9", resource_id="r")])
    await memory.read_turn("t9", resource_id="r", last=10, with_resource=True)
    await memory.list_threads(filter={"resource_id": "r"}, include_total=True)
    await memory.list_threads(order_by={"field": "updated_at"})
    await memory.list_messages("t9", include=[{"id": "m9", "with_previous_messages": 1}])
    await memory.list_messages_by_resource_id("r")
    await memory.get_thread_by_id("none")
    await memory.get_resource_by_id("none")
    await memory.update_thread("t9", title="x", metadata={"a": 1})
    await memory.update_resource("r", working_memory="x")
    await memory.update_messages([{"id": "m9", "content": {"metadata": {}}}])
    await runs.persist_workflow_snapshot("w", run_id="run", snapshot={"status": "done", "context": {}}, resource_id="r")
    assert await runs.load_workflow_snapshot("w", run_id="none") is None
    assert await runs.get_workflow_run_by_id("none") is None
    await runs.update_workflow_state("w", run_id="run", opts={"status": "running"})
    await runs.list_workflow_runs(resource_id="r", status="running")
    await scores.list_scores_by_scorer_id("s")
    await store.observability.list_traces()
    await memory.clone_thread("t9", new_thread_id="copy")
    await memory.delete_messages(["m9"])
    await memory.delete_thread("t9")
    await store.erase(resource_id="r")


@pytest.fixture(name="every_domain")
def _every_domain():
    """What makes one call of each operation of daily use on a store."""
    return every_domain
