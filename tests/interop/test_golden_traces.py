"""Every trace that the real TypeScript packages wrote, as they list and open it: on each backend that has a golden database with spans."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mastra_core.storage import open_store
from mastra_core.testing.equality import assert_same
from tests.interop.questions import said_in
from tests.interop.shapes import by_place, hidden_at, shown

ROOT = Path(__file__).parents[2]
LIBSQL = ROOT / "tests/interop/golden/libsql"
POSTGRES = ROOT / "plugins/mastra-pg/tests/golden"


def libsql(request: pytest.FixtureRequest) -> str:
    """The URL of a copy of the golden database."""
    folder: Path = request.getfixturevalue("tmp_path")
    shutil.copy(LIBSQL / "golden.db", folder / "golden.db")
    return f"file:{folder}/golden.db"


def postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a database restored from the golden dump; what only the program psql understands is left out."""
    url: str = request.getfixturevalue("postgres_url")
    dump = re.sub(r"^\\(un)?restrict .*$", "", (POSTGRES / "golden.sql").read_text(), flags=re.MULTILINE)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(dump)
    return url


@pytest.mark.parametrize("restored, folder", [(libsql, LIBSQL), (postgres, POSTGRES)], ids=["libsql", "pg"])
async def test_golden_traces_read_back_as_typescript_reads_them(
    restored: Callable[[pytest.FixtureRequest], str], folder: Path, request: pytest.FixtureRequest
) -> None:
    """Must hold: "Golden traces read back equal to `readback.json`": the list of roots, and every span of every trace, field by field."""
    url, said = restored(request), said_in(folder)
    answers: dict[str, Any] = {name.removeprefix("traces.get."): answer for name, answer in said.items() if name.startswith("traces.get.")}
    async with open_store(url) as store:
        page = await store.observability.list_traces(per_page=50, include_total=True)
        assert page.total == said["traces.list"]["pagination"]["total"] == len(answers)
        assert {span.trace_id for span in page} == set(answers)
        for trace_id, answer in answers.items():
            trace = await store.observability.get_trace(trace_id)
            assert trace is not None
            assert_same([shown(span, hidden=hidden_at(url)) for span in trace.spans], by_place(answer["spans"]))
