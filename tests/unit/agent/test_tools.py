"""Functions as tools: what the model is told of them, how they are called, and what comes of a call that goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import threading
from datetime import date
from typing import Annotated, Any, Literal, TypedDict

import attrs
import pydantic
import pytest

from mastra_core import Agent, ConfigurationError, Memory, RunContext, Tool, tool
from mastra_core.agent.model import ToolCall
from tests.unit.agent.models import CountingStore, ScriptedModel, call, calling

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclasses.dataclass
class Place:
    city: str
    country: str = "France"


@attrs.define
class Size:
    width: int


class Range(TypedDict):
    low: float


class Street(pydantic.BaseModel):
    name: str


class Address(pydantic.BaseModel):
    street: Street
    number: int


def weather(
    place: Place, *, day: date, unit: Unit = Unit.CELSIUS, style: Literal["short", "long"] = "short", rooms: list[Size] | None = None
) -> str:
    """Say the weather.

    It is looked up each time.

    Args:
        place: where
            it is asked for.
        day (date): of the weather.
        unknown: nothing.

    Returns:
        A text.
    """
    return f"{place.city}, {place.country} {day:%d.%m.} {unit.name} {style} {rooms}"


async def asked(model: ScriptedModel, *tools: Any, **options: Any) -> ScriptedModel:
    """The model, after a run with *tools*."""
    await Agent("a", model=model, tools=tools).generate("Go", **options)
    return model


def schema(function: Any) -> Any:
    return tool(function).parameters


def test_a_function_becomes_a_tool_by_its_types_and_docstring() -> None:
    """Nothing is written twice: name, description and parameters come from the function."""
    made = tool(weather)
    assert (made.name, made.description) == ("weather", "Say the weather.\n\nIt is looked up each time.")
    place = {
        "title": "Place",
        "type": "object",
        "required": ["city"],
        "properties": {"city": {"type": "string"}, "country": {"type": "string", "default": "France"}},
    }
    size = {"title": "Size", "type": "object", "required": ["width"], "properties": {"width": {"type": "integer"}}}
    assert made.parameters == {
        "type": "object",
        "required": ["place", "day"],
        "additionalProperties": False,
        "properties": {
            "place": {"$ref": "#/$defs/Place", "description": "where it is asked for."},
            "day": {"type": "string", "format": "date", "description": "of the weather."},
            "unit": {"$ref": "#/$defs/Unit"},
            "style": {"enum": ["long", "short"], "default": "short"},
            "rooms": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Size"}}, {"type": "null"}], "default": None},
        },
        "$defs": {"Place": place, "Size": size, "Unit": {"title": "Unit", "enum": ["c", "f"]}},
    }


def test_every_kind_of_parameter_has_a_schema() -> None:
    """TypedDicts, mappings, sets, text beside a type; a parameter without a type takes anything."""

    def f(a: Range, b: dict[str, int], c: Annotated[set[str], "the colours"], d: int | str, e, f: bool = True) -> None: ...  # type: ignore[no-untyped-def]

    told = schema(f)
    assert told["properties"] == {
        "a": {"$ref": "#/$defs/Range"}, "b": {"type": "object", "additionalProperties": {"type": "integer"}},
        "c": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "description": "the colours"},
        "d": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "e": {}, "f": {"type": "boolean", "default": True},
    }  # fmt: skip
    assert told["required"] == ["a", "b", "c", "d", "e"]


def test_pydantic_models_bring_their_definitions_to_where_references_look_for_them() -> None:
    """A nested model is no dangling reference."""

    def f(to: Address) -> None: ...

    told = schema(f)
    assert told["properties"]["to"]["properties"]["street"] == {"$ref": "#/$defs/Address_Street"}
    assert told["$defs"]["Address_Street"]["required"] == ["name"]


async def test_arguments_arrive_as_the_types_that_were_asked_for() -> None:
    """A tool works with its own classes, not with dictionaries."""
    seen: list[Any] = []

    def f(place: Place, size: Size, to: Address, unit: Unit, day: date, names: dict[int, str]) -> None:
        seen.extend((place, size, to, unit, day, names))

    given = {
        "place": {"city": "Paris"},
        "size": {"width": 2},
        "to": {"street": {"name": "Rue"}, "number": 1},
        "unit": "f",
        "day": "2026-11-21",
        "names": {"1": "a"},
    }
    await asked(ScriptedModel(calling(ToolCall(id="c1", name="f", arguments=given)), "Done"), f)
    assert seen == [
        Place("Paris"), Size(2), Address(street=Street(name="Rue"), number=1), Unit.FAHRENHEIT, date(2026, 11, 21), {1: "a"},
    ]  # fmt: skip


async def test_what_a_tool_gives_is_told_as_json() -> None:
    """Text as it is; classes, dates, enums, models and sets as JSON has them."""
    model = ScriptedModel(calling(call("text", id="1"), call("things", id="2"), call("nothing", id="3")), "Done")

    def text() -> str:
        return "It is sunny."

    def things() -> Any:
        return {"place": Place("Paris"), "day": date(2026, 11, 21), "unit": Unit.CELSIUS, "to": Street(name="Rue"), 1: (True, 2.5)}

    async def nothing() -> None: ...

    result = await Agent("a", model=model, tools=[text, things, nothing]).generate("Go")
    assert model.results() == [
        "It is sunny.",
        '{"place":{"city":"Paris","country":"France"},"day":"2026-11-21","unit":"c","to":{"name":"Rue"},"1":[true,2.5]}',
        "null",
    ]
    assert {one.call.name: one.result for one in result.tool_calls}["nothing"] is None
    assert (result.text, result.usage.total_tokens) == ("Done", 10)


async def test_the_context_is_given_and_is_not_the_models() -> None:
    """A tool may know whose run it works for; the model is not asked for it and cannot forge it."""
    seen: list[RunContext] = []

    def whoami(greeting: str, run: RunContext) -> None:
        """Says who."""
        seen.append(run)

    assert list(schema(whoami)["properties"]) == ["greeting"]
    model = ScriptedModel(calling(call("whoami", id="c7", greeting="Hi")), "Done")
    await Agent("support", model=model, tools=[whoami], memory=Memory(CountingStore())).generate("Go", **HERE)
    assert seen == [RunContext(agent_id="support", thread_id="t1", resource_id="u1", tool_call_id="c7")]


async def test_calls_of_one_step_run_at_once() -> None:
    """Two slow tools take as long as one: each waits here until the other has begun."""
    both, meeting = threading.Barrier(2), asyncio.Barrier(2)

    def blocking(n: int) -> int:
        both.wait(10)
        return n

    async def waiting(n: int) -> int:
        await asyncio.wait_for(meeting.wait(), 10)
        return n

    calls = [call(name, id=f"{name}{n}", n=n) for name in ("blocking", "waiting") for n in (1, 2)]
    model = await asked(ScriptedModel(calling(*calls), "Done"), blocking, waiting)
    assert model.results() == ["1", "2", "1", "2"]


async def test_a_blocking_tool_does_not_hold_up_the_loop() -> None:
    """It runs in a thread of its own."""
    go = threading.Event()

    def blocking() -> bool:
        return go.wait(10)

    async def freeing() -> None:
        go.set()

    model = await asked(ScriptedModel(calling(call("blocking", id="1"), call("freeing", id="2")), "Done"), blocking, freeing)
    assert model.results() == ["true", "null"]


def failing(n: int) -> Any:
    """Fails in as many ways as a tool may."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    match n:
        case 0:
            raise KeyError("paris")
        case 1:
            raise TimeoutError
        case 2:
            return next(iter(()))
        case 3:
            return threading.Lock()
        case 4:
            return float("nan")
        case 5:
            return cyclic
        case _:
            raise asyncio.CancelledError


