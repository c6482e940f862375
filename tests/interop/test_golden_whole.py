"""Every answer of libSQL's readback.json, asked of us, so that nothing of it goes unread."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastra_core.storage.libsql.store import LibSQLStore
from tests.interop.questions import ELSEWHERE, Golden, said_in, unneeded
from tests.interop.test_golden_libsql import GOLDEN

SAID = said_in(GOLDEN)


@pytest.fixture
async def golden(tmp_path: Path) -> AsyncIterator[Golden]:
    """A store over a copy of the golden database."""
    shutil.copy(GOLDEN / "golden.db", tmp_path / "golden.db")
    async with LibSQLStore(url=f"file:{tmp_path}/golden.db") as store:
        yield Golden(store, SAID)


@pytest.mark.parametrize("name", [name for name in SAID if name not in ELSEWHERE])
async def test_an_answer_of_typescript_is_ours_too(golden: Golden, name: str) -> None:
    """Issue: "The whole of `golden/libsql/` reads back equal to `readback.json` (known TypeScript bugs excepted, each named)"."""
    await golden.assert_alike(name)


def test_what_is_excepted_is_there() -> None:
    """An exception that nothing in readback.json needs is dropped, and so is a question that nobody asked."""
    assert unneeded(SAID) == set()
