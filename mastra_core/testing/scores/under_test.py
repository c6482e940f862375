"""The scores domain under test: how its store is opened, and what the contracts save."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

import pytest_asyncio

from mastra_core.storage.domains.score_payload import ScorePayload
from mastra_core.storage.domains.scores import ScoresDomain
from mastra_core.testing.contract import Contract


class HasScores(Protocol):
    """A store with a scores domain."""

    @property
    def scores(self) -> ScoresDomain:
        """The domain."""
        ...


class ScoresUnderTest(Contract):
    """What a backend supplies, and the fixture made of it."""

    def open_store(self) -> AbstractAsyncContextManager[HasScores]:
        """An async context manager: an object with `.scores` over an empty database of its own; nothing of it is left on exit."""
        msg = f"{type(self).__name__} must define open_store(self): an async context manager that gives an object with .scores"
        raise NotImplementedError(msg)

    @pytest_asyncio.fixture
    async def scores(self) -> AsyncIterator[ScoresDomain]:
        """The scores domain of a fresh store."""
        async with self.open_store() as store:
            await store.scores.records.open()
            self.capabilities = store.scores.records.engine.capabilities
            try:
                yield store.scores
            finally:
                await store.scores.records.close()


def a_score(**given: Any) -> ScorePayload:
    """A score with every required field, and those *given*."""
    required = {
        "scorer_id": "s", "run_id": "r", "entity_id": "e", "entity": {"id": "e", "name": "E"}, "scorer": {"id": "s", "name": "S"},
        "score": 0.5, "source": "LIVE", "output": [{"role": "assistant", "content": "hi"}],
    }  # fmt: skip
    return cast("ScorePayload", {**required, **given})
