"""A store put together from others: who keeps what, and one open and close each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mastra_core import Agent, Mastra, Memory, clock
from mastra_core.errors import ConfigurationError, StoreClosedError, UnsupportedError
from mastra_core.storage import CompositeStore, InMemoryStore, LibSQLStore
from mastra_core.storage.records.kinds import Thread
from tests.unit.agent.models import ScriptedModel

NOW = clock.now()


async def test_each_domain_is_kept_where_it_was_said(tmp_path: Path) -> None:
    """Memory in a file, the rest in the default store: what is saved through the composite lies there."""
    default = InMemoryStore()
    file = LibSQLStore(url=f"file:{tmp_path}/memory.db")
    async with CompositeStore(default=default, domains={"memory": file}) as store:
        await store.memory.save_thread(Thread(id="t", resource_id="u", created_at=NOW, updated_at=NOW))
        assert await file.memory.get_thread_by_id("t") is not None
        assert await default.memory.get_thread_by_id("t") is None
        assert store.workflows is default.workflows
        assert await store.get_store("memory") is file.memory


async def test_a_domain_itself_can_be_given_and_another_left_out() -> None:
    """False leaves a domain out: get_store is None then, and the attribute says what is missing."""
    source = InMemoryStore()
    store = CompositeStore(default=InMemoryStore(), domains={"memory": source.memory, "scores": False})
    assert store.memory is source.memory
    assert await store.get_store("scores") is None
    with pytest.raises(UnsupportedError, match=r"keeps no scores; it keeps \['memory', 'workflows', 'observability'\]"):
        _ = store.scores
    await store.close()


async def test_closing_closes_every_store_once_and_only_then() -> None:
    """The stores it was given are closed with it; a store given twice is closed once."""
    one, other = InMemoryStore(id="one"), InMemoryStore(id="other")
    store = CompositeStore(default=one, domains={"memory": other, "workflows": other})
    await store.init()
    await store.close()
    await store.close()
    for closed in (one, other):
        with pytest.raises(StoreClosedError, match=f"'{closed.id}' is closed"):
            await closed.memory.list_threads()


@pytest.mark.parametrize(
    "options, text",
    [
        ({}, r"requires at least one storage source"),
        ({"domains": {"memroy": False}}, r"no domain 'memroy'.*Did you mean 'memory'\?"),
        ({"domains": {"memory": "file:x.db"}}, r"memory must be a store, a MemoryDomain, or False.*found str"),
        ({"domains": {"memory": InMemoryStore().scores}}, r"memory must be a store, a MemoryDomain.*found ScoresDomain"),
        ({"defualt": InMemoryStore()}, r"no option 'defualt'.*Did you mean 'default'\?"),
    ],
)
def test_what_cannot_be_put_together_is_named(options: dict[str, object], text: str) -> None:
    """The message says which part is wrong and what it may be."""
    with pytest.raises(ConfigurationError, match=text):
        CompositeStore(**options)  # type: ignore[arg-type]


async def test_an_agent_remembers_through_a_composite() -> None:
    """Mastra takes a composite like any store."""
    memory = InMemoryStore()
    agent = Agent(id="a", model=ScriptedModel("Hello"), memory=Memory())
    async with Mastra(storage=CompositeStore(domains={"memory": memory}), agents={"a": agent}):
        await agent.generate("Hi", thread="t", resource="u")
        assert len(await memory.memory.list_messages("t")) == 2
