"""A list of models: the next one answers when one fails, and nobody is left in the dark about it."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, ContextLengthError, MastraWarning, Memory, ModelError
from mastra_core.agent.fallback import FallbackModel
from mastra_core.agent.model import ModelDelta, ModelRequest
from tests.unit.agent.models import CountingStore, ScriptedModel, WaitingModel, broken, call, calling, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


class Second(ScriptedModel):
    provider = "other"
    model_id = "owl/2"


class Mute(Second):
    calls_tools = False


class Silent(ScriptedModel):
    """Fails before its first piece, streamed too."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        self.requests.append(request)
        if self.answers:
            raise broken()
        yield ModelDelta()


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_next_model_answers_when_one_fails(store: CountingStore, streamed: bool) -> None:
    """The answer says who gave it: in the result, and in what is stored. The failure is warned about, once."""
    first, second = Silent(broken()), Second("Hello from me.")
    agent = Agent("a", model=[first, second], memory=Memory(store))
    with pytest.warns(MastraWarning, match="scripted/parrot-1 failed, and the next model of the list is asked instead: .*out of seeds"):
        result = await agent.stream("Hi", **HERE).result() if streamed else await agent.generate("Hi", **HERE)
    assert (result.text, result.model) == ("Hello from me.", "other/owl/2")
    assert result.messages[-1].content["metadata"] == {"modelId": "owl/2", "provider": "other"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await agent.generate("Again", **HERE)
    assert len(first.requests) == 2
    assert await stored(store) == [("user", "Hi"), ("assistant", "Hello from me."), ("user", "Again"), ("assistant", "Hello from me.")]


async def test_the_first_answers_when_it_can() -> None:
    """The others are not asked."""
    second = Second()
    result = await Agent("a", model=[ScriptedModel("Hi."), second]).generate("Hi")
    assert (result.text, result.model, second.requests) == ("Hi.", "scripted/parrot-1", [])
    assert (await Agent("a", model=ScriptedModel("Hi.")).generate("Hi")).model == "scripted/parrot-1"


@pytest.mark.parametrize("streamed", [False, True])
async def test_when_all_fail_one_error_says_why_each_did(store: CountingStore, streamed: bool) -> None:
    """With every name; the user's message is kept as `save` says."""
    agent = Agent("a", model=[Silent(broken()), Silent(ModelError("other/owl is asleep"))], memory=Memory(store))
    with pytest.warns(MastraWarning), pytest.raises(ModelError, match=r"no model of the list answered, 2 failed: .*out of seeds.* \| "):
        await (agent.stream("Hi", **HERE, save="input_first").result() if streamed else agent.generate("Hi", **HERE, save="input_first"))
    assert await stored(store) == [("user", "Hi")]


async def test_a_prompt_too_long_for_all_is_told_as_such() -> None:
    """And one that the next model can read is answered by it."""
    long = ContextLengthError("scripted/parrot-1: the prompt is longer than the model can read")
    short = ScriptedModel(long)
    with pytest.warns(MastraWarning), pytest.raises(ContextLengthError):
        await Agent("a", model=[short, Second(long)]).generate("Hi")
    with pytest.warns(MastraWarning):
        assert (await Agent("a", model=[short, Second("Hi.")]).generate("Hi")).text == "Hi."


async def test_a_model_that_fails_after_its_first_piece_is_not_replaced(store: CountingStore) -> None:
    """Two halves of two answers are no answer."""
    second = Second()
    stream = await Agent("a", model=[ScriptedModel(broken()), second], memory=Memory(store)).stream("Hi", **HERE)
    with pytest.raises(ModelError, match="out of seeds"):
        await stream.result()
    assert second.requests == []


async def test_each_step_begins_with_the_first_model(store: CountingStore) -> None:
    """One that has recovered is used again; steps name who gave them."""

    def ping() -> str:
        return "pong"

    agent = Agent("a", model=[ScriptedModel(broken(), "Done."), Second(calling(call("ping")))], memory=Memory(store), tools=[ping])
    with pytest.warns(MastraWarning):
        result = await agent.generate("Go", **HERE)
    assert (result.text, result.model) == ("Done.", "scripted/parrot-1")
    step = next(part for part in result.messages[-1].content["parts"] if part["type"] == "step-start")
    assert step["model"] == "scripted/parrot-1"


async def test_a_model_without_tools_is_passed_over_when_there_are_some() -> None:
    """It would answer as if the agent had none; alone, it is refused."""

    def ping() -> str:
        return "pong"

    mute = Mute("I can't.")
    result = await Agent("a", model=[mute, ScriptedModel("Hi.")], tools=[ping]).generate("Go")
    assert (result.text, mute.requests) == ("Hi.", [])
    with pytest.raises(ModelError, match=r"2 failed: other/owl/2: it cannot call tools \| scripted/parrot-1"):
        await Agent("a", model=[mute, ScriptedModel(broken())], tools=[ping]).generate("Go")
    with pytest.raises(ConfigurationError, match="cannot call tools"):
        await Agent("a", model=[mute, Mute()], tools=[ping]).generate("Go")


async def test_leaving_a_stream_early_stops_the_model_that_answers(store: CountingStore) -> None:
    """And the part is kept under its name."""
    waiting = WaitingModel()
    with pytest.warns(MastraWarning):
        async with Agent("a", model=[Silent(broken()), waiting], memory=Memory(store)).stream("Count", **HERE) as stream:
            await waiting.waiting.wait()
    assert waiting.stopped
    assert ((await stream.result()).text, await stored(store)) == ("One two", [("user", "Count"), ("assistant", "One two")])


async def test_a_stream_that_is_closed_has_stopped_its_model() -> None:
    """At once, not when somebody collects the garbage."""
    waiting = WaitingModel()
    deltas = FallbackModel([waiting, Second()]).stream(ModelRequest(messages=()))
    assert (await anext(deltas)).answered_by == "scripted/parrot-1"
    await deltas.aclose()  # type: ignore[attr-defined]
    assert waiting.stopped


async def test_closing_the_agent_closes_every_model() -> None:
    """Nothing stays open."""
    models = [ScriptedModel(), Second()]
    agent = Agent("a", model=models)
    await agent.generate("Hi")
    await agent.close()
    assert [model.closed for model in models] == [1, 1]


async def test_what_is_set_up_wrongly_is_not_passed_over(monkeypatch: Any) -> None:
    """A missing key or an unknown provider is an error, though a second model could answer."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        await Agent("a", model=["openai/gpt-5.1", ScriptedModel()]).generate("Hi")
    with pytest.raises(ConfigurationError, match=r"Agent 'a': model is an empty list"):
        Agent("a", model=[])
    with pytest.raises(ConfigurationError, match=r"Agent 'a': model\[1\] must be 'provider/model' or a Model"):
        Agent("a", model=["openai/gpt-5.1", 3])  # type: ignore[list-item]
    assert repr(Agent("a", model=["openai/gpt-5.1", ScriptedModel()])) == "<Agent 'a' openai/gpt-5.1, scripted/parrot-1>"
