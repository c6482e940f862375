"""What a plugin offers, said in names alone: schemes, providers and import paths, so that asking loads no driver.

Knows nothing of stores or models; a factory is text until somebody wants what it makes.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

PORT_VERSION = 1
"""The version of the record port in this core; it grows when an engine written for the one before would not work."""

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _check_factory(_: object, field: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or _FACTORY.fullmatch(value) is None:
        msg = f"{field.name} must be an import path such as 'mastra_acme.store:open_acme', found {value!r}"
        raise ValueError(msg)


def _check_texts(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(text, str) and text for text in value):
        msg = f"{field.name} must be a tuple of texts such as ('acme',), found {value!r}"
        raise ValueError(msg)


@attrs.frozen(kw_only=True)
class StoreDescription:
    """A kind of store that can be opened by URL.

    Attributes:
        schemes: what its URLs begin with, without "://": ("postgresql", "postgres").
        factory: "module:function"; called with the URL, it gives a Store without connecting.
        summary: one line for lists.
        port_version: of the record port it was written for. Write the number: the core's own constant would always fit.

    Raises:
        ValueError: a scheme or the factory is not of this form.
    """

    schemes: tuple[str, ...] = attrs.field(validator=_check_texts)
    factory: str = attrs.field(validator=_check_factory)
    summary: str
    port_version: int = 1


@attrs.frozen(kw_only=True)
class VectorDescription:
    """A kind of vector store that can be opened by URL; attributes as of StoreDescription, of the vector port."""

    schemes: tuple[str, ...] = attrs.field(validator=_check_texts)
    factory: str = attrs.field(validator=_check_factory)
    summary: str
    port_version: int = 1


@attrs.frozen(kw_only=True)
class ModelDescription:
    """Language models of one provider, named "provider/model".

    Attributes:
        provider: what stands before the first "/".
        factory: "module:function"; called with what stands after it, it gives a Model without connecting.
        summary: one line for lists.
        models: ids worth listing; empty if they are not known beforehand.

    Raises:
        ValueError: the provider or the factory is not of this form.
    """

    provider: str = attrs.field(validator=attrs.validators.matches_re(r"[^/\s]+"))
    factory: str = attrs.field(validator=_check_factory)
    summary: str
    models: tuple[str, ...] = attrs.field(default=(), validator=_check_texts)


@attrs.frozen(kw_only=True)
class EmbedderDescription:
    """Embedders of one provider, named "provider/model"; attributes as of ModelDescription, the factory gives an Embedder."""

    provider: str = attrs.field(validator=attrs.validators.matches_re(r"[^/\s]+"))
    factory: str = attrs.field(validator=_check_factory)
    summary: str
    models: tuple[str, ...] = attrs.field(default=(), validator=_check_texts)


@attrs.frozen(kw_only=True)
class CommandDescription:
    """Commands of the plugin's own: `mastra NAME …`.

    Attributes:
        name: as an entry point of the plugin is named.
        factory: "module:function"; called with the name, it gives a typer.Typer.
        summary: one line for lists.

    Raises:
        ValueError: the name or the factory is not of this form.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[a-z][a-z0-9-]*"))
    factory: str = attrs.field(validator=_check_factory)
    summary: str


Description = StoreDescription | VectorDescription | ModelDescription | EmbedderDescription | CommandDescription
