"""Databases that both languages open."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["libsql", "postgresql", "mongodb"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database that the packages of both languages take, on each backend."""
    fixtures = {"postgresql": "postgres_url", "mongodb": "mongodb_url"}
    return f"file:{tmp_path}/shared.db" if request.param == "libsql" else str(request.getfixturevalue(fixtures[request.param]))
