"""Embedders: what turns texts into vectors, by name or as an object: of OpenAI-shaped providers from a table, all others from plugins.

Knows the table and plugins; must not know vector stores or agents.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from mastra_core.errors import ConfigurationError, ModelError
from mastra_core.openai.providers import PROVIDERS
from mastra_core.plugins.descriptions import EmbedderDescription
from mastra_core.plugins.manager import names_of, plugin_for
from mastra_core.plugins.providers import check_made, split_name, unanswered

NEEDED = ("provider", "model_id", "dimension", "embed")

CACHED = 1000
"""How many embeddings are kept, of all embedders of a process: the question that was searched for is saved as a message next."""


class Embedder(Protocol):
    """Turns texts into vectors.

    What a provider or a local model answers badly is raised as `ModelError`, with the mend. One with `async def close(self)` is closed by
    the Memory or Mastra that it was given to.

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


def resolve_embedder(name: str) -> Embedder:
    """The embedder of this name, "provider/model"; nothing is loaded or connected before its first use.

    Raises:
        ConfigurationError: *name* has no provider, none is installed for it, its API key is not set, or its dimension is not known.
        PluginError: the plugin that answers is broken.
    """
    provider, model_id = split_name(name, example="local/all-minilm-l6-v2")
    if provider in PROVIDERS:
        from mastra_core.openai.embedder import open_embedder

        return open_embedder(provider, model_id=model_id)
    plugin = plugin_for(provider)
    description = None if plugin is None else plugin.describing(EmbedderDescription, provider)
    if plugin is None or description is None:
        raise unanswered(name, provider, what="embedder", known={*PROVIDERS, *names_of(EmbedderDescription)})
    embedder = plugin.make(description, model_id)
    check_made(embedder, NEEDED, plugin=plugin, factory=description.factory, what="Embedder")
    resolved: Embedder = embedder
    return resolved


def as_embedder(given: object, *, at: str) -> Embedder:
    """*given* itself, or what its name says.

    Raises:
        ConfigurationError: it is neither, or nobody answers the name.
    """
    if isinstance(given, str):
        return resolve_embedder(given)
    missing = [name for name in NEEDED if not hasattr(given, name)]
    if missing:
        msg = f"{at}: embedder must be 'provider/model' or an Embedder, found a {type(given).__name__} without {', '.join(missing)}"
        raise ConfigurationError(msg)
    embedder: Embedder = given  # type: ignore[assignment]  # it has what the protocol asks for
    return embedder


_cache: OrderedDict[tuple[str, str, str], Sequence[float]] = OrderedDict()


async def embed(embedder: Embedder, texts: Sequence[str]) -> list[Sequence[float]]:
    """One vector a text, in order: those not seen lately in one call, the others as they were.

    Raises:
        ModelError: the embedder failed, or gave another number of vectors.
    """
    keys = [(embedder.provider, embedder.model_id, text) for text in texts]
    # Taken now: while this waits, others may push them out.
    known = {key: _cache[key] for key in keys if key in _cache}
    wanted = list(dict.fromkeys(key for key in keys if key not in known))
    made = await embedder.embed([text for _, _, text in wanted]) if wanted else []
    if len(made) != len(wanted):
        msg = f"{embedder.provider}/{embedder.model_id}: asked for {len(wanted)} embeddings, found {len(made)}; report it to its maker"
        raise ModelError(msg)
    known.update(zip(wanted, made, strict=True))
    for key in keys:
        _cache[key] = known[key]
        _cache.move_to_end(key)
    while len(_cache) > CACHED:
        _cache.popitem(last=False)
    return [known[key] for key in keys]
