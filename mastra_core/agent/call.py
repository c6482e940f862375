"""What one call of an agent asks for besides its input: thread, resource, options and when to save, in either of the two forms.

Knows names of options. Must not know models or how anything is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import attrs

from mastra_core.agent.task import Instructions
from mastra_core.agent.tools import Tool
from mastra_core.errors import ConfigurationError
from mastra_core.memory.options import MemoryOptions, MemoryOptionsDict
from mastra_core.names import did_you_mean
from mastra_core.storage.options import refuse_unknown
from mastra_core.storage.records.kind import Json

Saving = Literal["end", "input_first", "step"]
SAVING: tuple[Saving, ...] = ("end", "input_first", "step")


class ThreadDict(TypedDict, total=False):
    """A thread by its id, with what it gets if this run creates it."""

    id: str
    title: str
    metadata: Mapping[str, Json] | None


class MemoryDict(TypedDict, total=False):
    """Where a run is remembered, in one dictionary."""

    thread: str | ThreadDict
    resource: str
    options: MemoryOptions | MemoryOptionsDict


class ChatOptions(TypedDict, total=False):
    """What a call in a given thread may say besides its input.

    Attributes:
        options: of the memory, for this call, laid over the Memory's own field by field.
        memory_options: the same as `options`.
        save: "end" (default): one write after the answer, nothing if the model fails. "input_first": the user's message is written
            before the model is called, so it outlives a failure or a crash, for one write more. "step": likewise, and the answer after
            each step that called tools.
        instructions: in place of the agent's.
        tools: in place of the agent's.
        tool_choice: "auto" (default), "none", "required", or the name of the tool to be called; the last two hold for the first step.
        max_steps: how many times the model is asked at most, in place of the agent's.
        output: a type (dataclass, attrs class, TypedDict, pydantic model, …) that the answer is read into: `result.output`.
        temperature: 0.0 is greedy; None leaves it to the model.
        max_output_tokens: of each step; None leaves it to the model.
    """

    options: MemoryOptions | MemoryOptionsDict | None
    memory_options: MemoryOptions | MemoryOptionsDict | None
    save: Saving
    instructions: Instructions | None
    tools: Sequence[Tool | Callable[..., Any]] | None
    tool_choice: str
    max_steps: int | None
    output: Any
    temperature: float | None
    max_output_tokens: int | None


class CallOptions(ChatOptions, total=False):
    """What a call may say besides its input: where it is remembered, and what ChatOptions has.

    `thread`, `resource` and `options` mean the same as `memory={"thread": …, "resource": …, "options": …}`, and `options` the same as
    `memory_options`; saying one thing in two ways is refused.

    Attributes:
        thread: the id of the thread, or `{"id", "title", "metadata"}`; title and metadata count only when this run creates it.
        resource: who the thread belongs to. With `thread`, or neither: then nothing is remembered.
        memory: the same in one dictionary.
    """

    thread: str | ThreadDict | None
    resource: str | None
    memory: MemoryDict | None


@attrs.frozen(kw_only=True)
class Remembered:
    """Where a run is remembered: both ids, and what the thread gets if it is created."""

    thread_id: str
    resource_id: str
    title: str = ""
    metadata: Mapping[str, Json] | None = None


@attrs.frozen(kw_only=True)
class Call:
    """What a call asks for, checked; `where` is None for a run that is not remembered."""

    where: Remembered | None
    options: MemoryOptions
    save: Saving


def read_call(given: CallOptions) -> Call:
    """What *given* asks for.

    Raises:
        ConfigurationError: an unknown or camelCase name, one thing said in two ways, a thread without a resource or the reverse.
    """
    refuse_unknown(given, known=tuple(CallOptions.__annotations__), at="call")
    memory = _memory(given.get("memory"))
    _refuse_twice(given, memory)
    options = next((o for o in (given.get("options"), given.get("memory_options"), memory.get("options")) if o is not None), None)
    thread, resource = memory.get("thread", given.get("thread")), memory.get("resource", given.get("resource"))
    where = _where(thread, resource)
    if where is None and options is not None:
        msg = f"options {options!r} have no effect without a thread and a resource; pass both, or leave the options out"
        raise ConfigurationError(msg)
    save = given.get("save", "end")
    if save not in SAVING:
        msg = f"save must be one of {list(SAVING)}, found {save!r}{did_you_mean(save, SAVING)}"
        raise ConfigurationError(msg)
    return Call(where=where, options=MemoryOptions.of(options), save=save)


def _memory(given: object) -> MemoryDict:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        msg = f'memory must be a dictionary such as {{"thread": "123", "resource": "user-456"}}, found {type(given).__name__}'
        raise ConfigurationError(msg)
    refuse_unknown(given, known=tuple(MemoryDict.__annotations__), at="memory")
    return MemoryDict(**given)  # type: ignore[typeddict-item]  # the names are checked, and the values where they are used


def _refuse_twice(given: CallOptions, memory: MemoryDict) -> None:
    ways = {
        "thread=/resource= and memory={…}": given.get("memory") is not None
        and (given.get("thread") is not None or given.get("resource") is not None),
        "options= and memory_options=": given.get("options") is not None and given.get("memory_options") is not None,
        'options and memory={"options": …}': "options" in memory
        and (given.get("options") is not None or given.get("memory_options") is not None),
    }
    for names, both in ways.items():
        if both:
            msg = f"{names} say the same in two ways; pass one of them"
            raise ConfigurationError(msg)


def _where(thread: object, resource: object) -> Remembered | None:
    fields: Mapping[str, object] = _thread(thread)
    thread_id = fields.get("id")
    if thread_id is None and resource is None:
        return None
    if thread_id is None or resource is None:
        seen = " and ".join(
            f'{name} "{"undefined" if value is None else value}"' for name, value in (("threadId", thread_id), ("resourceId", resource))
        )
        msg = (
            f"A resourceId and a threadId must be provided when using Memory. Saw {seen}; "
            "pass both thread= and resource=, or neither for a run that is not remembered"
        )
        raise ConfigurationError(msg)
    for name, value in (("thread", thread_id), ("resource", resource)):
        if not isinstance(value, str):
            msg = f"{name}: an id must be a string, found {value!r} ({type(value).__name__}); convert it with str()"
            raise ConfigurationError(msg)
    return Remembered(
        thread_id=str(thread_id),
        resource_id=str(resource),
        title=_title(fields.get("title")),
        metadata=_metadata(fields.get("metadata")),
    )


def _thread(thread: object) -> Mapping[str, object]:
    if not isinstance(thread, Mapping):
        return {"id": thread}
    refuse_unknown(thread, known=tuple(ThreadDict.__annotations__), at="thread")
    if thread.get("id") is None:
        msg = f"thread: a dictionary needs the key 'id', found {list(thread)}"
        raise ConfigurationError(msg)
    return thread


def _title(title: object) -> str:
    if title is None:
        return ""
    if not isinstance(title, str):
        msg = f"thread.title must be a string, found {title!r}"
        raise ConfigurationError(msg)
    return title


def _metadata(metadata: object) -> Mapping[str, Json] | None:
    if metadata is not None and not isinstance(metadata, Mapping):
        msg = f"thread.metadata must be a dictionary, found {metadata!r}"
        raise ConfigurationError(msg)
    return metadata
