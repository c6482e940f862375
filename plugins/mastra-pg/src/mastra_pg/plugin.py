"""What mastra-pg offers; importing this imports no driver."""

from __future__ import annotations

from mastra_core.plugins import StoreDescription, hookimpl


@hookimpl
def mastra_stores() -> list[StoreDescription]:
    """The PostgreSQL store."""
    return [
        StoreDescription(
            schemes=("postgresql", "postgres"), factory="mastra_pg.store:open_postgres", summary="PostgreSQL (not yet released)"
        )
    ]
