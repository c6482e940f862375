"""The providers that speak chat completions as OpenAI does, and how their dialects differ.

Knows addresses and names alone; must not know the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class Provider:
    """Where a provider listens, and how its dialect differs.

    Attributes:
        base_url: overridden by the environment variable `<PROVIDER>_BASE_URL`.
        key: the environment variable of the API key.
        limit: the name of the argument for the most tokens to produce.
        ask_usage: whether a stream tells its usage only when asked; the others tell it unasked and may refuse the question.
        output: how it is told the form of an answer: by its JSON schema; as some JSON object, with the schema in words; or in words alone.
        call_id_length: how long the id of a call must be, of letters and digits; None takes any.
        start: how to start what runs on the user's own machine; it needs no key. "" for services.
    """

    base_url: str
    key: str
    limit: str = "max_tokens"
    ask_usage: bool = True
    output: Literal["schema", "object", "words"] = "schema"
    call_id_length: int | None = None
    start: str = ""


PROVIDERS: Mapping[str, Provider] = {
    "cerebras": Provider(base_url="https://api.cerebras.ai/v1", key="CEREBRAS_API_KEY"),
    "deepseek": Provider(base_url="https://api.deepseek.com/v1", key="DEEPSEEK_API_KEY", output="object"),
    "fireworks": Provider(base_url="https://api.fireworks.ai/inference/v1", key="FIREWORKS_API_KEY"),
    # Its JSON modes exclude streams and tools.
    "groq": Provider(base_url="https://api.groq.com/openai/v1", key="GROQ_API_KEY", output="words"),
    "lmstudio": Provider(base_url="http://127.0.0.1:1234/v1", key="LMSTUDIO_API_KEY", start="lms server start"),
    "mistral": Provider(base_url="https://api.mistral.ai/v1", key="MISTRAL_API_KEY", ask_usage=False, call_id_length=9),
    "ollama": Provider(base_url="http://127.0.0.1:11434/v1", key="OLLAMA_API_KEY", start="ollama serve"),
    # Its reasoning models refuse max_tokens.
    "openai": Provider(base_url="https://api.openai.com/v1", key="OPENAI_API_KEY", limit="max_completion_tokens"),
    "openrouter": Provider(base_url="https://openrouter.ai/api/v1", key="OPENROUTER_API_KEY"),
    "together": Provider(base_url="https://api.together.xyz/v1", key="TOGETHER_API_KEY"),
    "xai": Provider(base_url="https://api.x.ai/v1", key="XAI_API_KEY"),
}
"""Every provider that speaks chat completions as OpenAI does, by the name before the "/" of a model."""
