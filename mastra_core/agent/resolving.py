"""Turns "provider/model" into a model or an embedder: OpenAI-shaped providers from a table, all others from plugins.

Knows the table and plugins; must not know any provider's client.
"""

from __future__ import annotations

from mastra_core.agent import openai_model
from mastra_core.agent.model import Embedder, Model
from mastra_core.errors import ConfigurationError, PluginError
from mastra_core.plugins.descriptions import EmbedderDescription, ModelDescription
from mastra_core.plugins.manager import Plugin, names_of, nearest, plugin_for

INSTALLABLE = {"local": "mastra-local"}
"""Which of our distributions answers a provider."""


def resolve_model(name: str) -> Model:
    """The model of this name, "provider/model"; nothing is loaded or connected before its first use.

    Raises:
        ConfigurationError: *name* has no provider, none is installed for it, or its API key is not set.
        PluginError: the plugin that answers is broken.
    """
    provider, model_id = _split(name, example="openai/gpt-5.1")
    plugin = plugin_for(provider)
    if provider in openai_model.PROVIDERS:
        if plugin is not None:
            msg = (
                f"{provider!r} is answered twice, by mastra-core itself and by {plugin}; uninstall it: pip uninstall {plugin.distribution}"
            )
            raise PluginError(msg)
        return openai_model.open_model(provider, model_id=model_id)
    description = None if plugin is None else plugin.describing(ModelDescription, provider)
    if plugin is None or description is None:
        known = {*openai_model.PROVIDERS, *names_of(ModelDescription)}
        raise _unanswered(name, provider, what="model", known=known)
    model = plugin.make(description, model_id)
    _check(model, ("provider", "model_id", "complete", "stream"), plugin=plugin, factory=description.factory, what="Model")
    resolved: Model = model
    return resolved


def resolve_embedder(name: str) -> Embedder:
    """The embedder of this name, "provider/model"; nothing is loaded or connected before its first use.

    Raises:
        ConfigurationError: *name* has no provider, or none is installed for it.
        PluginError: the plugin that answers is broken.
    """
    provider, model_id = _split(name, example="local/all-minilm-l6-v2")
    plugin = plugin_for(provider)
    description = None if plugin is None else plugin.describing(EmbedderDescription, provider)
    if plugin is None or description is None:
        raise _unanswered(name, provider, what="embedder", known=set(names_of(EmbedderDescription)))
    embedder = plugin.make(description, model_id)
    _check(embedder, ("provider", "model_id", "dimension", "embed"), plugin=plugin, factory=description.factory, what="Embedder")
    resolved: Embedder = embedder
    return resolved


def _split(name: object, *, example: str) -> tuple[str, str]:
    provider, _, model_id = name.partition("/") if isinstance(name, str) else ("", "", "")
    if not provider.strip() or not model_id.strip():
        msg = f"{name!r} is no name of a model; write 'provider/model', such as {example!r}"
        raise ConfigurationError(msg)
    return provider, model_id


def _unanswered(name: str, provider: str, *, what: str, known: set[str]) -> ConfigurationError:
    if provider in INSTALLABLE and provider not in known:
        return ConfigurationError(f"no plugin for {name!r}. Install one: pip install {INSTALLABLE[provider]}")
    near = nearest(provider, {*known, *INSTALLABLE})
    mend = f"Did you mean '{near}/…'?" if near else "Install a plugin that answers it, or use one of these."
    return ConfigurationError(f"no provider answers the {what} {name!r} (known: {', '.join(sorted(known)) or 'none'}). {mend}")


def _check(made: object, attributes: tuple[str, ...], *, plugin: Plugin, factory: str, what: str) -> None:
    missing = [name for name in attributes if not hasattr(made, name)]
    if missing:
        msg = f"{plugin}: its factory {factory!r} must return a {what}, found {type(made).__name__} without {', '.join(missing)}"
        raise PluginError(msg)
