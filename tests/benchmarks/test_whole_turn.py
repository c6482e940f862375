"""The benchmark of a whole turn runs whole turns, says what it measured, and names whoever it could not measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.peers.timing import Plan, measure

ROOT = Path(__file__).parents[2]


def figures(tmp_path: Path, *options: str, **environment: str) -> dict:
    """What the benchmark prints, run on the shortest conversations."""
    command = [sys.executable, str(ROOT / "benchmarks" / "whole_turn.py"), "--json", "--folder", str(tmp_path), "--turns", "5", *options]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_our_whole_turn_is_measured_at_every_length(tmp_path: Path) -> None:
    """Must hold: "our own time on a whole turn with a fake model at 10 / 1,000 / 10,000 messages".

    That it is "flat, under 3 ms" is what `make bench` shows; a test that asserts a time fails on a busy machine.
    """
    measured = figures(tmp_path, "--messages", "10", "200", "--passes", "2")
    rows = {(row["what"], row["messages"]): row for row in measured["rows"]}
    assert list(rows) == [(what, count) for what in ("ours", "ours, working memory", "ours, tools") for count in (10, 200)]
    for (_, count), row in rows.items():
        assert row["shown"] == 11, "the last ten messages and the question, however long the conversation is"
        assert row["turns"] == 10, "of both passes"
        assert row["ratio"] == row["median_ms"] / rows["ours", count]["median_ms"]
        assert 0 < row["min_ms"] <= row["median_ms"]
    assert measured["missing"] == {}


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason(tmp_path: Path) -> None:
    """Must hold: "beside openai-agents, Agno and LangGraph (each in its own environment)": a table without a peer says that the peer is missing and why, so that nobody takes it for one that was beaten."""
    unreachable = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_FIND_LINKS": ""}
    measured = figures(tmp_path, "--messages", "10", "--peers", "agno", **unreachable)
    assert {row["what"] for row in measured["rows"]} == {"ours", "ours, working memory", "ours, tools"}
    assert measured["missing"]["agno"].startswith("not installed: ")
    assert "agno" in measured["missing"]["agno"]


async def test_a_turn_that_is_not_remembered_is_no_whole_turn(tmp_path: Path) -> None:
    """Figures are of turns whose question and answer the store holds afterwards; others are refused, ours as anybody's."""

    class Forgetful:
        async def load(self, conversation: str, count: int) -> None:
            """Nothing is kept."""

        async def turn(self, conversation: str) -> int:
            return 11

        async def held(self, conversation: str) -> int:
            return 10

    @asynccontextmanager
    async def opened(path: Path):
        yield Forgetful()

    with pytest.raises(RuntimeError, match=r"forgetful: the conversation '10-0' holds 10 messages, 22 were said"):
        await measure("forgetful", opened, plan=Plan(tmp_path, counts=[10], turns=5))
