"""benchmarks/spans.py measures spans that are really stored, by the store and by the bare driver; how fast is for a quiet machine to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.spans import ENGINES, Where, measure
from tests.servers.run import SERVERS, address_or_skip

NEEDED = {"libsql server": "sqld", "postgresql": "postgres", "redis": "redis", "mongodb": "mongodb", "dynamodb": "dynamodb"}


@pytest.mark.parametrize("name", ENGINES)
async def test_the_spans_that_are_measured_are_stored(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Must hold: "spans per second into each engine that exists, against a bare driver's batch insert": the same rows lie in both databases."""
    if name in NEEDED:
        address_or_skip(pytestconfig, NEEDED[name])
    figures = await measure(ENGINES[name], Where(pytestconfig.stash[SERVERS], tmp_path), spans=30, rounds=1)
    assert min(figures.values()) > 0
    assert figures["alike"]
    # On Redis the indexes are rows too.
    assert figures["stored"] == figures["bare_stored"] >= 30
    assert figures["stored"] == 30 or name == "redis"
