"""A thread of a million messages is read in as little memory as one of ten thousand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mastra_core.storage.libsql.engine import READERS

ROOT = Path(__file__).parents[2]
SHM = Path("/dev/shm")
CACHES = READERS * 16_384_000
"""Bytes of the page caches of the threads that read (`PRAGMA cache_size`), which a file longer than they are fills up."""
SLACK = 20_000_000
"""Bytes for what a read holds at once: some hundred messages of 0.7 kB as rows, as JSON and as records. A million are 700,000,000."""


def reads(*counts: int) -> dict[tuple[str, int], dict[str, float]]:
    """What each read found and took, by its name and the length of the thread."""
    command = [sys.executable, str(ROOT / "benchmarks" / "long_thread.py"), "--json", "--messages", *map(str, counts)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {(row["what"], row["messages"]): row for row in json.loads(done.stdout) if row["what"] != "load"}


def found(count: int) -> dict[str, int]:
    """What every read of a thread of *count* messages must find."""
    return {"last-10": 10, "include": 5, "filter": 1, "iter": count}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as Linux shows it")
def test_reads_of_long_threads_are_measured_and_find_what_is_there() -> None:
    """`make bench` shows what a read of a long thread takes; the figures are of reads that found what they looked for."""
    measured = reads(500, 2000)
    assert {place: row["found"] for place, row in measured.items()} == {
        (name, count): number for count in (500, 2000) for name, number in found(count).items()
    }


@pytest.mark.scale
@pytest.mark.skipif(not SHM.is_dir(), reason="a file of 1 GB is kept in memory")
def test_a_million_messages_are_read_in_flat_memory() -> None:
    """Issue: "A thread of 1,000,000 messages: last-10, include, iter and metadata filter in flat memory"."""
    measured = reads(1_000_000)
    for name, number in found(1_000_000).items():
        row = measured[name, 1_000_000]
        assert row["found"] == number
        assert row["bytes"] < SLACK + (CACHES if name in {"iter", "filter"} else 0), (name, row)
