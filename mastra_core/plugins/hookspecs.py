"""The hooks that a plugin may implement, all optional. A plugin is one module with functions of these names, marked by `hookimpl`."""

from __future__ import annotations

import pluggy

from mastra_core.plugins.descriptions import (
    CommandDescription,
    EmbedderDescription,
    ModelDescription,
    StoreDescription,
    VectorDescription,
)

GROUP = "mastra"
"""The entry-point group, and the name of the hooks' project."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def mastra_stores() -> list[StoreDescription]:
    """The stores that this plugin opens by URL; called once, before the first of them is opened."""
    raise NotImplementedError


@hookspec
def mastra_vectors() -> list[VectorDescription]:
    """The vector stores that this plugin opens by URL; called once, before the first of them is opened."""
    raise NotImplementedError


@hookspec
def mastra_models() -> list[ModelDescription]:
    """The language models that this plugin gives, one description a provider; called once, before the first of them is used."""
    raise NotImplementedError


@hookspec
def mastra_embedders() -> list[EmbedderDescription]:
    """The embedders that this plugin gives, one description a provider; called once, before the first of them is used."""
    raise NotImplementedError


@hookspec
def mastra_commands() -> list[CommandDescription]:
    """The commands that this plugin adds to `mastra`; called once, before the first of them is run."""
    raise NotImplementedError
