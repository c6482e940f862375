"""Scores that the real TypeScript packages wrote are read as they read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage.domains.scores import ScoresDomain
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.score_kinds import SCORES
from tests.interop.shapes import score

GOLDEN = Path(__file__).parent / "golden" / "libsql"


@pytest.fixture(scope="session")
def said() -> Mapping[str, Any]:
    """What the TypeScript API answered to each call, by the name of the call."""
    return json.loads((GOLDEN / "readback.json").read_text())["results"]


@pytest.fixture
async def scores(tmp_path: Path) -> AsyncIterator[ScoresDomain]:
    """The scores domain over a copy of the golden database."""
    shutil.copy(GOLDEN / "golden.db", tmp_path / "golden.db")
    async with LibSQLStore(url=f"file:{tmp_path}/golden.db") as store:
        yield store.scores


async def test_a_score_of_typescript_is_replaced_and_the_others_stay(scores: ScoresDomain, said: Mapping[str, Any]) -> None:
    """A Python scorer judges again what TypeScript judged, under the same id."""
    first, *others = said["scores.byScorer.manual"]["scores"]
    old = await scores.get_score_by_id(first["id"])
    assert old is not None
    given = {name: getattr(old, name) for name in SCORES.by_name if name not in {"created_at", "updated_at"}}
    again = await scores.save_score({**given, "score": 0.9})  # type: ignore[typeddict-item]  # the fields are a score's
    assert score(again) == {**first, "score": 0.9, "updatedAt": clock.to_text(again.updated_at)}
    page = await scores.list_scores_by_scorer_id("manual-scorer", per_page=50)
    assert [score(record) for record in page] == [score(again), *others]