WRONG = [
    pytest.param(call("failing", n=0), "Error: KeyError: 'paris'", id="raises"),
    pytest.param(call("failing", n=1), "Error: TimeoutError", id="raises without a text"),
    pytest.param(call("failing", n=2), "Error: RuntimeError: StopIteration", id="next of nothing"),
    pytest.param(call("failing", n=3), "Error: lock cannot be written as JSON", id="no JSON"),
    pytest.param(call("failing", n=4), "Error: float cannot be written as JSON", id="NaN"),
    pytest.param(call("failing", n=5), "Error: list cannot be written as JSON", id="holds itself"),
    pytest.param(call("failing", n=6), "Error: CancelledError", id="cancelled inside"),
    pytest.param(call("failing", n="x"), "Error: Expected `int`, got `str` - at `$.n`", id="wrong type"),
    pytest.param(call("failing"), "Error: Object missing required field `n`", id="missing"),
    pytest.param(call("failing", n=1, m=2), "Error: Object contains unknown field `m`", id="unknown argument"),
    pytest.param(call("falling", n=1), "Error: there is no tool 'falling'; the tools are ['failing', 'post']. Did you mean 'failing'?", id="unknown tool"),
    pytest.param(ToolCall(id="c1", name="failing", malformed='{"n": '), """Error: the arguments are no JSON object: '{"n": '; write them again""", id="malformed"),
    pytest.param(call("post", to={"street": {"name": 1}}), "Error: street.name: Input should be a valid string; number: Field required - at `$.to`", id="pydantic"),
]  # fmt: skip


