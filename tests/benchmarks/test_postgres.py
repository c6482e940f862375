"""The benchmarks of PostgreSQL measure what they say: everybody in one run, on data that are really there and found.

How fast it is, is what `make bench` shows; a test that asserts a time fails on a busy machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.peers.postgres import Node, database
from tests.scale_postgres import sent_by
from tests.servers.process import MissingServerError
from tests.servers.shared import Address

ROOT = Path(__file__).parents[2]


def figures(server: Address, name: str, *options: str) -> Any:
    """What a benchmark prints as JSON, run on the tests' server."""
    command = [sys.executable, str(ROOT / "benchmarks" / name), "--json", "--url", server.url, *options]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def peers(postgres_url: str) -> set[str]:
    """Who is measured beside ours: the real @mastra/pg only where it is installed."""
    try:
        Node(postgres_url).__exit__(None, None, None)
    except MissingServerError:
        return {"ours", "by_hand"}
    return {"ours", "by_hand", "typescript"}


def test_a_turn_is_measured_beside_the_same_batches_by_hand_and_typescript(postgres_server: Address, peers: set[str]) -> None:
    """Must hold: "`benchmarks/`: one turn against raw psycopg doing the same two batches (aim 1.5x), 32 tasks, …; `@mastra/pg` beside it in the same run".

    All that was timed is stored: a batch of 20 and one more for 10 and for 200 messages; of 32 tasks, 4 times 2 turns, twice.
    """
    measured = figures(postgres_server, "postgres_turn.py", "--messages", "10", "200", "--rounds", "20", "--each", "2")
    rows = {(row["what"], row.get("messages")): row for row in measured["rows"]}
    assert list(rows) == [
        ("last-10", 10), ("save_turn", 10), ("last-10", 200), ("save_turn", 200), ("32 tasks", None), ("32 tasks, one thread", None),
    ]  # fmt: skip
    for (what, _), row in rows.items():
        unit = "turns_per_second" if what.startswith("32") else "us"
        assert {name for name in row if name.endswith(unit)} == {f"{peer}_{unit}" for peer in peers}
        assert row["ratio"] > 0
    assert measured["missing"].keys() == {"typescript"} - peers
    assert measured["stored"] == dict.fromkeys(peers, 2 * (2 * 40 + 2 * 32 * 4 * 2))


def test_a_turn_above_the_limit_ends_the_benchmark_with_an_error(postgres_server: Address) -> None:
    """A maintainer can let a machine say whether the aim still holds: `benchmarks/postgres_turn.py --at-most 1.5`."""
    options = ["--messages", "10", "--rounds", "20", "--each", "1", "--at-most", "0.01"]
    with pytest.raises(AssertionError, match=r"above 0.01 times the same statements by hand"):
        figures(postgres_server, "postgres_turn.py", *options)


def test_spans_are_measured_beside_copy_unnest_and_typescript(postgres_server: Address, peers: set[str]) -> None:
    """Must hold: "`benchmarks/`: … spans per second by COPY or unnest, …; `@mastra/pg` beside it in the same run"; all that was timed is stored."""
    measured = figures(postgres_server, "postgres_spans.py", "--spans", "100", "--batches", "2")
    writers = (peers - {"by_hand"}) | {"copy", "unnest"}
    assert {name for name in measured if name.endswith("_per_second")} == {f"{writer}_per_second" for writer in writers}
    assert measured["stored"] == 3 * 100 * len(writers)


def test_searches_are_measured_with_their_recall(postgres_server: Address, peers: set[str]) -> None:
    """Must hold: "`benchmarks/`: … vector recall and latency at 100,000 vectors; `@mastra/pg` beside it in the same run"; what is found is looked at."""
    measured = figures(postgres_server, "postgres_vectors.py", "--vectors", "600", "--dimension", "16", "--queries", "4")
    assert measured["stored"] == 600 + 1000
    for name in ("all", "filter", "wide filter"):
        recalls = {key.removesuffix("_recall"): value for key, value in measured[name].items() if key.endswith("_recall")}
        assert recalls.keys() == peers
        assert recalls["ours"] > 0.9, name
        # It searches exactly, whatever index there is.
        assert recalls.get("typescript", 1) == 1, name


def test_small_and_large_databases_are_measured_in_turn(postgres_server: Address) -> None:
    """The benchmark of "list, last-10, include (without totals) stay flat"."""
    rows = figures(postgres_server, "postgres_long.py", "--messages", "60", "600", "--threads", "1000", "2000", "--rounds", "2")
    found = {(row["what"], row["size"]): row["found"] for row in rows}
    assert found == {
        **{(what, size): count for what, count in (("list", 40), ("last-10", 10), ("a turn", 10), ("include", 5)) for size in (60, 600)},
        **{(what, size): count for what, count in (("list of a user", 2), ("list of all", 20), ("one thread", 1)) for size in (1000, 2000)},
        **{("iter", size): size for size in (60, 600)},
    }


def test_a_database_of_a_benchmark_is_dropped(postgres_server: Address) -> None:
    """A benchmark on somebody's own server leaves nothing behind."""
    with database(postgres_server.url) as url:
        name = url.rpartition("/")[2]
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [name]).fetchone() == (0,)


async def test_what_sends_no_statement_is_not_compared_with() -> None:
    """Nothing is quicker than nothing: where the store's statements are not seen, the benchmark says so."""

    async def nothing() -> None:
        """Asks no database."""

    with pytest.raises(RuntimeError, match="gave no statement"):
        await sent_by(nothing)
