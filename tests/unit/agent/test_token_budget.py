"""MemoryOptions(max_tokens=…): the oldest of the history is left out, and a call of a tool goes with its result."""

from __future__ import annotations

from typing import Any

from mastra_core import Agent, Memory
from mastra_core.storage.memory_store import InMemoryStore
from tests.unit.memory.talking import Talking, calls, says

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


async def test_the_oldest_messages_are_left_out() -> None:
    """About four characters a token, and four tokens a message."""
    model = Talking("ok")
    agent = Agent("a", model=model, memory=Memory(InMemoryStore()))
    for text in ("first " * 20, "second " * 20, "third " * 20):
        await agent.generate(text, **HERE)
    await agent.generate("Now?", **HERE, options={"max_tokens": 85})
    assert [said.split(" ")[0] for said in model.said()] == ["second", "ok", "third", "ok", "Now?"]
    await agent.generate("Now?", **HERE, options={"max_tokens": 1})
    assert model.said() == ["Now?"]


async def test_a_call_is_never_without_its_result() -> None:
    """A message with both goes or stays whole: what a model is shown is always a valid conversation."""
    model = Talking(calls("add", a=1, b=2), says("It is three, or " + "so " * 40))

    def add(a: int, b: int) -> int:
        return a + b

    agent = Agent("a", model=model, memory=Memory(InMemoryStore()), tools=[add])
    await agent.generate("Add", **HERE)
    for tokens in range(1, 80, 3):
        await agent.generate("Now?", **HERE, options={"max_tokens": tokens, "read_only": True})
        called = [call.id for message in model.requests[-1].messages for call in message.tool_calls]
        returned = [message.tool_call_id for message in model.requests[-1].messages if message.role == "tool"]
        assert called == returned