@pytest.mark.parametrize("wrong, told", WRONG)
async def test_a_call_that_goes_wrong_is_told_to_the_model_which_goes_on(wrong: ToolCall, told: str) -> None:
    """The run does not fail, and the model can mend its call; the result says so too."""

    def post(to: Address) -> None: ...

    model = ScriptedModel(calling(wrong), "I see.")
    store = CountingStore()
    result = await Agent("a", model=model, tools=[failing, post], memory=Memory(store)).generate("Go", **HERE)
    assert model.results()[0].startswith(told)
    assert (result.text, len(result.tool_calls), result.tool_calls[0].result) == ("I see.", 1, None)
    assert f"Error: {result.tool_calls[0].error}" == model.results()[0]
    assert len(await store.memory.list_messages("t1")) == 2


async def test_the_model_is_asked_at_most_max_steps_times() -> None:
    """A model that never stops calling is stopped, and the result says why it ends."""
    model = ScriptedModel(calling(call("ping")))

    def ping() -> str:
        return "pong"

    agent = Agent("a", model=model, tools=[ping], max_steps=3)
    result = await agent.generate("Go")
    assert (len(model.requests), result.finish_reason, len(result.tool_calls)) == (3, "tool_calls", 3)
    # Some providers end such an answer with "stop".
    model.answers = [attrs.evolve(calling(call("ping")), finish_reason="stop")]
    assert (await agent.generate("Go", max_steps=1)).finish_reason == "tool_calls"
    assert len(model.requests) == 4


async def test_ids_that_a_model_gives_twice_or_not_at_all_do_not_mix_up_results() -> None:
    """Each result goes to the call it belongs to, within a step and over several."""
    model = ScriptedModel(
        calling(call("double", id="", n=1), call("double", id="", n=2)), calling(call("double", id="c", n=3), call("double", id="c", n=4)),
        calling(call("double", id="c", n=5)), "Done",
    )  # fmt: skip

    def double(n: int) -> int:
        return 2 * n

    await asked(model, double)
    assert model.results() == ["2", "4", "6", "8", "10"]
    calls = [one for message in model.requests[-1].messages for one in message.tool_calls]
    assert [one.arguments["n"] for one in calls] == [1, 2, 3, 4, 5]
    assert len({one.id for one in calls}) == 5
    assert calls[2].id == "c"
    # OpenAI takes 40 characters.
    assert all(0 < len(one.id) <= 40 for one in calls)


async def test_tool_choice_holds_for_the_first_step() -> None:
    """A model that must call something comes to an answer all the same; "none" is none to the end."""
    model = ScriptedModel(calling(call("ping")), "Done")

    def ping() -> str:
        return "pong"

    await asked(model, ping, tool_choice="required")
    await asked(model, ping, tool_choice="ping")
    await asked(model, ping, tool_choice="none")
    assert [request.tool_choice for request in model.requests] == ["required", "auto", "ping", "none"]


async def test_tools_of_a_call_stand_in_for_the_agents() -> None:
    """One call may be given others, or none."""
    model = ScriptedModel("Done")
    agent = Agent("a", model=model, tools=[weather])
    for tools in (None, [failing], []):
        await agent.generate("Go", tools=tools)
    assert [[spec.name for spec in request.tools] for request in model.requests] == [["weather"], ["failing"], []]


