"""Mastra: finding agents, handing out storage, and closing what it holds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import mastra_core
from mastra_core import Agent, AgentNotFoundError, ConfigurationError, Mastra, MastraWarning, Memory, StorageError, StoreClosedError
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.memory_store import InMemoryStore
from tests.unit.agent.models import CountingStore, ScriptedModel, WaitingModel, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


def agent(id: str = "support", *, memory: Memory | None = None, model: ScriptedModel | None = None) -> Agent:
    return Agent(id, model=model or ScriptedModel(), memory=memory)


def test_agents_are_found_by_key_and_by_id() -> None:
    """A key is the name in the registry; an id is the agent's own."""
    support, sales = agent("support-1"), agent("sales-1")
    mastra = Mastra(storage=InMemoryStore(), agents={"support": support, "sales": sales})
    assert mastra.get_agent("support") is support
    assert mastra.get_agent_by_id("sales-1") is sales
    assert mastra.get_agent_by_id("sales") is sales
    assert mastra.list_agents() == {"support": support, "sales": sales}


def test_an_unknown_agent_is_told_with_the_nearest_name() -> None:
    """The texts of the contract §6.1, and the mend."""
    mastra = Mastra(storage=InMemoryStore(), agents={"support": agent("support-1")})
    with pytest.raises(AgentNotFoundError, match=r"Agent with name suport not found; the agents are \['support'\]. Did you mean 'support'"):
        mastra.get_agent("suport")
    with pytest.raises(LookupError, match=r"Agent with id x not found; the ids are \['support-1'\]"):
        mastra.get_agent_by_id("x")


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"agents": [agent()]}, "must be a mapping.*found a list"),
        ({"agents": {"a": "openai/gpt-5.1"}}, r"agents\['a'\] must be an Agent"),
        ({"agents": {"a": agent("x"), "b": agent("x")}}, "two agents have the id 'x'"),
        ({"storage": 5}, "storage must be a store or a URL, found a int"),
        ({"storage": "redsi://host"}, "redsi"),
    ],
)
def test_a_mastra_that_cannot_be_is_refused(arguments: dict[str, Any], text: str) -> None:
    """A mistake shows where it is made."""
    with pytest.raises(ConfigurationError, match=text):
        Mastra(**{"storage": InMemoryStore(), **arguments})


async def test_agents_share_the_storage_of_their_mastra_unless_they_have_one() -> None:
    """Instance-level storage for all, agent-level storage over it."""
    shared, own = CountingStore(id="shared"), CountingStore(id="own")
    async with Mastra(storage=shared, agents={"a": agent("a", memory=Memory()), "b": agent("b", memory=Memory(own))}) as mastra:
        await mastra.get_agent("a").generate("to shared", **HERE)
        await mastra.get_agent("b").generate("to own", **HERE)
        assert (await stored(shared))[0] == ("user", "to shared")
        assert (await stored(own))[0] == ("user", "to own")


async def test_an_agent_works_without_mastra() -> None:
    """A store in its Memory is enough."""
    async with LibSQLStore(url=":memory:") as store:
        alone = agent(memory=Memory(storage=store))
        await alone.generate("My name is Ada", **HERE)
        assert [m.content["content"] for m in (await alone.generate("?", **HERE)).recalled] == ["My name is Ada", "Hello, Ada."]
        await alone.close()


