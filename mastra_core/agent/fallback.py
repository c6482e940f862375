"""Several models for one agent: the next one is asked when one fails before it has said anything.

Knows models by their protocol. Must not know any provider, agents or memory.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Sequence

import attrs

from mastra_core.agent.model import Model, ModelDelta, ModelReply, ModelRequest
from mastra_core.errors import ContextLengthError, MastraWarning, ModelError


class FallbackModel:
    """Models in the order in which they are asked; what `Agent(model=["openai/…", "local/…"])` makes.

    A model that fails is warned about once, since a wrong key behind a working second model would never be noticed, and is asked
    first again the next time. One that cannot call tools is passed over when there are tools. Every answer names the model that gave it.

    Args:
        models: two or more.

    Attributes:
        provider: of the first.
        model_id: of the first.
        calls_tools: whether one of them can call tools.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(models)
        self.provider = models[0].provider
        self.model_id = models[0].model_id
        self.calls_tools = any(_calls_tools(model) for model in models)
        self._warned: set[str] = set()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole answer of the first model that gives one.

        Raises:
            ModelError: none did; the message says why each failed.
        """
        failures: list[ModelError] = []
        for model in self._able(request, failures):
            try:
                reply = await model.complete(request)
            except ModelError as error:
                failures.append(error)
                self._warn(model, error)
            else:
                return attrs.evolve(reply, answered_by=reply.answered_by or _name(model))
        raise _all_failed(failures)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """The pieces of the first model that gives one; what fails after its first piece is raised as it is.

        Raises:
            ModelError: none gave a piece, and the message says why each failed; or one failed after its first.
        """
        failures: list[ModelError] = []
        for model in self._able(request, failures):
            deltas = model.stream(request)
            try:
                try:
                    first = await anext(deltas)
                except StopAsyncIteration:
                    return
                except ModelError as error:
                    failures.append(error)
                    self._warn(model, error)
                    continue
                yield attrs.evolve(first, answered_by=first.answered_by or _name(model))
                async for delta in deltas:
                    yield delta
            finally:
                # Whoever leaves this stream early leaves that of the model, too.
                close = getattr(deltas, "aclose", None)
                if close is not None:
                    await close()
            return
        raise _all_failed(failures)

    async def close(self) -> None:
        """Release what the models hold."""
        for model in self.models:
            close = getattr(model, "close", None)
            if close is not None:
                await close()

    def __repr__(self) -> str:
        """The names, in order."""
        return f"<FallbackModel {', '.join(_name(model) for model in self.models)}>"

    def _able(self, request: ModelRequest, failures: list[ModelError]) -> list[Model]:
        """The models that can be asked; the others are noted."""
        able = [model for model in self.models if not request.tools or _calls_tools(model)]
        failures += [ModelError(f"{_name(model)}: it cannot call tools") for model in self.models if model not in able]
        return able

    def _warn(self, model: Model, error: ModelError) -> None:
        if model is not self.models[-1] and _name(model) not in self._warned:
            self._warned.add(_name(model))
            # Errors of models show no key.
            warnings.warn(f"{_name(model)} failed, and the next model of the list is asked instead: {error}", MastraWarning, stacklevel=4)


def _all_failed(failures: Sequence[ModelError]) -> ModelError:
    kind = ContextLengthError if all(isinstance(failure, ContextLengthError) for failure in failures) else ModelError
    return kind(f"no model of the list answered, {len(failures)} failed: {' | '.join(str(failure) for failure in failures)}")


def _calls_tools(model: Model) -> bool:
    return bool(getattr(model, "calls_tools", True))


def _name(model: Model) -> str:
    return f"{model.provider}/{model.model_id}"
