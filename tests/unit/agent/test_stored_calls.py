"""How a run with tools is kept: one row for the whole answer, as TypeScript keeps it, and what a later run makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core import Agent, Memory, ModelError
from mastra_core.agent.model import ModelMessage, ToolCall
from mastra_core.agent.tools import Tool
from tests.unit.agent.models import CountingStore, ScriptedModel, broken, call, calling, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


def get_weather(city: str) -> dict[str, Any]:
    """The weather of a city."""
    if city == "Atlantis":
        msg = "it has sunk"
        raise LookupError(msg)
    return {"temp": 21, "city": city}


def made(store: CountingStore, *answers: Any) -> Agent:
    return Agent("a", model=ScriptedModel(*answers), memory=Memory(store), tools=[get_weather])


async def parts(store: CountingStore) -> list[Any]:
    """The parts of the newest message, without their times, which must be there where TypeScript has them."""
    message = list(await store.memory.list_messages("t1"))[-1]
    bare = []
    for part in message.content["parts"]:
        assert ("createdAt" in part) is (part["type"] != "tool-invocation")
        bare.append({name: value for name, value in part.items() if name != "createdAt"})
    return bare


def invocation(state: str, **others: Any) -> dict[str, Any]:
    called = {"state": state, "toolCallId": "c1", "toolName": "get_weather", "args": {"city": "Paris"}, **others}
    return {"type": "tool-invocation", "toolInvocation": called}


PARIS = call("get_weather", city="Paris")
RESULT = {"temp": 21, "city": "Paris"}


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_with_calls_is_one_row_as_typescript_writes_it(store: CountingStore, streamed: bool) -> None:
    """Contract §4.4, row 2: call and result are one part, steps are told apart, and the mirror has the last step's text."""
    agent = made(store, calling(PARIS, text="Let me check.", reasoning="I should call the tool."), "It is sunny.")
    result = await agent.stream("Weather in Paris?", **HERE).result() if streamed else await agent.generate("Weather in Paris?", **HERE)
    assert result.text == "Let me check.It is sunny."
    assert await stored(store) == [("user", "Weather in Paris?"), ("assistant", "It is sunny.")]
    assert await parts(store) == [
        {"type": "reasoning", "reasoning": "I should call the tool.", "details": [{"type": "text", "text": "I should call the tool."}]},
        {"type": "text", "text": "Let me check."},
        invocation("result", result=RESULT),
        {"type": "step-start", "model": "scripted/parrot-1"},
        {"type": "text", "text": "It is sunny."},
    ]
    answer = list(await store.memory.list_messages("t1"))[-1]
    assert answer.content["metadata"] == {"modelId": "parrot-1", "provider": "scripted"}
    assert result.messages[-1].content == answer.content


async def test_a_run_with_tools_costs_one_read_and_one_write(store: CountingStore) -> None:
    """However many steps it has."""
    agent = made(store, calling(PARIS), calling(PARIS), "It is sunny.")
    await agent.generate("Weather?", **HERE)
    assert store.batches() == ["fetch", "apply"]


async def test_a_call_that_failed_is_kept_with_its_error(store: CountingStore) -> None:
    """In the state that TypeScript knows; malformed arguments are kept as they came."""
    malformed = ToolCall(id="c2", name="get_weather", malformed='{"city": ')
    await made(store, calling(call("get_weather", city="Atlantis"), malformed), "Sorry.").generate("Weather?", **HERE)
    first, second, *_ = await parts(store)
    assert (first["toolInvocation"]["state"], first["toolInvocation"]["errorText"]) == ("output-error", "LookupError: it has sunk")
    assert (second["toolInvocation"]["state"], second["toolInvocation"]["rawInput"], second["toolInvocation"]["args"]) == (
        "output-error",
        '{"city": ',
        {},
    )


async def test_calls_of_a_tool_that_is_not_stored_are_seen_by_the_model_alone(store: CountingStore) -> None:
    """As TypeScript leaves out those of the working memory (contract §4.3)."""

    async def run(*_: Any) -> str:
        return "noted"

    quiet = Tool(name="quiet", description="", parameters={"type": "object"}, run=run, stored=False)
    model = ScriptedModel(calling(call("quiet")), "Done")
    await Agent("a", model=model, memory=Memory(store), tools=[quiet]).generate("Go", **HERE)
    assert model.results() == ["noted"]
    assert await parts(store) == [{"type": "text", "text": "Done"}]


