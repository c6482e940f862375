"""The programs of the README, run as a reader runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

README = (Path(__file__).parents[1] / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def ran(program, url):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "REDIS_URL": url}, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_first_program_remembers(redis_url):
    """Whoever copies it has a thread with a message in the database, and sees it printed."""
    assert ran(PROGRAMS[0], redis_url) == "user My name is Ada\n"
    async with Redis.from_url(redis_url) as client:
        assert await client.exists("mastra_threads:id:123")


@pytest.mark.parametrize("program", PROGRAMS[1:])
def test_every_other_program_runs(redis_url, program):
    """No option has another name than the README says."""
    assert ran(program, redis_url) == ""
