"""A store's domains by name, async and blocking."""

from __future__ import annotations

import pytest

from mastra_core.errors import UnsupportedError
from mastra_core.storage.memory_store import InMemoryStore


@pytest.mark.parametrize("name", ["memory", "workflows", "scores"])
async def test_a_domain_is_had_by_its_name(name: str) -> None:
    """`get_store(name)` and the attribute of that name are one and the same, ready to use."""
    async with InMemoryStore() as store:
        domain = await store.get_store(name)
        assert domain is not None
        assert domain is getattr(store, name)
        await domain.dangerously_clear_all()


async def test_a_name_that_is_no_domain_is_refused() -> None:
    """A misspelt domain is told, and no other attribute of the store is taken for one."""
    async with InMemoryStore() as store:
        for name in ("workflow", "records", "id", "sync"):
            with pytest.raises(UnsupportedError, match="the domains are"):
                await store.get_store(name)


def test_blocking_domains_keep_runs_and_scores() -> None:
    """A script without an event loop saves and reads runs and scores."""
    with InMemoryStore().sync as store:
        workflows = store.get_store("workflows")
        assert workflows is store.workflows
        assert workflows.supports_concurrent_updates() is True
        workflows.persist_workflow_snapshot("w", run_id="r", snapshot={"status": "pending"})
        assert [run.run_id for run in workflows.list_workflow_runs()] == ["r"]
        scores = store.get_store("scores")
        assert scores is store.scores
        saved = scores.save_score(
            {"scorer_id": "s", "run_id": "r", "entity_id": "e", "entity": {}, "scorer": {}, "score": 1, "source": "TEST", "output": None}
        )
        assert scores.get_score_by_id(saved.id) == saved
