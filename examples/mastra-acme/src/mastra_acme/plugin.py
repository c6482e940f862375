"""What this distribution offers; the entry point `acme` names this module. Must not import the engine."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The store of `acme:` URLs."""
    return [
        StoreDescription(
            schemes=("acme",),
            factory="mastra_acme.store:open_acme",
            summary="an append-only journal file, shared by processes of one machine",
            port_version=1,
        )
    ]
