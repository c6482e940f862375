"""What an agent asks of a language model, and what a model answers: the protocol that plugins and users implement.

Knows messages, tools as models see them, and token counts. Must not know agents, memory, storage or any provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Literal, Protocol

import attrs

from mastra_core.storage.records.kind import Json

Role = Literal["system", "user", "assistant", "tool"]


@attrs.frozen(kw_only=True)
class ToolCall:
    """A tool that the model wants called.

    Attributes:
        id: the model's name of this call, which its result repeats.
        name: of the tool.
        arguments: by name.
        malformed: what the model wrote instead of a JSON object of arguments; "" when it wrote one.
    """

    id: str
    name: str
    arguments: Mapping[str, Json] = attrs.field(factory=dict)
    malformed: str = ""


@attrs.frozen(kw_only=True)
class ToolSpec:
    """A tool as a model is told of it.

    Attributes:
        name: letters, digits, "_" and "-", at most 64.
        description: what it does and when to call it.
        parameters: the JSON schema of its arguments, of type "object".
    """

    name: str
    description: str
    parameters: Mapping[str, Json]


@attrs.frozen(kw_only=True)
class OutputSpec:
    """The form that an answer must have.

    Attributes:
        name: of the type.
        schema: its JSON schema.
    """

    name: str
    schema: Mapping[str, Json]


@attrs.frozen(kw_only=True)
class ModelFile:
    """A file that goes with a message.

    Attributes:
        url: where it is, or itself as a `data:` URI.
        media_type: such as "image/png".
        name: what it is called; "" if unknown.
    """

    url: str
    media_type: str
    name: str = ""


@attrs.frozen(kw_only=True)
class ModelMessage:
    """One message as a model sees it.

    Attributes:
        role: who speaks; "tool" for what a tool gave.
        text: what is said; of a tool, its result.
        files: of a user.
        tool_calls: of an assistant: what it called; a message of role "tool" follows for each.
        tool_call_id: of a tool: which call this is the result of.
    """

    role: Role
    text: str
    files: tuple[ModelFile, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@attrs.frozen(kw_only=True)
class Usage:
    """How many tokens one call took; 0 where the provider does not tell.

    Attributes:
        input_tokens: of the prompt.
        output_tokens: of the answer.
    """

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """What two calls took together."""
        return Usage(input_tokens=self.input_tokens + other.input_tokens, output_tokens=self.output_tokens + other.output_tokens)


@attrs.frozen(kw_only=True)
class ModelRequest:
    """One call of a model.

    Attributes:
        messages: the prompt, oldest first; system messages stand before the others.
        tools: what the model may call; one that cannot call tools ignores them, and says so in `calls_tools`.
        tool_choice: "auto", "none", "required", or the name of the tool that must be called.
        output: the form that the answer must have; None leaves it free.
        max_output_tokens: where to stop; None leaves it to the model.
        temperature: 0.0 is greedy; None leaves it to the model.
    """

    messages: tuple[ModelMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    output: OutputSpec | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None


@attrs.frozen(kw_only=True)
class ModelDelta:
    """A streamed piece of an answer.

    Attributes:
        text: what follows the pieces before; may be "".
        reasoning: likewise, of what the model thinks before it answers.
        tool_calls: calls that are complete with this piece.
        answered_by: which model this comes from, "provider/model", if it is not the one that was asked; on the first piece.
        finish_reason: why the answer ends ("stop", "length", "tool_calls", …), on the last piece; None on those before.
        usage: on the last piece, if the provider tells.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    answered_by: str = ""


@attrs.frozen(kw_only=True)
class ModelReply:
    """A whole answer.

    Attributes:
        text: the answer; "" if there are only calls.
        finish_reason: why it ends: "stop", "length", "tool_calls", …
        usage: what the call took.
        reasoning: what the model thought before, if the provider tells.
        tool_calls: the tools it wants called before it goes on.
        answered_by: which model this comes from, "provider/model", if it is not the one that was asked.
    """

    text: str
    finish_reason: str
    usage: Usage
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    answered_by: str = ""


class Model(Protocol):
    """A language model that an agent can use.

    What a provider or a local model answers badly (wrong key, unreachable, missing weights) is raised as `ModelError`, with the mend.
    A model with `async def close(self)` is closed by `Agent.close()` and `Mastra.close()`. One with
    `calls_tools = False` is given no tools. Told a form for its answer (`ModelRequest.output`), it tries; whether the answer has the
    form is checked by whoever asked.

    Attributes:
        provider: stored as `metadata.provider` of every answer, such as "local".
        model_id: stored as `metadata.modelId` of every answer, such as "smollm2-135m".
    """

    provider: str
    model_id: str

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole answer."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """The answer in pieces; an async generator, closed early when nobody wants the rest."""
        ...
