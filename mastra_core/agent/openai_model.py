"""Language models behind the chat completions interface of OpenAI, which many providers speak: one table and one client.

Knows the official `openai` client, imported on first use (extra `mastra-core[openai]`). Must not know agents or memory.
An API key is read from the environment and reaches no message: what a provider says about a wrong one is not repeated.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import attrs

from mastra_core.agent.model import ModelDelta, ModelReply, ModelRequest, Usage
from mastra_core.errors import ConfigurationError, ModelError

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAIError
    from openai.types import CompletionUsage


@attrs.frozen(kw_only=True)
class Provider:
    """Where a provider listens, and how its dialect differs.

    Attributes:
        base_url: overridden by the environment variable `<PROVIDER>_BASE_URL`.
        key: the environment variable of the API key.
        limit: the name of the argument for the most tokens to produce.
        ask_usage: whether a stream tells its usage only when asked; the others tell it unasked and may refuse the question.
        start: how to start what runs on the user's own machine; it needs no key. "" for services.
    """

    base_url: str
    key: str
    limit: str = "max_tokens"
    ask_usage: bool = True
    start: str = ""


PROVIDERS: Mapping[str, Provider] = {
    "cerebras": Provider(base_url="https://api.cerebras.ai/v1", key="CEREBRAS_API_KEY"),
    "deepseek": Provider(base_url="https://api.deepseek.com/v1", key="DEEPSEEK_API_KEY"),
    "fireworks": Provider(base_url="https://api.fireworks.ai/inference/v1", key="FIREWORKS_API_KEY"),
    "groq": Provider(base_url="https://api.groq.com/openai/v1", key="GROQ_API_KEY"),
    "lmstudio": Provider(base_url="http://127.0.0.1:1234/v1", key="LMSTUDIO_API_KEY", start="lms server start"),
    "mistral": Provider(base_url="https://api.mistral.ai/v1", key="MISTRAL_API_KEY", ask_usage=False),
    "ollama": Provider(base_url="http://127.0.0.1:11434/v1", key="OLLAMA_API_KEY", start="ollama serve"),
    # Its reasoning models refuse max_tokens.
    "openai": Provider(base_url="https://api.openai.com/v1", key="OPENAI_API_KEY", limit="max_completion_tokens"),
    "openrouter": Provider(base_url="https://openrouter.ai/api/v1", key="OPENROUTER_API_KEY"),
    "together": Provider(base_url="https://api.together.xyz/v1", key="TOGETHER_API_KEY"),
    "xai": Provider(base_url="https://api.x.ai/v1", key="XAI_API_KEY"),
}
"""Every provider that speaks chat completions as OpenAI does, by the name before the "/" of a model."""


def open_model(provider: str, *, model_id: str) -> OpenAIModel:
    """The model of a provider of the table; its key is taken from the environment now.

    Raises:
        ConfigurationError: the key is not set, or the extra `openai` is not installed.
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
    return OpenAIModel(provider, model_id=model_id, api_key=key, base_url=os.environ.get(f"{provider.upper()}_BASE_URL") or entry.base_url)


