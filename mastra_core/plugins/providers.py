"""Names of models and embedders, "provider/model": reading one, and saying what is wrong with it.

Knows plugins; must not know any provider.
"""

from __future__ import annotations

from mastra_core.errors import ConfigurationError, PluginError
from mastra_core.plugins.manager import Plugin, nearest

INSTALLABLE = {"local": "mastra-local"}
"""Which of our distributions answers a provider."""


def split_name(name: object, *, example: str) -> tuple[str, str]:
    """Provider and model of *name*.

    Raises:
        ConfigurationError: it has not both; *example* says what one looks like.
    """
    provider, _, model_id = name.partition("/") if isinstance(name, str) else ("", "", "")
    if not provider.strip() or not model_id.strip():
        msg = f"{name!r} is no name of a model; write 'provider/model', such as {example!r}"
        raise ConfigurationError(msg)
    return provider, model_id


def unanswered(name: str, provider: str, *, what: str, known: set[str]) -> ConfigurationError:
    """The error for a *name* whose provider nobody answers: what to install, or what was probably meant."""
    if provider in INSTALLABLE and provider not in known:
        return ConfigurationError(f"no plugin for {name!r}. Install one: pip install {INSTALLABLE[provider]}")
    near = nearest(provider, {*known, *INSTALLABLE})
    mend = f"Did you mean '{near}/…'?" if near else "Install a plugin that answers it, or use one of these."
    return ConfigurationError(f"no provider answers the {what} {name!r} (known: {', '.join(sorted(known)) or 'none'}). {mend}")


def check_made(made: object, attributes: tuple[str, ...], *, plugin: Plugin, factory: str, what: str) -> None:
    """Refuse what a plugin's factory made if it lacks one of *attributes*.

    Raises:
        PluginError: it does; the message names the plugin and what is missing.
    """
    missing = [name for name in attributes if not hasattr(made, name)]
    if missing:
        msg = f"{plugin}: its factory {factory!r} must return a {what}, found {type(made).__name__} without {', '.join(missing)}"
        raise PluginError(msg)
