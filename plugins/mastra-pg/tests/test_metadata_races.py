"""Metadata in PostgreSQL, laid over by four processes at once: nothing is lost."""

from __future__ import annotations

import asyncio

from tests.contract.merging import assert_all_survive, merge, prepare


async def test_of_32_merges_in_four_processes_all_survive(postgres_url: str) -> None:
    """Issue: "32 concurrent metadata merges in four processes all survive": of a thread, of a resource and of a message."""
    await prepare(postgres_url)
    await asyncio.to_thread(merge, postgres_url)
    await assert_all_survive(postgres_url)
