"""What the client of OpenAI raises, as errors that say what failed, what the provider said, and the mend.

Knows the client's errors by their attributes. An API key reaches no message: what a provider says about a wrong one is not repeated.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import attrs

from mastra_core.errors import ContextLengthError, ModelError
from mastra_core.openai.providers import Provider

if TYPE_CHECKING:
    from openai import OpenAIError

_TOO_LONG = ("context length", "context window", "context size", "maximum context", "prompt is too long")


@attrs.frozen(kw_only=True)
class Translator:
    """Turns the client's errors into ours, for one model.

    Attributes:
        provider: of the table.
        model_id: what the provider calls the model.
        entry: of the provider.
        base_url: where it was asked.
        api_key: never shown.
        timeout_seconds: how long it may be silent.
    """

    provider: str
    model_id: str
    entry: Provider
    base_url: str
    api_key: str = attrs.field(repr=False)
    timeout_seconds: float

    def translated(self, error: OpenAIError) -> tuple[ModelError, bool]:
        """*error* as one of ours, and whether the original may be shown beside it."""
        # What is said about a wrong key repeats part of it, so neither that text nor its error is passed on.
        secret = _status(error) == HTTPStatus.UNAUTHORIZED or bool(self.api_key and self.api_key in f"{error} {error.__cause__}")
        said = "" if secret else f" ({_shortened(str(getattr(error, 'message', error)))})"
        name = f"{self.provider}/{self.model_id}"
        if _code(error) == "context_length_exceeded" or any(words in said.lower() for words in _TOO_LONG):
            mend = "send less history (last_messages or max_tokens of MemoryOptions), or choose a model that reads more"
            return ContextLengthError(f"{name}: the prompt is longer than the model can read{said}; {mend}"), not secret
        return ModelError(f"{name}: {self._explained(error, said=said, secret=secret)}"), not secret

    def nonsense(self, what: str) -> ModelError:
        """The error for an answer that is none."""
        mend = f"see whether {self._host} is the API's address (environment variable {self.provider.upper()}_BASE_URL), and try again"
        return ModelError(f"{self.provider}/{self.model_id}: the answer could not be used, {what}; {mend}")

    @property
    def _host(self) -> str:
        # Without user and password, which a URL may carry.
        scheme, _, rest = self.base_url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def _explained(self, error: OpenAIError, *, said: str, secret: bool) -> str:
        status, code = _status(error), _code(error)
        if status is None and getattr(error, "body", None) is None:
            return self._unreached(error, secret=secret)
        if status == HTTPStatus.UNAUTHORIZED:
            return f"the provider refused the API key (401); set a valid one in the environment variable {self.entry.key}"
        if status == HTTPStatus.FORBIDDEN:
            return f"the API key may not use this model (403){said}; ask for access, or choose another model"
        if status == HTTPStatus.NOT_FOUND or code == "model_not_found":
            return f"{self._host} knows no model {self.model_id!r}{said}; check the name in the provider's list of models"
        if code == "insufficient_quota":
            return f"the account's quota is used up{said}; add credit with the provider"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return f"too many requests (429){said}; wait, send fewer at once, or raise the limit with the provider"
        if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"the provider failed ({status}){said}; try again later"
        return f"the provider refused the request ({status or 'in its stream'}){said}; change what is asked of the model"

    def _unreached(self, error: OpenAIError, *, secret: bool) -> str:
        if "timed out" in str(error).lower():
            variable = f"{self.provider.upper()}_TIMEOUT_SECONDS"
            return f"{self._host} said nothing for {self.timeout_seconds:g} s; try again, or wait longer: environment variable {variable}"
        cause = "" if secret else f" ({_shortened(repr(error.__cause__ or error))})"
        mend = f"start it: {self.entry.start}" if self.entry.start else "check the network and the address"
        return f"{self._host} could not be reached{cause}; {mend}"


def _status(error: OpenAIError) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _code(error: OpenAIError) -> str:
    return str(getattr(error, "code", None) or "")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:299]}…"
