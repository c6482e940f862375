"""Functions as tools: how they are called, and what comes of a call that goes wrong."""

from __future__ import annotations

import asyncio
import functools
import threading
from datetime import date
from typing import Any

import attrs
import pytest

from mastra_core import Agent, Memory, RunContext, Tool, tool
from mastra_core.agent.model import ToolCall
from tests.unit.agent.models import CountingStore, ScriptedModel, call, calling
from tests.unit.agent.typed import Address, Place, Size, Street, Unit, weather

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


async def asked(model: ScriptedModel, *tools: Any, **options: Any) -> ScriptedModel:
    """The model, after a run with *tools*."""
    await Agent("a", model=model, tools=tools).generate("Go", **options)
    return model


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

    assert list(tool(whoami).parameters["properties"]) == ["greeting"]
    model = ScriptedModel(calling(call("whoami", id="c7", greeting="Hi")), "Done")
    await Agent("support", model=model, tools=[whoami], memory=Memory(CountingStore())).generate("Go", **HERE)
    assert seen == [RunContext(agent_id="support", thread_id="t1", resource_id="u1", tool_call_id="c7")]


async def test_calls_of_one_step_run_at_once() -> None:
    """Two slow tools take as long as one: each waits here until the other has begun."""
    both, meeting = threading.Barrier(2), asyncio.Barrier(2)

    def blocking(n: int) -> int:
        both.wait(60)
        return n

    async def waiting(n: int) -> int:
        await asyncio.wait_for(meeting.wait(), 60)
        return n

    calls = [call(name, id=f"{name}{n}", n=n) for name in ("blocking", "waiting") for n in (1, 2)]
    model = await asked(ScriptedModel(calling(*calls), "Done"), blocking, waiting)
    assert model.results() == ["1", "2", "1", "2"]


async def test_a_blocking_tool_does_not_hold_up_the_loop() -> None:
    """It runs in a thread of its own."""
    go = threading.Event()

    def blocking() -> bool:
        return go.wait(60)

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
