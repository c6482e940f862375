"""The official client of OpenAI, opened for one model of one provider, with its errors turned into ours.

Knows the client, imported on first use (extra `mastra-core[openai]`). Must not know what is asked with it.
An API key is read from the environment and reaches no message.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from mastra_core.errors import ConfigurationError
from mastra_core.openai.errors import Translator
from mastra_core.openai.providers import PROVIDERS

if TYPE_CHECKING:
    from openai import AsyncOpenAI

TIMEOUT_SECONDS = 60.0
"""How long a provider may say nothing, unless `<PROVIDER>_TIMEOUT_SECONDS` says otherwise."""

MAX_RETRIES = 2
"""How often the client asks again after a failure that may pass, unless `<PROVIDER>_MAX_RETRIES` says otherwise."""


class Connection:
    """Where a model of a provider is asked, and by which client.

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
        self.entry = PROVIDERS[provider]
        self._api_key = api_key
        self.errors = Translator(
            provider=provider, model_id=model_id, entry=self.entry, base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds
        )
        # Connections belong to the event loop that opened them.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    @classmethod
    def of_environment(cls, provider: str, *, model_id: str, what: str) -> Connection:
        """That of a provider of the table; its key, address, timeout and retries are taken from the environment now.

        Raises:
            ConfigurationError: the key is not set, another variable cannot be that, or the extra `openai` is not installed. *what* the
                model is for ("model", "embedder") is in the message.
        """
        name, entry = f"{provider}/{model_id}", PROVIDERS[provider]
        try:
            import openai  # noqa: F401  # asked for now, so that what is missing is said before the first question
        except ImportError as error:
            msg = f'the {what} {name} needs the openai client ({error}); install it: pip install "mastra-core[openai]"'
            raise ConfigurationError(msg) from error
        key = os.environ.get(entry.key, "").strip()
        if not key and not entry.start:
            msg = f"the {what} {name} needs an API key, and the environment variable {entry.key} is not set; set it: export {entry.key}=…"
            raise ConfigurationError(msg)
        start = provider.upper()
        return cls(
            provider,
            model_id=model_id,
            api_key=key,
            base_url=os.environ.get(f"{start}_BASE_URL") or entry.base_url,
            timeout_seconds=_number(f"{start}_TIMEOUT_SECONDS", otherwise=TIMEOUT_SECONDS, least=0.001),
            max_retries=int(_number(f"{start}_MAX_RETRIES", otherwise=MAX_RETRIES, least=0)),
        )

    def client(self) -> AsyncOpenAI:
        """The client of the running event loop."""
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

    async def close(self) -> None:
        """Release what this event loop opened; idempotent."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise ModelError for what the client raises in the block."""
        from openai import OpenAIError

        try:
            yield
        except OpenAIError as error:
            ours, shown = self.errors.translated(error)
            raise ours from (error if shown else None)
        except ValueError as error:
            raise self.errors.nonsense(f"it was no JSON ({type(error).__name__})") from error


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
