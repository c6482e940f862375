"""Tools: functions that a model may call, and calling them.

Knows functions and what a model asks of them. Must not know models, memory or how a call is stored.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, overload

import attrs

from mastra_core.agent.model import ToolCall, ToolSpec
from mastra_core.agent.signatures import signature_of, to_json, written
from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.names import did_you_mean
from mastra_core.storage.records.kind import Json
from mastra_core.telemetry.tracing import UNTRACED, Step

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECTION = re.compile(r"(?:^|\n)\s*(?:Args|Arguments|Parameters|Returns|Yields|Raises|Examples?|Notes?):\s*\n")


@attrs.frozen(kw_only=True)
class RunContext:
    """What a tool or an instructions function may know of the run it works for; a parameter annotated with this class takes it.

    Attributes:
        agent_id: whose run.
        thread_id: None for a run that is not remembered.
        resource_id: likewise.
        tool_call_id: the call that this is; "" outside tools.
    """

    agent_id: str
    thread_id: str | None = None
    resource_id: str | None = None
    tool_call_id: str = ""


@attrs.frozen(kw_only=True)
class Tool:
    """Something a model may call.

    Attributes:
        name: what the model calls it by.
        description: what the model is told of it.
        parameters: the JSON schema of its arguments.
        run: does the work, with arguments as the model wrote them; raises InvalidInputError if they are wrong.
        requires_approval: whether a person must allow each call.
        stored: whether its calls are kept in the thread.
    """

    name: str
    description: str
    parameters: Mapping[str, Json]
    run: Callable[[Mapping[str, Json], RunContext], Awaitable[Json]]
    requires_approval: bool = False
    stored: bool = True

    @property
    def spec(self) -> ToolSpec:
        """What a model is told."""
        return ToolSpec(name=self.name, description=self.description, parameters=self.parameters)


@attrs.frozen(kw_only=True)
class ToolResult:
    """A call of a tool, and what came of it.

    Attributes:
        call: what the model wanted.
        result: what the tool gave, as JSON; None if it failed or was denied.
        error: why there is no result; "" if there is one.
        denied: whether a person refused the call.
    """

    call: ToolCall
    result: Json = None
    error: str = ""
    denied: bool = False


@overload
def tool(function: Callable[..., Any]) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, requires_approval: bool = False
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    requires_approval: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """A tool of a function: `@tool`, or `@tool(requires_approval=True)`. `Agent(tools=[function])` does the same.

    The model is told the name, the docstring without its sections, and each parameter with its type, its default and its line in the
    docstring's "Args:" (or the text in `Annotated[str, "which city"]`). A parameter annotated `RunContext` is not the model's; it takes
    what the run knows. A function that is not async runs in a thread; if the run is cancelled, it goes on there and what it gives is lost.

    Args:
        function: its parameters have annotations: builtin types, dataclasses, attrs classes, TypedDicts, enums, pydantic models.
        name: of the tool; the function's if not given.
        description: of the tool; from the docstring if not given.
        requires_approval: the run stops before each call and goes on with `agent.resume(approvals=…)`.

    Raises:
        ConfigurationError: a parameter has a type without a JSON schema, or the name is none.
    """
    if function is None:
        return lambda decorated: _tool(decorated, name=name, description=description, requires_approval=requires_approval)
    return _tool(function, name=name, description=description, requires_approval=requires_approval)


def read_tools(given: Sequence[Tool | Callable[..., Any]], *, at: str) -> dict[str, Tool]:
    """*given* as tools by name.

    Raises:
        ConfigurationError: one is neither a tool nor a function, or two have one name.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        msg = f"{at} must be a list of functions or tools, found a {type(given).__name__}"
        raise ConfigurationError(msg)
    tools: dict[str, Tool] = {}
    for one in given:
        made = one if isinstance(one, Tool) else _tool(one, name=None, description=None, requires_approval=False)
        if tools.setdefault(made.name, made) is not made:
            msg = f"{at}: two tools are named {made.name!r}; give one another name: tool(name=…)"
            raise ConfigurationError(msg)
    return tools


async def call_all(
    calls: Sequence[ToolCall],
    *,
    tools: Mapping[str, Tool],
    context: RunContext,
    returned: Callable[[ToolResult], None],
    traced: Callable[[ToolCall], Step] = lambda _: UNTRACED,
) -> None:
    """Make every call at once, and hand each result to *returned* as it comes. An error of a tool is its result; none is raised.

    Each call is made within the step that *traced* gives for it.
    """

    async def one(call: ToolCall) -> None:
        with traced(call) as step:
            result = await _outcome(call, tools=tools, context=attrs.evolve(context, tool_call_id=call.id))
            step.gave(result.result, success=not result.error)
            if result.error:
                step.failed(result.error)
        returned(result)

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(call))


async def _outcome(call: ToolCall, *, tools: Mapping[str, Tool], context: RunContext) -> ToolResult:
    found = tools.get(call.name)
    if found is None:
        return ToolResult(call=call, error=f"there is no tool {call.name!r}; the tools are {list(tools)}{did_you_mean(call.name, tools)}")
    if call.malformed:
        return ToolResult(call=call, error=f"the arguments are no JSON object: {call.malformed[:200]!r}; write them again")
    try:
        return ToolResult(call=call, result=await found.run(call.arguments, context))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Something that the tool waited for was cancelled, not the run.
        return ToolResult(call=call, error="CancelledError: what the tool waited for was cancelled")
    except Exception as error:  # noqa: BLE001  # whatever a user's function raises, the model is told and may mend it
        said = str(error) if isinstance(error, InvalidInputError) else f"{type(error).__name__}: {error}".removesuffix(": ")
        return ToolResult(call=call, error=said)


def _tool(function: object, *, name: str | None, description: str | None, requires_approval: bool) -> Tool:
    if not callable(function) or isinstance(function, type):
        msg = f"a tool must be a function or a Tool, found {function!r}"
        raise ConfigurationError(msg)
    named: str = name or str(getattr(function, "__name__", ""))
    if not _NAME.fullmatch(named):
        msg = f"tool {named!r}: a name has 1 to 64 letters, digits, '_' and '-'; give it one: tool(name=…)"
        raise ConfigurationError(msg)
    signature = signature_of(function, context_type=RunContext, at=f"tool {named!r}")

    async def run(arguments: Mapping[str, Json], context: RunContext) -> Json:
        filled = signature.read(arguments)
        if signature.context:
            filled[signature.context] = context
        answer = function(**filled) if inspect.iscoroutinefunction(function) else await asyncio.to_thread(_in_thread, function, filled)
        # A partial, a lambda or an object may be called like a function and give a coroutine.
        return to_json(await answer if inspect.isawaitable(answer) else answer)

    return Tool(
        name=named,
        description=description if description is not None else _described(function),
        parameters=signature.schema,
        run=run,
        requires_approval=requires_approval,
    )


def _described(function: Callable[..., Any]) -> str:
    """The docstring up to its first section."""
    return _SECTION.split(inspect.getdoc(written(function)) or "")[0].strip()


def _in_thread(function: Callable[..., Any], filled: Mapping[str, Any]) -> Any:
    try:
        return function(**filled)
    except StopIteration as error:
        # asyncio cannot carry it out of a thread: whoever waits would wait for ever.
        msg = f"StopIteration: {error}"
        raise RuntimeError(msg) from error
