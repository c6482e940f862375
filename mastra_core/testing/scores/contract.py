"""The whole contract of a store's scores domain."""

from __future__ import annotations

from mastra_core.testing.scores.lists import ScoreListContract
from mastra_core.testing.scores.saving import ScoreContract


class ScoresContract(ScoreContract, ScoreListContract):
    """Scores as those who read them meet them. A subclass defines `open_store`; see `ScoresUnderTest`."""
