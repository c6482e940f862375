"""Structured answers: a type is asked for, the model is told its form, and the answer is a value of it or an error."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, TypedDict

import attrs
import pydantic
import pytest

from mastra_core import Agent, ConfigurationError, Memory, ModelError
from mastra_core.agent.events import AnswerRefused, TextDelta
from mastra_core.agent.model import ModelReply
from tests.unit.agent.models import USAGE, CountingStore, ScriptedModel, call, calling, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


@dataclasses.dataclass
class Person:
    name: str
    age: int


@attrs.frozen
class Pet:
    name: str
    owner: Person


class Place(TypedDict):
    city: str


class Mail(pydantic.BaseModel):
    to: str
    urgent: bool = False


@dataclasses.dataclass
class Node:
    name: str
    below: list[Node]


ADA = '{"name": "Ada", "age": 36}'

GOOD: list[Any] = [
    pytest.param(Person, ADA, Person("Ada", 36), id="dataclass"),
    pytest.param(Pet, f'{{"name": "Tib", "owner": {ADA}}}', Pet("Tib", Person("Ada", 36)), id="attrs"),
    pytest.param(Place, '{"city": "Paris"}', {"city": "Paris"}, id="TypedDict"),
    pytest.param(Mail, '{"to": "ada"}', Mail(to="ada"), id="pydantic"),
    pytest.param(dict[str, int], '{"a": 1}', {"a": 1}, id="mapping"),
    pytest.param(list[Person], f'{{"value": [{ADA}]}}', [Person("Ada", 36)], id="list"),
    pytest.param(int | None, '{"value": 3}', 3, id="union"),
    pytest.param(Node, '{"value": {"name": "a", "below": [{"name": "b", "below": []}]}}', Node("a", [Node("b", [])]), id="holds itself"),
    pytest.param(Person, f"```json\n{ADA}\n```", Person("Ada", 36), id="fenced"),
    pytest.param(Person, f"Here it is:\n```\n{ADA}\n```\nAnything else?", Person("Ada", 36), id="fenced in prose"),
    pytest.param(Person, f"In {{braces}}:\n```json\n{ADA}\n```\n{{that}} is it.", Person("Ada", 36), id="fenced beside braces"),
    pytest.param(Person, f"Sure! {ADA} Done.", Person("Ada", 36), id="in prose"),
]


@pytest.mark.parametrize("wanted, said, value", GOOD)
async def test_the_answer_is_a_value_of_the_type_asked_for(wanted: Any, said: str, value: Any) -> None:
    """Whatever kind of type it is, and however the model wraps its JSON; the form told has an object at its top."""
    model = ScriptedModel(said)
    result = await Agent("a", model=model).generate("Who?", output=wanted)
    assert (result.output, result.text) == (value, said)
    form = model.requests[0].output
    assert form is not None
    assert form.schema["type"] == "object"


async def test_without_a_type_there_is_no_form_and_no_output() -> None:
    """Text stays text."""
    model = ScriptedModel(ADA)
    result = await Agent("a", model=model).generate("Who?")
    assert (result.output, model.requests[0].output) == (None, None)


WRONG = [
    pytest.param("I don't know.", "the answer is no Person: there is no JSON in it", id="prose"),
    pytest.param('{"name": "Ada"}', "the answer is no Person: Object missing required field `age`", id="missing"),
    pytest.param('{"name": "Ada", "age": "old"}', r"the answer is no Person: Expected `int`, got `str` - at `\$.age`", id="type"),
    pytest.param("", "there is no JSON in it", id="nothing"),
]


@pytest.mark.parametrize("said, why", WRONG)
async def test_a_wrong_answer_is_asked_again_once_with_what_was_wrong(store: CountingStore, said: str, why: str) -> None:
    """The good answer alone is kept and given; both calls are counted."""
    model = ScriptedModel(said, ADA)
    result = await Agent("a", model=model, memory=Memory(store)).generate("Who?", **HERE, output=Person)
    assert (result.output, result.text, result.usage) == (Person("Ada", 36), ADA, USAGE + USAGE)
    spoken = [("assistant", said)] if said else []
    assert model.prompt()[:-1] == [("user", "Who?"), *spoken]
    assert re.search(why, model.prompt()[-1][1])
    assert await stored(store) == [("user", "Who?"), ("assistant", ADA)]
    (part,) = list(await store.memory.list_messages("t1"))[-1].content["parts"]
    assert part["text"] == ADA


@pytest.mark.parametrize("said, why", WRONG)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_model_that_answers_wrongly_twice_is_an_error(store: CountingStore, said: str, why: str, streamed: bool) -> None:
    """It says what was wrong and what came; with save="end" nothing is kept, as when a model fails."""
    model = ScriptedModel(said)
    agent = Agent("a", model=model, memory=Memory(store))
    with pytest.raises(ModelError, match=rf"scripted/parrot-1: .*{why}.*; it was "):
        await (agent.stream("Who?", **HERE, output=Person).result() if streamed else agent.generate("Who?", **HERE, output=Person))
    assert (len(model.requests), await stored(store)) == (2, [])


@pytest.mark.parametrize("save", ["input_first", "step"])
async def test_the_users_message_is_kept_as_save_says(store: CountingStore, save: Any) -> None:
    """The question outlives the wrong answers."""
    with pytest.raises(ModelError):
        await Agent("a", model=ScriptedModel("no"), memory=Memory(store)).generate("Who?", **HERE, output=Person, save=save)
    assert await stored(store) == [("user", "Who?")]


async def test_asking_again_counts_as_a_step() -> None:
    """max_steps bounds the calls of the model, whatever they are for."""
    model = ScriptedModel("no", ADA)
    with pytest.raises(ModelError, match="no JSON"):
        await Agent("a", model=model).generate("Who?", output=Person, max_steps=1)
    assert len(model.requests) == 1


async def test_an_answer_after_tools_is_read_and_calls_alone_are_none(store: CountingStore) -> None:
    """What is said beside calls is not the answer; without one the error names the limit."""

    def look_up() -> int:
        return 36

    agent = Agent("a", model=ScriptedModel(calling(call("look_up"), text="Wait."), "no", ADA), memory=Memory(store), tools=[look_up])
    result = await agent.generate("Who?", **HERE, output=Person)
    assert result.output == Person("Ada", 36)
    assert [part["type"] for part in result.messages[-1].content["parts"]] == ["text", "tool-invocation", "step-start", "text"]
    assert result.text == f"Wait.{ADA}"
    endless = Agent("a", model=ScriptedModel(calling(call("look_up"))), tools=[look_up])
    with pytest.raises(ModelError, match="max_steps=5 was reached before there was an answer; raise max_steps"):
        await endless.generate("Who?", output=Person)


async def test_an_answer_that_was_cut_off_says_what_to_raise() -> None:
    """Half of the JSON is no mistake of the model."""
    model = ScriptedModel(ModelReply(text='{"name": "A', finish_reason="length", usage=USAGE))
    with pytest.raises(ModelError, match="it was cut off, raise max_output_tokens"):
        await Agent("a", model=model).generate("Who?", output=Person, max_output_tokens=5)


async def test_a_stream_tells_that_an_answer_was_refused() -> None:
    """Whoever shows pieces can take the wrong ones away."""
    async with Agent("a", model=ScriptedModel("no", ADA)).stream("Who?", output=Person) as stream:
        events = [event async for event in stream.full_stream]
    refused = events.index(AnswerRefused("the answer is no Person: there is no JSON in it"))
    assert "".join(event.text for event in events[refused:] if isinstance(event, TextDelta)) == ADA
    assert (await stream.result()).output == Person("Ada", 36)


async def test_a_stream_that_is_left_early_has_no_output() -> None:
    """The part is kept; there is no value of it."""
    async with Agent("a", model=ScriptedModel(ADA)).stream("Who?", output=Person) as stream:
        async for _ in stream.text_stream:
            break
    result = await stream.result()
    assert (result.output, result.finish_reason) == (None, "interrupted")


async def test_a_type_that_json_cannot_say_is_refused_at_once() -> None:
    """With the agent and the mend, before the model is asked."""
    model = ScriptedModel()
    with pytest.raises(ConfigurationError, match=r"agent 'a': output: .*use builtin types, dataclasses"):
        await Agent("a", model=model).generate("Who?", output=object)
    assert model.requests == []
