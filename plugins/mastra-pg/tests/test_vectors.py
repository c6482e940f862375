"""PgVector, certified by the kit on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mastra_core.testing import VectorContract
from mastra_pg.vectors import PgVector


class TestPgVector(VectorContract):
    """With the index it has unless told otherwise."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres_url: str) -> None:
        self.url = postgres_url

    @asynccontextmanager
    async def open_vectors(self) -> AsyncIterator[PgVector]:
        yield PgVector(connection_string=self.url)