class OpenAIModel:
    """A model behind the chat completions interface.

    Args:
        provider: of the table; it decides over small differences of dialect.
        model_id: what the provider calls the model.
        api_key: never shown; "" for a server that wants none.
        base_url: what stands before "/chat/completions".
    """

    def __init__(self, provider: str, *, model_id: str, api_key: str, base_url: str) -> None:
        self.provider = provider
        self.model_id = model_id
        self.base_url = base_url
        self._entry = PROVIDERS[provider]
        self._api_key = api_key
        # Connections belong to the event loop that opened them.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole answer.

        Raises:
            ModelError: the provider refused, failed, or could not be reached.
        """
        with self._translated():
            answer = await self._client().chat.completions.create(**self._arguments(request))
            if not getattr(answer, "choices", None):
                raise self._nonsense("it held no choices")
            choice = answer.choices[0]
            text = choice.message.content or choice.message.refusal or ""
            return ModelReply(text=text, finish_reason=choice.finish_reason or "stop", usage=_usage(answer.usage) or Usage())

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """The answer in pieces; closing it early ends the request.

        Raises:
            ModelError: the provider refused, failed, could not be reached, or broke off.
        """
        finish: str | None = None
        usage: Usage | None = None
        with self._translated():
            chunks = await self._client().chat.completions.create(**self._arguments(request, stream=True))
            async with chunks:
                async for chunk in chunks:
                    usage = _usage(chunk.usage) or usage
                    for choice in (chunk.choices or ())[:1]:
                        finish = choice.finish_reason or finish
                        text = choice.delta.content or choice.delta.refusal
                        if text:
                            yield ModelDelta(text=text)
            if finish is None:
                raise self._nonsense("it broke off before its end")
        yield ModelDelta(finish_reason=finish, usage=usage)

    async def close(self) -> None:
        """Release the connections that this event loop opened; idempotent."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def __repr__(self) -> str:
        """The name; never the key."""
        return f"<OpenAIModel {self._name}>"

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            # The client refuses to be without a key.
            client = self._clients[loop] = AsyncOpenAI(api_key=self._api_key or "none", base_url=self.base_url)
        return client

    def _arguments(self, request: ModelRequest, *, stream: bool = False) -> dict[str, Any]:
        arguments = {
            "model": self.model_id,
            "messages": [{"role": message.role, "content": _encodable(message.text)} for message in request.messages],
            self._entry.limit: request.max_output_tokens,
            "temperature": request.temperature,
            "stream": stream or None,
            "stream_options": {"include_usage": True} if stream and self._entry.ask_usage else None,
        }
        return {name: value for name, value in arguments.items() if value is not None}

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from openai import OpenAIError

        try:
            yield
        except OpenAIError as error:
            # What is said about a wrong key repeats part of it, so neither that text nor its error is passed on.
            secret = _status(error) == HTTPStatus.UNAUTHORIZED or bool(self._api_key and self._api_key in f"{error} {error.__cause__}")
            raise ModelError(f"{self._name}: {self._explained(error, secret=secret)}") from (None if secret else error)
        except ValueError as error:
            raise self._nonsense(f"it was no JSON ({type(error).__name__})") from error

    @property
    def _name(self) -> str:
        return f"{self.provider}/{self.model_id}"

    @property
    def _host(self) -> str:
        # Without user and password, which a URL may carry.
        scheme, _, rest = self.base_url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def _nonsense(self, what: str) -> ModelError:
        mend = f"see whether {self._host} is the API's address (environment variable {self.provider.upper()}_BASE_URL), and try again"
        return ModelError(f"{self._name}: the answer could not be used, {what}; {mend}")

    def _explained(self, error: OpenAIError, *, secret: bool) -> str:
        """What failed, what the provider said, and the mend."""
        status, code = _status(error), str(getattr(error, "code", None) or "")
        said = "" if secret else f" ({_shortened(str(getattr(error, 'message', error)))})"
        if status is None and getattr(error, "body", None) is None:
            cause = "" if secret else f" ({_shortened(repr(error.__cause__ or error))})"
            mend = f"start it: {self._entry.start}" if self._entry.start else "check the network and the address"
            return f"{self._host} could not be reached{cause}; {mend}"
        if status == HTTPStatus.UNAUTHORIZED:
            return f"the provider refused the API key (401); set a valid one in the environment variable {self._entry.key}"
        if status == HTTPStatus.FORBIDDEN:
            return f"the API key may not use this model (403){said}; ask for access, or choose another model"
        if code == "context_length_exceeded" or any(
            words in said.lower() for words in ("context length", "context window", "context size")
        ):
            return (
                f"the prompt is longer than the model can read{said}; send less history (last_messages), or choose a model that reads more"
            )
        if status == HTTPStatus.NOT_FOUND or code == "model_not_found":
            return f"{self._host} knows no model {self.model_id!r}{said}; check the name in the provider's list of models"
        if code == "insufficient_quota":
            return f"the account's quota is used up{said}; add credit with the provider"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return f"too many requests (429){said}; wait, send fewer at once, or raise the limit with the provider"
        if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"the provider failed ({status}){said}; try again later"
        return f"the provider refused the request ({status or 'in its stream'}){said}; change what is asked of the model"


def _encodable(text: str) -> str:
    # Stored messages may hold lone surrogates, which UTF-8 cannot.
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _status(error: OpenAIError) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:299]}…"


def _usage(told: CompletionUsage | None) -> Usage | None:
    return None if told is None else Usage(input_tokens=told.prompt_tokens or 0, output_tokens=told.completion_tokens or 0)