class Mute(ScriptedModel):
    calls_tools = False


REFUSED: list[Any] = [
    pytest.param(lambda: Agent("a", model=ScriptedModel(), tools=[failing, tool(name="failing")(weather)]), "two tools are named 'failing'", id="two of one name"),
    pytest.param(lambda: Agent("a", model=ScriptedModel(), tools=_any(failing)), "must be a list of functions or tools", id="no list"),
    pytest.param(lambda: Agent("a", model=ScriptedModel(), tools=_any([3])), "must be a function or a Tool, found 3", id="number"),
    pytest.param(lambda: Agent("a", model=ScriptedModel(), tools=[Place]), "must be a function or a Tool", id="class"),
    pytest.param(lambda: tool(lambda x: x), r"a name has 1 to 64 letters.*tool\(name=…\)", id="lambda"),
    pytest.param(lambda: tool(name="f")(lambda *args: args), "the parameter \\*args cannot be given by name", id="star"),
    pytest.param(lambda: tool(name="f")(_opaque), "tool 'f': .*use builtin types, dataclasses", id="opaque type"),
    pytest.param(lambda: tool(name="f")(_unresolved), "tool 'f': an annotation cannot be resolved.*Nowhere", id="unresolved"),
]  # fmt: skip


def _any(value: Any) -> Any:
    return value


def _opaque(x: threading.Event) -> None: ...


def _unresolved(x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("make, text", REFUSED)
def test_a_tool_that_cannot_be_is_refused_where_it_is_made(make: Any, text: str) -> None:
    """With its name and the mend, before anybody talks to a model."""
    with pytest.raises(ConfigurationError, match=text):
        make()


@pytest.mark.parametrize(
    "options, text",
    [
        ({"max_steps": 0}, "max_steps must be a whole number >= 1, found 0"),
        ({"max_steps": True}, "max_steps must be a whole number >= 1, found True"),
        ({"tool_choice": "wether"}, "tool_choice must be one of.*'weather'.*found 'wether'. Did you mean 'weather'"),
        ({"tools": [weather, weather]}, "^$"),
    ],
)
async def test_options_of_tools_that_cannot_be_are_refused(options: Any, text: str) -> None:
    """Before the model is asked."""
    model = ScriptedModel()
    agent = Agent("a", model=model, tools=[weather])
    with pytest.raises(ConfigurationError, match="two tools are named" if text == "^$" else text):
        await agent.generate("Go", **options)
    assert model.requests == []


async def test_a_model_that_cannot_call_tools_is_given_none_and_the_mistake_is_told() -> None:
    """An agent does not silently lose what it was built for."""
    agent = Agent("a", model=Mute(), tools=[weather])
    with pytest.raises(ConfigurationError, match=r"scripted/parrot-1 cannot call tools, and the agent has \['weather'\]"):
        await agent.generate("Go")
    assert (await agent.generate("Go", tools=[])).text == "Hello, Ada."


async def test_partials_objects_and_renamed_functions_are_tools_too() -> None:
    """Whatever can be called by name."""

    class Counter:
        """Counts."""

        async def __call__(self, by: int) -> int:
            return by + 1

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    tools = [tool(name="count")(Counter()), tool(name="add_one", description="One more.")(functools.partial(add, 1))]
    assert [(one.description, list(one.parameters["properties"])) for one in tools] == [("Counts.", ["by"]), ("One more.", ["b"])]
    model = await asked(ScriptedModel(calling(call("count", id="1", by=2), call("add_one", id="2", b=3)), "Done"), *tools)
    assert model.results() == ["3", "4"]


async def test_a_tool_can_be_written_by_hand() -> None:
    """For tools whose schema comes from elsewhere."""

    async def run(arguments: Any, context: RunContext) -> Any:
        return [context.agent_id, arguments]

    made = Tool(name="by_hand", description="d", parameters={"type": "object"}, run=run)
    model = await asked(ScriptedModel(calling(call("by_hand", x=1)), "Done"), made)
    assert (model.results(), model.requests[0].tools) == (['["a",{"x":1}]'], (made.spec,))
