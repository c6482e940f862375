"""How a plugin says what it offers: mark functions named like a hook with `hookimpl`, and return descriptions.

The module that has them is named by an entry point of the group `mastra`, such as `acme = "mastra_acme.plugin"`. The entry point's
name is the URL scheme before "+", or the model provider.
"""

from __future__ import annotations

from mastra_core.plugins.descriptions import (
    PORT_VERSION,
    CommandDescription,
    EmbedderDescription,
    ModelDescription,
    StoreDescription,
    VectorDescription,
)
from mastra_core.plugins.hookspecs import hookimpl

__all__ = [
    "PORT_VERSION",
    "CommandDescription",
    "EmbedderDescription",
    "ModelDescription",
    "StoreDescription",
    "VectorDescription",
    "hookimpl",
]
