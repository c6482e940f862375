"""The programs of the README run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from mastra_pg.address import OURS
from mastra_pg.indexes import METHODS, Index
from mastra_pg.store import OPTIONS
from tests.docs.openai_server import openai_server

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)

SERVED = """
from fastapi.testclient import TestClient

with TestClient(app) as client:
    answer = client.post("/threads/1", params={"user": "u", "text": "Hello"})
    assert answer.status_code == 200, answer.text
"""


@pytest.fixture(scope="module")
def openai_url() -> Iterator[str]:
    """The base URL of something that answers as OpenAI's API."""
    with openai_server() as url:
        yield url


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_of_the_readme_runs_twice(postgres_url: str, openai_url: str, number: int) -> None:
    """What a user copies works, and works again on the database it left behind."""
    program = PROGRAMS[number] + (SERVED if "FastAPI" in PROGRAMS[number] else "")
    surroundings = {**os.environ, "DATABASE_URL": postgres_url, "OPENAI_BASE_URL": openai_url, "OPENAI_API_KEY": "none"}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_names_every_option() -> None:
    """A user need not read the code to find one."""
    for name in (*OPTIONS, *OURS, *(field.name for field in attrs.fields(Index)), *METHODS):
        assert f"`{name}`" in README, name
