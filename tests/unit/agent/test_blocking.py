"""Agents in programs without an event loop."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core import (
    Agent,
    ConfigurationError,
    Memory,
)
from tests.unit.agent.models import CountingStore, ScriptedModel

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


def test_blocking_calls_need_no_event_loop() -> None:
    """The same agent from a plain script."""
    store = CountingStore()
    agent = Agent("a", model=ScriptedModel(), memory=Memory(store))
    assert agent.generate_sync("One", **HERE).text == "Hello, Ada."
    assert agent.sync.generate("Two", **HERE).text == "Hello, Ada."
    assert agent.chat(**HERE).sync.generate("Three").text == "Hello, Ada."
    assert "".join(agent.stream_sync("Four", **HERE)) == "Hello, Ada."
    assert [m.content["content"] for m in store.sync.memory.list_messages("t1") if m.role == "user"] == ["One", "Two", "Three", "Four"]


def test_a_blocking_stream_left_early_saves_the_part_produced() -> None:
    """As in async code; drain() waits for the save."""
    store = CountingStore()
    agent = Agent("a", model=ScriptedModel("One two three four"), memory=Memory(store))
    pieces = agent.stream_sync("Count", **HERE)
    assert next(pieces) == "One"
    pieces.close()  # type: ignore[attr-defined]
    agent.sync.drain()
    user, answer = store.sync.memory.list_messages("t1")
    assert user.content["content"] == "Count"
    assert answer.content["content"].startswith("One")


async def test_a_blocking_call_inside_a_loop_says_what_to_do(agent: Agent) -> None:
    """No deadlock."""
    with pytest.raises(ConfigurationError, match="await"):
        agent.generate_sync("Hi")