async def test_without_storage_everything_is_kept_in_a_file_that_one_warning_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first program remembers, and its user knows where; a second one reads it. Nothing is made before it is used."""
    monkeypatch.chdir(tmp_path)
    for expected in (0, 2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mastra = Mastra(agents={"a": agent(memory=Memory()), "b": agent("b", memory=Memory())})
        assert [(w.category, str(tmp_path / "mastra.db") in str(w.message), w.filename) for w in caught] == [
            (MastraWarning, True, __file__)
        ]
        assert (tmp_path / "mastra.db").exists() is bool(expected)
        async with mastra:
            assert len((await mastra.get_agent("a").generate("Hi", **HERE)).recalled) == expected
    assert (tmp_path / "mastra.db").exists()


async def test_storage_may_be_a_url(tmp_path: Path) -> None:
    """Any installed plugin that answers the scheme."""
    for expected in (0, 2):
        async with Mastra(storage=f"file:{tmp_path}/memory.db", agents={"a": agent(memory=Memory())}) as mastra:
            assert len((await mastra.get_agent("a").generate("Hi", **HERE)).recalled) == expected


async def test_close_closes_every_store_and_model_once_and_only_once() -> None:
    """Stores and models shared between agents too; a second close() does nothing."""
    shared, own, model, other = CountingStore(id="shared"), CountingStore(id="own"), ScriptedModel(), ScriptedModel()
    memory = Memory(own)
    agents = {
        "a": agent("a", memory=Memory(), model=model), "b": agent("b", memory=memory, model=model),
        "c": agent("c", memory=memory, model=other), "d": agent("d", model=WaitingModel()),
    }  # fmt: skip
    mastra = Mastra(storage=shared, agents=agents)
    for key in "abc":
        await mastra.get_agent(key).generate("Hi", thread=key, resource="u1")
    await mastra.close()
    await mastra.close()
    assert (shared.counted.closed, own.counted.closed, model.closed, other.closed) == (1, 1, 1, 1)
    with pytest.raises(StoreClosedError, match="'shared' is closed"):
        await agents["a"].generate("Hi", **HERE)


async def test_a_store_that_cannot_be_closed_does_not_keep_the_others_open() -> None:
    """The error is raised after all were tried."""
    bad, good = CountingStore(id="bad"), CountingStore(id="good")

    async def fail() -> None:
        raise StorageError("the connection is gone")

    bad.counted.close = fail  # type: ignore[method-assign]  # a database that fails at its last moment
    mastra = Mastra(storage=bad, agents={"a": agent("a", memory=Memory()), "b": agent("b", memory=Memory(good))})
    for key in "ab":
        await mastra.get_agent(key).generate("Hi", **HERE)
    with pytest.raises(StorageError, match="the connection is gone"):
        await mastra.close()
    assert good.counted.closed == 1


async def test_a_memory_serves_one_mastra_at_a_time() -> None:
    """What two Mastras save never ends up in the storage of one; when the first is closed, the next may take over."""
    one, shared = InMemoryStore(id="one"), agent(memory=Memory())
    first = Mastra(storage=one, agents={"a": shared})
    two = InMemoryStore(id="two")
    with pytest.raises(ConfigurationError, match=r"uses the storage 'one' of another Mastra.*close\(\)"):
        Mastra(storage=two, agents={"free": agent("free", memory=Memory()), "a": shared})
    Mastra(storage=one, agents={"a": shared})
    await first.close()
    Mastra(storage=two, agents={"a": shared})
    await shared.generate("Hi", **HERE)
    assert len(await stored(two)) == 2


async def test_a_refused_mastra_changes_no_memory() -> None:
    """Agents that it would have taken stay as they were."""
    taken, free = agent("taken", memory=Memory()), agent("free", memory=Memory())
    Mastra(storage=InMemoryStore(id="one"), agents={"taken": taken})
    with pytest.raises(ConfigurationError):
        Mastra(storage=InMemoryStore(id="two"), agents={"free": free, "taken": taken})
    assert free.memory is not None
    assert free.memory.storage is None


def test_a_mastra_without_agents_is_fine() -> None:
    """A program may only want the storage."""
    with Mastra(storage=InMemoryStore()).sync as mastra:
        mastra.drain()


def test_blocking_use_from_start_to_end() -> None:
    """Agents, storage and close without an event loop."""
    store = CountingStore()
    mastra = Mastra(storage=store, agents={"a": agent(memory=Memory())})
    mastra.get_agent("a").generate_sync("Hi", **HERE)
    mastra.sync.close()
    assert store.counted.closed == 1


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for every module."""
    with pytest.raises(AttributeError, match="has no attribute 'Nope'"):
        _ = mastra_core.Nope
    assert "Agent" in dir(mastra_core)
