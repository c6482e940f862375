"""What a run works with besides its input: the model, the instructions, the tools and their limits, checked.

Knows options by name. Must not know how a model is called or anything is stored.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from mastra_core.agent.model import Model
from mastra_core.agent.output import Output
from mastra_core.agent.tools import RunContext, Tool
from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean

Instructions = str | Sequence[str] | Callable[[RunContext], str | Sequence[str] | Awaitable[str | Sequence[str]]]
"""The system prompt: a text, several, or a function that gives either."""

MAX_STEPS = 5
"""How many times a model is asked in one run if a call does not say."""


@attrs.frozen(kw_only=True)
class Task:
    """What a run works with.

    Attributes:
        agent_id: whose run it is.
        model: who answers.
        instructions: what the model is told first.
        tools: what it may call, by name.
        max_steps: how many times it is asked at most.
        tool_choice: "auto", "none", "required" or the name of a tool; but for "none" it counts for the first step, since a model that
            must call a tool each time never comes to an answer.
        output: what the answer is read into; None leaves it text.
        temperature: None leaves it to the model.
        max_output_tokens: likewise, of each step.
    """

    agent_id: str
    model: Model
    instructions: Instructions = ""
    tools: Mapping[str, Tool] = attrs.field(factory=dict)
    max_steps: int = MAX_STEPS
    tool_choice: str = "auto"
    output: Output | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None

    def check(self) -> None:
        """Refuse what cannot be, before anything is read.

        Raises:
            ConfigurationError: an option cannot be that, or the model cannot call tools.
        """
        at = f"agent {self.agent_id!r}"
        steps: object = self.max_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            msg = f"{at}: max_steps must be a whole number >= 1, found {self.max_steps!r}"
            raise ConfigurationError(msg)
        choices = ("auto", "none", "required", *self.tools)
        if self.tool_choice not in choices:
            near = did_you_mean(self.tool_choice, choices)
            msg = f"{at}: tool_choice must be one of {list(choices)}, found {self.tool_choice!r}{near}"
            raise ConfigurationError(msg)
        if self.tools and not can_call_tools(self.model):
            msg = (
                f"{at}: the model {self.model.provider}/{self.model.model_id} cannot call tools, and the agent has {list(self.tools)}; "
                "choose another model, or leave the tools out"
            )
            raise ConfigurationError(msg)


def can_call_tools(model: Model) -> bool:
    """Whether *model* can be given tools."""
    return bool(getattr(model, "calls_tools", True))


async def instructed(instructions: Instructions, context: RunContext) -> tuple[str, ...]:
    """The texts of *instructions* for one run.

    Raises:
        ConfigurationError: a function gave something else.
    """
    given: Any = instructions
    if callable(given):
        given = given(context)
        if inspect.isawaitable(given):
            given = await given
    return _texts(given, at=f"agent {context.agent_id!r}: instructions")


def check_instructions(given: object, *, at: str) -> None:
    """Refuse what are no instructions.

    Raises:
        ConfigurationError: neither text, a list of texts nor a function.
    """
    if not callable(given):
        _texts(given, at=at)


def _texts(given: object, *, at: str) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else given
    if isinstance(texts, Sequence) and not isinstance(texts, bytes) and all(isinstance(text, str) for text in texts):
        return tuple(texts)
    msg = f"{at} must be a string, a list of strings, or a function that gives either; found {type(given).__name__}"
    raise ConfigurationError(msg)
