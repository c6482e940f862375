"""Metadata in one file, laid over by four processes at once: nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.contract.merging import assert_all_survive, merge, prepare


async def test_of_32_merges_in_four_processes_all_survive(tmp_path: Path) -> None:
    """Issue: "32 concurrent metadata merges in four processes all survive": of a thread, of a resource and of a message."""
    url = f"file:{tmp_path}/merged.db"
    await prepare(url)
    await asyncio.to_thread(merge, url)
    await assert_all_survive(url)