async def test_calls_go_back_to_the_model_with_their_results(store: CountingStore) -> None:
    """In the same run and in later ones: what was said and called in one message, each result in one of its own."""
    paris, rome = call("get_weather", id="p", city="Paris"), call("get_weather", id="r", city="Rome")
    agent = made(store, calling(paris, rome, text="Let me check."), "It is sunny.", "You are welcome.")
    model: Any = agent.model
    await agent.generate("Weather?", **HERE)
    called = (
        ModelMessage(role="user", text="Weather?"),
        ModelMessage(role="assistant", text="Let me check.", tool_calls=(paris, rome)),
        ModelMessage(role="tool", text='{"temp":21,"city":"Paris"}', tool_call_id="p"),
        ModelMessage(role="tool", text='{"temp":21,"city":"Rome"}', tool_call_id="r"),
    )
    assert model.requests[-1].messages == called
    await agent.generate("Thanks", **HERE)
    assert model.requests[-1].messages == (
        *called, ModelMessage(role="assistant", text="It is sunny."), ModelMessage(role="user", text="Thanks"),
    )  # fmt: skip


async def test_save_step_keeps_what_each_step_gave_when_a_later_one_fails(store: CountingStore) -> None:
    """A crash in step three does not lose steps one and two; what the tools did is known to the next run."""
    agent = made(
        store, calling(PARIS, text="First."), calling(call("get_weather", id="c2", city="Rome"), text="Second."), broken(), "Back again."
    )
    with pytest.raises(ModelError):
        await agent.generate("Weather?", **HERE, save="step")
    assert store.batches() == ["fetch", "apply", "apply", "apply"]
    assert await stored(store) == [("user", "Weather?"), ("assistant", "Second.")]
    assert [part["type"] for part in await parts(store)] == ["text", "tool-invocation", "step-start", "text", "tool-invocation"]
    assert [message.role for message in (await agent.generate("Go on", **HERE)).recalled] == ["user", "assistant"]
    model: Any = agent.model
    assert model.results() == ['{"temp":21,"city":"Paris"}', '{"temp":21,"city":"Rome"}']


async def test_save_step_ends_with_the_same_row_as_saving_at_the_end(store: CountingStore) -> None:
    """One row, whose time stays that of its first saving."""
    agent = made(store, calling(PARIS), "It is sunny.")
    result = await agent.generate("Weather?", **HERE, save="step")
    assert [part["type"] for part in await parts(store)] == ["tool-invocation", "step-start", "text"]
    assert list(await store.memory.list_messages("t1")) == list(result.messages)
    assert store.batches()[:4] == ["fetch", "apply", "apply", "apply"]


async def test_with_save_end_a_failure_in_a_later_step_leaves_nothing(store: CountingStore) -> None:
    """One write, or none."""
    with pytest.raises(ModelError):
        await made(store, calling(PARIS), broken()).generate("Weather?", **HERE)
    assert store.batches() == ["fetch"]
    assert await stored(store) == []


async def test_rows_of_typescript_without_step_marks_are_told_apart(store: CountingStore) -> None:
    """Text after a call is a step of its own; a call without a result is left out, as providers refuse it."""
    agent = made(store, "Hello")
    content = {
        "format": 2,
        "parts": [
            {"type": "text", "text": "Checking."}, invocation("result", result="sun"), {"type": "text", "text": "Sunny."},
            {"type": "tool-invocation", "toolInvocation": {"state": "call", "toolCallId": "c9", "toolName": "get_weather", "args": {}}},
        ],
    }  # fmt: skip
    await agent.generate("Hi", **HERE)
    first = list(await store.memory.list_messages("t1"))[-1]
    await store.memory.update_messages([{"id": first.id, "content": content}])
    await agent.generate("Thanks", **HERE)
    model: Any = agent.model
    assert model.prompt()[1:4] == [("assistant", "Checking."), ("tool", "sun"), ("assistant", "Sunny.")]
    assert sum(len(message.tool_calls) for message in model.requests[-1].messages) == 1
