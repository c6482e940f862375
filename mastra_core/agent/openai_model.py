"""Language models behind the chat completions interface of OpenAI, which many providers speak: one table and one client.

Knows the official `openai` client, imported on first use (extra `mastra-core[openai]`). Must not know agents or memory.
An API key is read from the environment and reaches no message: what a provider says about a wrong one is not repeated.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from mastra_core.agent.model import ModelDelta, ModelReply, ModelRequest, Usage
from mastra_core.agent.openai_errors import Translator
from mastra_core.agent.openai_providers import PROVIDERS
from mastra_core.agent.openai_wire import Calls, arguments_of, finish_reason, reply_of, spoken, usage_of
from mastra_core.errors import ConfigurationError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

TIMEOUT_SECONDS = 60.0
"""How long a provider may say nothing, unless `<PROVIDER>_TIMEOUT_SECONDS` says otherwise."""

MAX_RETRIES = 2
"""How often the client asks again after a failure that may pass, unless `<PROVIDER>_MAX_RETRIES` says otherwise."""


def open_model(provider: str, *, model_id: str) -> OpenAIModel:
    """The model of a provider of the table; its key, address, timeout and retries are taken from the environment now.

    Raises:
        ConfigurationError: the key is not set, another variable cannot be that, or the extra `openai` is not installed.
    """
    name, entry = f"{provider}/{model_id}", PROVIDERS[provider]
    try:
        import openai  # noqa: F401  # asked for now, so that what is missing is said before the first question
    except ImportError as error:
        msg = f'the model {name} needs the openai client ({error}); install it: pip install "mastra-core[openai]"'
        raise ConfigurationError(msg) from error
    key = os.environ.get(entry.key, "").strip()
    if not key and not entry.start:
        msg = f"the model {name} needs an API key, and the environment variable {entry.key} is not set; set it: export {entry.key}=…"
        raise ConfigurationError(msg)
    start = provider.upper()
    return OpenAIModel(
        provider,
        model_id=model_id,
        api_key=key,
        base_url=os.environ.get(f"{start}_BASE_URL") or entry.base_url,
        timeout_seconds=_number(f"{start}_TIMEOUT_SECONDS", otherwise=TIMEOUT_SECONDS, least=0.001),
        max_retries=int(_number(f"{start}_MAX_RETRIES", otherwise=MAX_RETRIES, least=0)),
    )


class OpenAIModel:
    """A model behind the chat completions interface.

    Args:
        provider: of the table; it decides over small differences of dialect.
        model_id: what the provider calls the model.
        api_key: never shown; "" for a server that wants none.
        base_url: what stands before "/chat/completions".
        timeout_seconds: how long the provider may say nothing, before its answer and between two pieces of it.
        max_retries: how often a request that could not be sent, was refused for the moment (429) or failed (5xx) is sent again.
    """

    def __init__(
        self,
        provider: str,
        *,
        model_id: str,
        api_key: str,
        base_url: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        self.provider = provider
        self.model_id = model_id
        self.base_url = base_url
        self.timeout_seconds = timeout_seconds
        self.max_retries = max_retries
        self._entry = PROVIDERS[provider]
        self._api_key = api_key
        self._errors = Translator(
            provider=provider, model_id=model_id, entry=self._entry, base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds
        )
        # Connections belong to the event loop that opened them.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole answer.

        Raises:
            ModelError: the provider refused, failed, or could not be reached.
        """
        arguments = arguments_of(request, model_id=self.model_id, entry=self._entry, stream=False)
        with self._translated():
            answer = await self._client().chat.completions.create(**arguments)
            if not getattr(answer, "choices", None):
                raise self._errors.nonsense("it held no choices")
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
        with self._translated():
            chunks = await self._client().chat.completions.create(**arguments)
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
                raise self._errors.nonsense("it broke off before its end")
        yield ModelDelta(finish_reason=ended, usage=usage, tool_calls=calls.complete())

    async def close(self) -> None:
        """Release the connections that this event loop opened; idempotent."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def __repr__(self) -> str:
        """The name; never the key."""
        return f"<OpenAIModel {self.provider}/{self.model_id}>"

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = AsyncOpenAI(
                # The client refuses to be without a key.
                api_key=self._api_key or "none",
                base_url=self.base_url,
                timeout=self.timeout_seconds,
                max_retries=self.max_retries,
            )
        return client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from openai import OpenAIError

        try:
            yield
        except OpenAIError as error:
            ours, shown = self._errors.translated(error)
            raise ours from (error if shown else None)
        except ValueError as error:
            raise self._errors.nonsense(f"it was no JSON ({type(error).__name__})") from error


def _number(variable: str, *, otherwise: float, least: float) -> float:
    written = os.environ.get(variable, "").strip()
    if not written:
        return otherwise
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        msg = f"the environment variable {variable} must be a number of at least {least:g}, found {written!r}"
        raise ConfigurationError(msg)
    return number
