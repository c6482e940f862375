"""Titles: after the answer, only while there is none, touching nothing else, and never in the way."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, GenerateTitle, Memory, MemoryOptions, ModelError
from mastra_core.agent.model import ModelReply, ModelRequest
from mastra_core.agent.titles import cleaned
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.records.kinds import Thread
from mastra_core.storage.store import Store
from tests.unit.agent.models import CountingStore
from tests.unit.memory.talking import Talking

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


def titled(store: Store, talker: Any, **feature: Any) -> Agent:
    return Agent("a", model=talker, memory=Memory(store, options=MemoryOptions(generate_title=GenerateTitle(**feature))))


async def thread_of(store: Store) -> Thread:
    thread = await store.memory.get_thread_by_id("t1")
    assert thread is not None
    return thread


async def test_a_thread_without_a_title_gets_one_and_nothing_else_of_it_changes() -> None:
    """Semantics §2.20: neither created_at nor updated_at nor metadata (TypeScript resets them)."""
    store = CountingStore()
    model = Talking("Hello.", "A greeting")
    agent = titled(store, model)
    await agent.generate("Hi", thread={"id": "t1", "metadata": {"a": 1}}, resource="u1")
    before = await thread_of(store)
    await agent.drain()
    after = await thread_of(store)
    assert (before.title, after.title) == ("", "A greeting")
    assert (after.created_at, after.updated_at, after.metadata) == (before.created_at, before.updated_at, before.metadata)
    assert model.said() == ["User: Hi\nAssistant: Hello."]


async def test_a_title_leaves_the_dates_of_an_old_thread_alone() -> None:
    """A list of threads by their last change is not turned upside down by titles."""
    store, old = InMemoryStore(), datetime(2024, 2, 29, tzinfo=UTC)
    await store.memory.save_thread(Thread(id="t1", resource_id="u1", created_at=old, updated_at=old))
    assert await store.memory.give_title("t1", title="A greeting")
    thread = await thread_of(store)
    assert (thread.title, thread.created_at, thread.updated_at) == ("A greeting", old, old)
    assert not await store.memory.give_title("nobody's", title="A greeting")


async def test_it_costs_one_write_once_and_nothing_when_off() -> None:
    """Semantics §4: title + 1 write, once."""
    store = CountingStore()
    agent = titled(store, Talking("Hello.", "A greeting", "Again."))
    await agent.generate("Hi", **HERE)
    await agent.drain()
    assert store.batches() == ["fetch", "apply", "apply"]
    await agent.generate("Hi again", **HERE)
    await agent.drain()
    assert store.batches() == ["fetch", "apply"]


async def test_the_answer_does_not_wait_for_the_title_and_drain_does() -> None:
    """A slow title model delays nobody; a title that is given meanwhile stays."""
    going = asyncio.Event()

    class Slow(Talking):
        async def complete(self, request: ModelRequest) -> ModelReply:
            await going.wait()
            return await super().complete(request)

    store = InMemoryStore()
    agent = titled(store, Talking("Hello."), model=Slow("Too late"))
    assert (await agent.generate("Hi", **HERE)).text == "Hello."
    await store.memory.update_thread("t1", title="Mine")
    going.set()
    await agent.drain()
    assert (await thread_of(store)).title == "Mine"


async def test_a_stream_gives_a_title_too() -> None:
    """Also one that nobody reads."""
    store = InMemoryStore()
    agent = titled(store, Talking("Hello.", "A greeting"))
    await agent.stream("Hi", **HERE)
    await agent.drain()
    assert (await thread_of(store)).title == "A greeting"


async def test_min_messages_and_instructions_are_obeyed() -> None:
    """The second turn brings four messages."""
    store = InMemoryStore()
    model = Talking("Hello.", "Fine.", "Small talk")
    agent = titled(store, model, min_messages=3, instructions="Name it.")
    await agent.generate("Hi", **HERE)
    await agent.drain()
    assert (await thread_of(store)).title == ""
    await agent.generate("How are you?", **HERE)
    await agent.drain()
    assert (await thread_of(store)).title == "Small talk"
    assert model.system() == "Name it."


async def test_a_thread_that_has_a_title_keeps_it_and_no_model_is_asked() -> None:
    """One that the caller gave."""
    store, model = InMemoryStore(), Talking("Hello.")
    agent = titled(store, model)
    await agent.generate("Hi", thread={"id": "t1", "title": "Mine"}, resource="u1")
    await agent.generate("Hi", **HERE)
    await agent.drain()
    assert ((await thread_of(store)).title, len(model.requests)) == ("Mine", 2)


async def test_a_model_that_fails_at_the_title_fails_no_run(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next turn tries again."""
    store = InMemoryStore()
    agent = titled(store, Talking("Hello.", ModelError("out of names"), "Fine.", "Named"))
    with caplog.at_level(logging.WARNING, logger="mastra_core.agent"):
        await agent.generate("Hi", **HERE)
        await agent.drain()
    assert [record.getMessage() for record in caplog.records] == ["thread t1: it got no title: out of names"]
    await agent.generate("Hi", **HERE)
    await agent.drain()
    assert (await thread_of(store)).title == "Named"


async def test_an_unknown_title_model_is_told_before_the_answer() -> None:
    """Not in a log after it."""
    model = Talking()
    with pytest.raises(ConfigurationError, match="opneai"):
        await titled(InMemoryStore(), model, model="opneai/gpt-5.1").generate("Hi", **HERE)
    assert model.requests == []


@pytest.mark.parametrize(
    "answer, title",
    [
        ('"A greeting"\n', "A greeting"),
        ("<think>Hm.\nA name?</think>\nA greeting", "A greeting"),
        ("Title: A greeting", "A greeting"),
        ("<think>never ends", ""),
        ("   \n  ", ""),
        ("x" * 300, "x" * 200),
        ("nul\0 and \ud83d", "nul and"),
    ],
)
def test_what_models_put_around_a_title_is_left_out(answer: str, title: str) -> None:
    """Quotes, thoughts, labels, what a title cannot hold."""
    assert cleaned(answer) == title
