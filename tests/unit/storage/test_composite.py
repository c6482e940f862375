"""A store put together from others: what it may be made of, and agents over it; the rest is in the kit (CompositeContract)."""

from __future__ import annotations

import pytest

from mastra_core import Agent, Mastra, Memory
from mastra_core.errors import ConfigurationError, UnsupportedError
from mastra_core.storage import CompositeStore, InMemoryStore
from tests.unit.agent.models import ScriptedModel


async def test_a_domain_itself_can_be_given_and_another_left_out() -> None:
    """False leaves a domain out: get_store is None then, and the attribute says what is missing."""
    source = InMemoryStore()
    store = CompositeStore(default=InMemoryStore(), domains={"memory": source.memory, "scores": False})
    assert store.memory is source.memory
    assert await store.get_store("scores") is None
    with pytest.raises(UnsupportedError, match=r"keeps no scores; it keeps \['memory', 'workflows', 'observability'\]"):
        _ = store.scores
    await store.close()


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
