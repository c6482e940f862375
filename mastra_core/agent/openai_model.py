"""Language models behind the chat completions interface of OpenAI, which many providers speak: one table and one client.

Knows the official client by its connection. Must not know agents or memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from mastra_core.agent.model import ModelDelta, ModelReply, ModelRequest, Usage
from mastra_core.agent.openai_wire import Calls, arguments_of, finish_reason, reply_of, spoken, usage_of
from mastra_core.openai.connection import Connection


def open_model(provider: str, *, model_id: str) -> OpenAIModel:
    """The model of a provider of the table, by the environment.

    Raises:
        ConfigurationError: as `Connection.of_environment`.
    """
    return OpenAIModel(Connection.of_environment(provider, model_id=model_id, what="model"))


class OpenAIModel:
    """A model behind the chat completions interface.

    Args:
        connection: to the provider and model.
    """

    def __init__(self, connection: Connection) -> None:
        self.provider = connection.provider
        self.model_id = connection.model_id
        self.connection = connection
        self._entry = connection.entry

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole answer.

        Raises:
            ModelError: the provider refused, failed, or could not be reached.
        """
        arguments = arguments_of(request, model_id=self.model_id, entry=self._entry, stream=False)
        with self.connection.translated():
            answer = await self.connection.client().chat.completions.create(**arguments)
            if not getattr(answer, "choices", None):
                raise self.connection.errors.nonsense("it held no choices")
            return reply_of(answer.choices[0], usage=usage_of(answer.usage) or Usage())

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """The answer in pieces, calls whole with the last; closing it early ends the request.

        Raises:
            ModelError: the provider refused, failed, could not be reached, or broke off.
        """
        arguments = arguments_of(request, model_id=self.model_id, entry=self._entry, stream=True)
        ended: str | None = None
        usage: Usage | None = None
        calls = Calls()
        with self.connection.translated():
            chunks = await self.connection.client().chat.completions.create(**arguments)
            async with chunks:
                async for chunk in chunks:
                    usage = usage_of(chunk.usage) or usage
                    for choice in (chunk.choices or ())[:1]:
                        ended = finish_reason(choice.finish_reason) or ended
                        calls.add(choice.delta)
                        text, reasoning = spoken(choice.delta)
                        if text or reasoning:
                            yield ModelDelta(text=text, reasoning=reasoning)
            if ended is None:
                raise self.connection.errors.nonsense("it broke off before its end")
        yield ModelDelta(finish_reason=ended, usage=usage, tool_calls=calls.complete())

    async def close(self) -> None:
        """Release the connections that this event loop opened; idempotent."""
        await self.connection.close()

    def __repr__(self) -> str:
        """The name; never the key."""
        return f"<OpenAIModel {self.provider}/{self.model_id}>"
