"""Turns "provider/model" into a model: OpenAI-shaped providers from a table, all others from plugins.

Knows the table and plugins; must not know any provider's client.
"""

from __future__ import annotations

from collections.abc import Sequence

from mastra_core.agent import openai_model
from mastra_core.agent.fallback import FallbackModel
from mastra_core.agent.model import Model
from mastra_core.errors import PluginError
from mastra_core.openai.providers import PROVIDERS
from mastra_core.plugins.descriptions import ModelDescription
from mastra_core.plugins.manager import names_of, plugin_for
from mastra_core.plugins.providers import check_made, split_name, unanswered


def resolve_models(given: str | Model | Sequence[str | Model]) -> Model:
    """The model of a name, a model as it is, or of a list one that asks them in order.

    Raises:
        ConfigurationError: as `resolve_model`, of any of them: what is set up wrongly is not passed over.
        PluginError: likewise.
    """
    if isinstance(given, str):
        return resolve_model(given)
    if not isinstance(given, Sequence):
        return given
    models = [resolve_models(one) for one in given]
    return models[0] if len(models) == 1 else FallbackModel(models)


def resolve_model(name: str) -> Model:
    """The model of this name, "provider/model"; nothing is loaded or connected before its first use.

    Raises:
        ConfigurationError: *name* has no provider, none is installed for it, or its API key is not set.
        PluginError: the plugin that answers is broken.
    """
    provider, model_id = split_name(name, example="openai/gpt-5.1")
    plugin = plugin_for(provider)
    if provider in PROVIDERS:
        if plugin is not None:
            msg = (
                f"{provider!r} is answered twice, by mastra-core itself and by {plugin}; uninstall it: pip uninstall {plugin.distribution}"
            )
            raise PluginError(msg)
        return openai_model.open_model(provider, model_id=model_id)
    description = None if plugin is None else plugin.describing(ModelDescription, provider)
    if plugin is None or description is None:
        known = {*PROVIDERS, *names_of(ModelDescription)}
        raise unanswered(name, provider, what="model", known=known)
    model = plugin.make(description, model_id)
    check_made(model, ("provider", "model_id", "complete", "stream"), plugin=plugin, factory=description.factory, what="Model")
    resolved: Model = model
    return resolved
