"""Agents, input and options that cannot be: refused with the mend, before the model is asked and anything is read or written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mastra_core import (
    Agent,
    ConfigurationError,
    InvalidInputError,
    Memory,
    StoreClosedError,
)
from mastra_core.storage.records.kinds import Message
from tests.unit.agent.models import CountingStore, ScriptedModel

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


UNUSABLE = [
    pytest.param("", "empty", id="no text"),
    pytest.param([], "no message to answer", id="nothing"),
    pytest.param([{"role": "system", "content": "x"}], "no message to answer", id="system only"),
    pytest.param(7, "found int", id="number"),
    pytest.param(b"x", "found bytes", id="bytes"),
    pytest.param([7], r"must be a text.*found int", id="number in list"),
    pytest.param({"role": "robot", "content": "x"}, "role must be one of.*'tool'", id="role"),
    pytest.param({"role": ["user"], "content": "x"}, "role must be one of", id="role no text"),
    pytest.param({"role": "user"}, "'role', 'content'", id="no content"),
    pytest.param(["a", {"role": "user", "content": None}], r"input\[1\]\.content: it is empty", id="None in list"),
    pytest.param([{"role": "user", "content": "a", "id": "1"}, {"role": "user", "content": "b", "id": "1"}], "two messages have the id '1'", id="ids"),
    pytest.param(Message(id="1", thread_id="t1", content="old"), "parts", id="old content"),
    pytest.param(Message(id="1", thread_id="t9", content={"format": 2, "parts": [{"type": "text", "text": "x"}]}), "of thread 't9'", id="other thread"),
    pytest.param({"role": "user", "content": "x", "id": "i" * 300}, "300 characters", id="long id"),
    pytest.param(
        Message(id="1", thread_id="t1", created_at=datetime(2026, 1, 1), content={"format": 2, "parts": [{"type": "text", "text": "x"}]}),
        "naive", id="naive datetime",
    ),
    pytest.param(
        Message(id="1", thread_id="t1", content={"format": 2, "parts": [{"type": "text", "text": "x", "n": float("nan")}]}), "nan", id="NaN"
    ),
]  # fmt: skip


@pytest.mark.parametrize("given, text", UNUSABLE)
async def test_input_that_cannot_be_is_refused_before_anything_happens(
    agent: Agent, store: CountingStore, model: ScriptedModel, given: Any, text: str
) -> None:
    """A clear error that names what was found; no model call, nothing read or written."""
    with pytest.raises(InvalidInputError, match=f"(?i){text}"):
        await agent.generate(given, **HERE)
    assert (store.batches(), model.requests) == ([], [])


REFUSED: list[Any] = [
    pytest.param({"thread": "t1"}, 'Saw threadId "t1" and resourceId "undefined"', id="thread alone"),
    pytest.param({"resource": "u1"}, 'A resourceId and a threadId must be provided when using Memory. Saw threadId "undefined"', id="resource alone"),
    pytest.param({**HERE, "memory": HERE}, "in two ways", id="both forms"),
    pytest.param({**HERE, "options": {}, "memory_options": {}}, "in two ways", id="options twice"),
    pytest.param({"memory": {**HERE, "options": {}}, "options": {}}, "in two ways", id="options in both"),
    pytest.param({**HERE, "options": {"lastMessages": 5}}, "Did you mean 'last_messages'", id="camelCase"),
    pytest.param({**HERE, "memoryOptions": {}}, "Did you mean 'memory_options'", id="camelCase call"),
    pytest.param({"memory": {"threadId": "t1"}}, "options are .*thread", id="memory key"),
    pytest.param({"memory": "t1"}, "must be a dictionary", id="memory text"),
    pytest.param({**HERE, "options": {"observational_memory": True}}, r"no option 'observational_memory'; the options are \['last_messages'", id="later"),
    pytest.param({**HERE, "options": {"last_messages": True}}, "whole number >= 0, found True", id="bool"),
    pytest.param({**HERE, "options": {"last_messages": -1}}, "whole number >= 0, found -1", id="negative"),
    pytest.param({**HERE, "options": {"read_only": 1}}, "True or False, found 1", id="read_only"),
    pytest.param({**HERE, "options": 5}, "must be MemoryOptions", id="options number"),
    pytest.param({**HERE, "options": {1: 2}}, "no option 1", id="options key"),
    pytest.param({"options": {"last_messages": 3}}, "no effect without a thread", id="options alone"),
    pytest.param({**HERE, "save": "inputFirst"}, "Did you mean 'input_first'", id="save"),
    pytest.param({"thread": 1, "resource": "u1"}, r"thread: an id must be a string, found 1 \(int\)", id="number"),
    pytest.param({"thread": {"title": "x"}, "resource": "u1"}, "needs the key 'id'", id="no id"),
    pytest.param({"thread": {"id": "t1", "name": "x"}, "resource": "u1"}, "no option 'name'", id="thread key"),
    pytest.param({"thread": {"id": "t1", "title": 1}, "resource": "u1"}, "thread.title", id="title"),
    pytest.param({"thread": {"id": "t1", "metadata": []}, "resource": "u1"}, "thread.metadata", id="metadata"),
]  # fmt: skip


@pytest.mark.parametrize("call, text", REFUSED)
async def test_an_option_that_cannot_be_is_refused_with_the_mend(
    agent: Agent, store: CountingStore, model: ScriptedModel, call: Any, text: str
) -> None:
    """Nothing is silently ignored; no model call, nothing read or written."""
    with pytest.raises(ConfigurationError, match=text):
        await agent.generate("Hi", **call)
    assert (store.batches(), model.requests) == ([], [])


@pytest.mark.parametrize(
    "call", [{"thread": "", "resource": "u1"}, {"thread": "t1", "resource": ""}, {"thread": {"id": "t", "title": "\0"}, "resource": "u"}]
)
async def test_a_thread_that_could_not_be_stored_is_refused_before_the_model_is_called(
    agent: Agent, model: ScriptedModel, call: Any
) -> None:
    """An empty id or a title that no database keeps costs no tokens."""
    with pytest.raises(InvalidInputError):
        await agent.generate("Hi", **call)
    assert model.requests == []


async def test_a_thread_needs_a_memory_and_a_memory_a_storage(model: ScriptedModel) -> None:
    """Nobody believes to be remembered who is not."""
    with pytest.raises(ConfigurationError, match=r"agent 'a' has no memory.*memory=Memory\(\)"):
        await Agent("a", model=model).generate("Hi", **HERE)
    with pytest.raises(ConfigurationError, match="Memory requires a storage provider to function"):
        await Agent("a", model=model, memory=Memory()).generate("Hi", **HERE)
    assert model.requests == []


async def test_a_closed_store_says_so(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """The mend, not a driver's surprise."""
    await store.close()
    with pytest.raises(StoreClosedError, match="open a new one"):
        await agent.generate("Hi", **HERE)
    assert model.requests == []


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"id": " "}, "id must be a non-empty string"),
        ({"id": 1}, "id must be a string, found int"),
        ({"instructions": None}, "instructions must be a string"),
        ({"model": object()}, "found a object without provider, model_id, complete, stream"),
        ({"memory": CountingStore()}, r"Memory\(storage=…\)"),
    ],
)
def test_an_agent_that_cannot_be_is_refused(arguments: dict[str, Any], text: str) -> None:
    """A mistake shows where it is made, not at the first call."""
    with pytest.raises(ConfigurationError, match=text):
        Agent(**{"id": "a", "model": ScriptedModel(), **arguments})


async def test_a_model_is_looked_up_by_name_on_first_use() -> None:
    """An agent can be made without its provider being installed; the first call says what is missing."""
    agent = Agent("a", model="nowhere/parrot")
    with pytest.raises(ConfigurationError, match="nowhere/parrot"):
        await agent.generate("Hi")
