"""The programs of the README, run as a reader runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pymongo
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PRINTED = ["user My name is Ada\n", "", "a 0.7071067811865475 {'owner': 'ada'}\n"]


@pytest.mark.parametrize("program, printed", list(zip(PROGRAMS, PRINTED, strict=True)), ids=["store", "options", "vectors"])
def test_a_program_of_the_readme_runs(mongodb_url, program, printed):
    """Whoever copies it has what it says in the database, and sees it printed; no option has another name than the README says."""
    name = urlsplit(mongodb_url).path.strip("/")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program.replace('db_name="mastra"', f'db_name="{name}"')],
        env={**os.environ, "MONGODB_URI": mongodb_url}, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed
    if "save_turn" in program:
        with pymongo.MongoClient(mongodb_url) as client:
            assert client[name].mastra_threads.find_one({"id": "123"}) is not None
