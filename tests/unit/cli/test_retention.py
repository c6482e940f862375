"""`mastra prune` and `mastra erase`, run as users run them."""

from __future__ import annotations

import asyncio
import json

import pytest

from mastra_core.storage import LibSQLStore
from mastra_core.testing.retention.under_test import keep, trace
from tests.unit.cli.test_commands import mastra


@pytest.fixture
def url(tmp_path) -> str:
    """A store with an old thread of Ada, a fresh one of Bob, and an old trace."""
    url = f"file:{tmp_path / 'm.db'}"

    async def fill() -> None:
        async with LibSQLStore(url=url) as store:
            await keep(store, "old", "m1", "m2", days=40)
            await keep(store, "fresh", "m3", owner="bob")
            await trace(store, "t", days=40, resource_id="ada")

    asyncio.run(fill())
    return url


def test_pruning_can_be_tried_before(url) -> None:
    """--dry-run prints the counts that the run then prints; a second run finds nothing."""
    arguments = ("prune", url, "--threads", "30d", "--spans", "7d")
    expected = [["threads", "1"], ["messages", "2"], ["spans", "3"]]
    for more in (["--dry-run"], []):
        ran = mastra(*arguments, *more)
        assert [line.split("\t") for line in ran.stdout.splitlines()] == expected, ran.stderr
    again = [json.loads(line) for line in mastra(*arguments, "--json").stdout.splitlines()]
    assert [one["deleted"] for one in again] == [0, 0, 0]


def test_the_newest_are_kept_by_count(url) -> None:
    """--keep TABLE=COUNT."""
    assert mastra("prune", url, "--keep", "threads=1").stdout.splitlines() == ["threads\t1", "messages\t2"]


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((), "nothing to prune: say what is old"),
        (("--messages", "30"), "cannot read '30'"),
        (("--keep", "messages"), "--keep takes TABLE=COUNT"),
        (("--keep", "mesages=3"), "Did you mean 'messages'?"),
    ],
)
def test_a_policy_that_cannot_be_is_told_in_a_line(url, arguments, text) -> None:
    """Exit code 2, and nothing is removed."""
    ran = mastra("prune", url, *arguments)
    assert ran.returncode == 2
    assert text in ran.stderr


def test_a_resource_is_erased_and_counted(url) -> None:
    """The counts are the proof; others keep what they have."""
    ran = mastra("erase", url, "--resource", "ada", "--yes", "--json")
    assert json.loads(ran.stdout) == {"threads": 1, "messages": 2, "resources": 0, "vectors": 0, "runs": 0, "scores": 0, "spans": 3}
    assert [line.split("\t")[0] for line in mastra("threads", url).stdout.splitlines()] == ["fresh"]
    assert mastra("erase", url, "--thread", "fresh", "--yes").stdout.splitlines()[:2] == ["threads\t1", "messages\t1"]


@pytest.mark.parametrize(
    "arguments, text",
    [(("--resource", "ada"), "pass --yes"), ((), "exactly one of"), (("--resource", "a", "--thread", "t", "--yes"), "exactly one of")],
)
def test_nothing_is_erased_by_accident(url, arguments, text) -> None:
    """Without an answer to its question, or without one thing named, the command removes nothing."""
    ran = mastra("erase", url, *arguments)
    assert ran.returncode == 2
    assert text in ran.stderr
    assert len(mastra("threads", url).stdout.splitlines()) == 2
