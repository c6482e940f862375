"""Tools and options of tools that cannot be: refused where they are made, with the mend."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, tool
from tests.unit.agent.models import ScriptedModel
from tests.unit.agent.typed import Place, weather


class Mute(ScriptedModel):
    calls_tools = False


def failing(n: int) -> int:
    """Stands beside another tool of its name."""
    return n


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
