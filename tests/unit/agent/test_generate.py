"""agent.generate: what the model is asked, what is read and written, and when nothing is."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from mastra_core import (
    Agent,
    ConfigurationError,
    InvalidInputError,
    Memory,
    MemoryOptions,
    ModelError,
    OwnershipError,
    ThreadNotFoundError,
)
from mastra_core.agent.model import ModelReply, ModelRequest
from mastra_core.clock import now, to_milliseconds
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.wire import dump_json, to_document
from tests.unit.agent.models import USAGE, CountingStore, ScriptedModel, broken, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


async def test_a_result_says_what_was_answered_saved_and_recalled(agent: Agent) -> None:
    """Everything about the run is in one object."""
    await agent.generate("My name is Ada", **HERE)
    result = await agent.generate("What's my name?", **HERE)
    assert (result.text, result.usage, result.finish_reason, result.thread_id) == ("Hello, Ada.", USAGE, "stop", "t1")
    assert (result.tool_calls, result.trace_id) == ((), None)
    assert [m.content["content"] for m in result.messages] == ["What's my name?", "Hello, Ada."]
    assert [m.content["content"] for m in result.recalled] == ["My name is Ada", "Hello, Ada."]


async def test_the_model_sees_instructions_then_history_then_the_new_input(agent: Agent, model: ScriptedModel) -> None:
    """The prompt order of the contract §5.4."""
    await agent.generate("My name is Ada", **HERE)
    await agent.generate([{"role": "system", "content": "Whisper."}, {"role": "user", "content": "What's my name?"}], **HERE)
    assert model.prompt() == [
        ("system", "Be kind."), ("system", "Whisper."), ("user", "My name is Ada"), ("assistant", "Hello, Ada."), ("user", "What's my name?"),
    ]  # fmt: skip


async def test_a_run_costs_one_read_and_one_write(agent: Agent, store: CountingStore) -> None:
    """The budget of semantics §4, for a new thread and for one that exists."""
    await agent.generate("My name is Ada", **HERE)
    assert store.batches() == ["fetch", "apply"]
    await agent.generate("What's my name?", **HERE)
    assert store.batches() == ["fetch", "apply"]


async def test_the_stored_rows_are_those_of_typescript(agent: Agent, store: CountingStore) -> None:
    """Content as in the contract §4.4: parts with createdAt in milliseconds, the mirror, and who answered."""
    before = to_milliseconds(now())
    await agent.generate("My name is Ada", **HERE)
    user, answer = await store.memory.list_messages("t1")
    made = [message.content["parts"][0].pop("createdAt") for message in (user, answer)]
    assert user.content == {"format": 2, "parts": [{"type": "text", "text": "My name is Ada"}], "content": "My name is Ada"}
    assert answer.content == {
        "format": 2,
        "parts": [{"type": "text", "text": "Hello, Ada."}],
        "content": "Hello, Ada.",
        "metadata": {"modelId": "parrot-1", "provider": "scripted"},
    }
    assert (user.role, answer.role, user.type, user.resource_id, answer.resource_id) == ("user", "assistant", "v2", "u1", "u1")
    assert before <= made[0] <= to_milliseconds(user.created_at or now())
    assert made[0] <= made[1] <= to_milliseconds(answer.created_at or now())
    assert user.created_at is not None
    assert answer.created_at is not None
    assert user.created_at < answer.created_at


async def test_a_new_thread_has_no_title_unless_the_call_gives_one(agent: Agent, store: CountingStore) -> None:
    """Title and metadata of `thread={…}` count when the run creates the thread, and change nothing later."""
    await agent.generate("Hi", **HERE)
    await agent.generate("Hi", thread={"id": "t2", "title": "Greetings", "metadata": {"tag": 1}}, resource="u1")
    await agent.generate("Hi", thread={"id": "t2", "title": "Other"}, resource="u1")
    plain, titled = await store.memory.get_thread_by_id("t1"), await store.memory.get_thread_by_id("t2")
    assert plain is not None
    assert (plain.title, plain.metadata, plain.resource_id) == ("", None, "u1")
    assert titled is not None
    assert (titled.title, titled.metadata) == ("Greetings", {"tag": 1})


async def test_without_thread_and_resource_nothing_is_remembered(agent: Agent, store: CountingStore) -> None:
    """A run without memory touches no storage."""
    result = await agent.generate("Hi")
    assert (result.text, result.thread_id, result.recalled) == ("Hello, Ada.", None, ())
    assert [m.role for m in result.messages] == ["user", "assistant"]
    assert store.batches() == []


async def test_another_owners_thread_is_refused_before_the_model_is_called(
    agent: Agent, store: CountingStore, model: ScriptedModel
) -> None:
    """The error of semantics §2.9; nothing is written and nothing is spent."""
    await agent.generate("Hi", **HERE)
    text = "Thread with id t1 is for resource with id u1 but resource u2 was queried"
    with pytest.raises(OwnershipError, match=text):
        await agent.generate("Hi", thread="t1", resource="u2")
    assert len(model.requests) == 1
    assert len(await stored(store)) == 2


async def test_a_thread_without_owner_may_be_used_by_whoever_asks(agent: Agent, store: CountingStore) -> None:
    """TypeScript leaves threads without an owner (contract §5.3)."""
    row = to_document(THREADS, Thread(id="t1", resource_id="", created_at=now(), updated_at=now()))
    store.counted.tables["mastra_threads"] = {("t1",): dump_json(row, at="row")}
    await agent.generate("Hi", **HERE)
    assert await stored(store) == [("user", "Hi"), ("assistant", "Hello, Ada.")]


async def test_a_thread_deleted_during_a_run_is_not_resurrected(store: CountingStore) -> None:
    """Who deletes a thread does not find it again because an answer was on its way."""

    class Deleting(ScriptedModel):
        async def complete(self, request: ModelRequest) -> ModelReply:
            await store.memory.delete_thread("t1")
            return await super().complete(request)

    await Agent("a", model=ScriptedModel(), memory=Memory(store)).generate("Hi", **HERE)
    with pytest.raises(ThreadNotFoundError, match="t1"):
        await Agent("b", model=Deleting(), memory=Memory(store)).generate("Again", **HERE)
    assert await store.memory.get_thread_by_id("t1") is None
    assert await stored(store) == []


async def test_last_messages_0_reads_no_history_and_still_saves(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """Semantics §2.21; the owner is checked all the same."""
    await agent.generate("One", **HERE)
    result = await agent.generate("Two", **HERE, options=MemoryOptions(last_messages=0))
    assert model.prompt() == [("system", "Be kind."), ("user", "Two")]
    assert result.recalled == ()
    assert [text for _, text in await stored(store)] == ["One", "Hello, Ada.", "Two", "Hello, Ada."]
    with pytest.raises(OwnershipError):
        await agent.generate("Three", thread="t1", resource="u2", options={"last_messages": 0})


async def test_read_only_recalls_and_saves_nothing(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """A look at a thread leaves no trace, whenever it would have been saved."""
    await agent.generate("One", **HERE)
    store.batches()
    for save in ("end", "input_first"):
        result = await agent.generate("Two", **HERE, memory_options={"read_only": True}, save=save)
        assert [m.content["content"] for m in result.messages] == ["Two", "Hello, Ada."]
    assert store.batches() == ["fetch", "fetch"]
    assert ("user", "One") in model.prompt()


async def test_an_option_of_the_call_overrides_only_itself(store: CountingStore, model: ScriptedModel) -> None:
    """Options are laid over the Memory's own, field by field."""
    agent = Agent("a", model=model, memory=Memory(store, options=MemoryOptions(last_messages=2)))
    for text in ("One", "Two"):
        await agent.generate(text, **HERE)
    result = await agent.generate("Three", **HERE, options=MemoryOptions(read_only=True))
    assert len(result.recalled) == 2
    assert len((await agent.generate("Three", **HERE, options={"last_messages": 3})).recalled) == 3
    assert len(await stored(store)) == 6


