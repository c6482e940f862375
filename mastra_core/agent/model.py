"""What an agent asks of a language model, and what a model answers: the protocol that plugins and users implement.

Knows plain text messages and token counts. Must not know agents, memory, storage or any provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

import attrs

Role = Literal["system", "user", "assistant", "tool"]


@attrs.frozen(kw_only=True)
class ModelMessage:
    """One message as a model sees it.

    Attributes:
        role: who speaks.
        text: what is said.
    """

    role: Role
    text: str


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


@attrs.frozen(kw_only=True)
class ModelRequest:
    """One call of a model.

    Attributes:
        messages: the prompt, oldest first; system messages stand before the others.
        max_output_tokens: where to stop; None leaves it to the model.
        temperature: 0.0 is greedy; None leaves it to the model.
    """

    messages: tuple[ModelMessage, ...]
    max_output_tokens: int | None = None
    temperature: float | None = None


@attrs.frozen(kw_only=True)
class ModelDelta:
    """A streamed piece of an answer.

    Attributes:
        text: what follows the pieces before; may be "".
        finish_reason: why the answer ends ("stop", "length", …), on the last piece; None on those before.
        usage: on the last piece, if the provider tells.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


@attrs.frozen(kw_only=True)
class ModelReply:
    """A whole answer.

    Attributes:
        text: the answer.
        finish_reason: why it ends: "stop", "length", …
        usage: what the call took.
    """

    text: str
    finish_reason: str
    usage: Usage


class Model(Protocol):
    """A language model that an agent can use.

    What a provider or a local model answers badly (wrong key, unreachable, missing weights) is raised as `ModelError`, with the mend.
    A model with `async def close(self)` is closed by `Agent.close()` and `Mastra.close()`.

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


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        provider: such as "local".
        model_id: such as "all-minilm-l6-v2".
        dimension: how many numbers a vector has.
    """

    provider: str
    model_id: str
    dimension: int

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order."""
        ...