async def test_a_failing_model_leaves_nothing_behind(store: CountingStore) -> None:
    """With save="end" there is no question without an answer, and no empty thread."""
    with pytest.raises(ModelError, match="out of seeds"):
        await Agent("a", model=ScriptedModel(broken()), memory=Memory(store)).generate("Hi", **HERE)
    assert store.batches() == ["fetch"]
    assert await store.memory.get_thread_by_id("t1") is None


@pytest.mark.parametrize("save", ["input_first", "step"])
async def test_input_first_keeps_the_users_message_when_the_model_fails(store: CountingStore, save: Any) -> None:
    """What the user wrote outlives a failure, for one write more."""
    agent = Agent("a", model=ScriptedModel(broken(), "Hello"), memory=Memory(store))
    with pytest.raises(ModelError):
        await agent.generate("Hi", **HERE, save=save)
    assert await stored(store) == [("user", "Hi")]
    store.batches()
    result = await agent.generate("Hi?", **HERE, save=save)
    assert store.batches() == ["fetch", "apply", "apply"]
    assert await stored(store) == [("user", "Hi"), ("user", "Hi?"), ("assistant", "Hello")]
    assert [m.content["content"] for m in result.messages] == ["Hi?", "Hello"]


async def test_an_echoed_history_is_not_saved_again(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """A client that sends the whole chat each time does not double the thread."""
    await agent.generate("One", **HERE)
    chat = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Hello, Ada."}, {"role": "user", "content": "Two"}]
    await agent.generate(chat, **HERE)
    assert model.prompt()[1:] == [("user", "One"), ("assistant", "Hello, Ada."), ("user", "Two")]
    assert [text for _, text in await stored(store)] == ["One", "Hello, Ada.", "Two", "Hello, Ada."]
    with pytest.raises(InvalidInputError, match="ends with an assistant message"):
        await agent.generate(chat[:2], **HERE)


async def test_a_whole_chat_fills_a_new_thread(agent: Agent, store: CountingStore) -> None:
    """The first call may bring a conversation that began elsewhere; its system message is not stored."""
    chat: list[dict[str, Any]] = [
        {"role": "system", "content": "Whisper."}, {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": [{"type": "text", "text": "Two"}]},
    ]  # fmt: skip
    await agent.generate(chat, **HERE)
    assert await stored(store) == [("user", "One"), ("assistant", "Yes?"), ("user", "Two"), ("assistant", "Hello, Ada.")]


async def test_a_message_sent_again_with_its_id_is_neither_doubled_nor_asked_twice(store: CountingStore) -> None:
    """A client may retry after a failure with the same message id."""
    model = ScriptedModel(broken(), "Hello")
    agent = Agent("a", model=model, memory=Memory(store))
    message = {"role": "user", "content": "Hi", "id": "m1"}
    with pytest.raises(ModelError):
        await agent.generate(message, **HERE, save="input_first")
    await agent.generate(message, **HERE, save="input_first")
    assert model.prompt() == [("user", "Hi")]
    assert await stored(store) == [("user", "Hi"), ("assistant", "Hello")]


async def test_an_answer_without_text_is_not_kept(store: CountingStore) -> None:
    """A thread holds no empty rows (contract §4.3)."""
    result = await Agent("a", model=ScriptedModel(""), memory=Memory(store)).generate("Hi", **HERE)
    assert [m.role for m in result.messages] == ["user"]
    assert await stored(store) == [("user", "Hi")]


async def test_history_of_typescript_is_shown_as_models_want_it(agent: Agent, store: CountingStore, model: ScriptedModel) -> None:
    """Calls come with their results, reasoning and stored system text are left out, old rows are understood."""
    await store.memory.save_thread(Thread(id="t1", resource_id="u1", created_at=now(), updated_at=now()))
    tool = {"type": "tool-invocation", "toolInvocation": {"state": "result", "toolCallId": "c", "toolName": "w", "args": {}, "result": 1}}
    contents: list[tuple[str, Any]] = [
        ("system", {"format": 2, "parts": [{"type": "text", "text": "secret"}]}),
        ("assistant", {"format": 2, "parts": [{"type": "reasoning", "reasoning": "hm", "details": []}, tool]}),
        ("assistant", {"format": 2, "parts": [{"type": "text", "text": "It is"}, None, tool, {"type": "step-start"}, {"type": "text", "text": "sunny"}]}),
        ("user", {"format": 2, "parts": [], "content": "mirror"}),
    ]  # fmt: skip
    await store.memory.save_messages(
        [Message(id=str(i), thread_id="t1", resource_id="u1", role=role, content=content) for i, (role, content) in enumerate(contents)]
    )
    old = Message(id="old", thread_id="t1", resource_id="u1", content="plain old text", created_at=now() + timedelta(seconds=1))
    await store.memory.records.apply(Save(MESSAGES, old))
    await agent.generate("Now?", **HERE)
    assert model.prompt()[1:] == [
        ("user", "."), ("assistant", ""), ("tool", "1"), ("assistant", "It is"), ("tool", "1"), ("assistant", "sunny"),
        ("user", "mirror"), ("user", "plain old text"), ("user", "Now?"),
    ]  # fmt: skip


async def test_the_seeds_form_means_the_same(agent: Agent, store: CountingStore) -> None:
    """`memory={…}` and `memory_options={…}` as in TypeScript's documentation."""
    await agent.generate("One", memory={"thread": "t1", "resource": "u1"})
    result = await agent.generate("Two", memory={"thread": {"id": "t1"}, "resource": "u1"}, memory_options={"last_messages": 1})
    assert len(result.recalled) == 1
    result = await agent.generate("Two", memory={"thread": "t1", "resource": "u1", "options": {"last_messages": 2}})
    assert len(result.recalled) == 2
    assert len(await stored(store)) == 6


async def test_a_chat_is_an_agent_in_one_thread(agent: Agent, store: CountingStore) -> None:
    """Thread and resource are said once."""
    chat = agent.chat(thread="t1", resource="u1")
    await chat.generate("One")
    async with chat.stream("Two", options={"last_messages": 1}) as stream:
        assert len((await stream.result()).recalled) == 1
    assert [text for _, text in await stored(store)] == ["One", "Hello, Ada.", "Two", "Hello, Ada."]
    with pytest.raises(ConfigurationError, match="must be provided"):
        agent.chat(thread="t1", resource=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="must be provided"):
        agent.chat(thread=None, resource=None)  # type: ignore[arg-type]


async def test_runs_of_one_thread_at_once_lose_nothing(agent: Agent, store: CountingStore) -> None:
    """Eight calls into a thread that none of them has seen: one thread, sixteen messages."""
    await asyncio.gather(*(agent.generate(f"Hi {i}", **HERE) for i in range(8)))
    assert sorted(text for role, text in await stored(store) if role == "user") == [f"Hi {i}" for i in range(8)]
    assert len(await stored(store)) == 16
