"""A run of a workflow in PostgreSQL, changed by four processes at once: one resume wins, and no result is lost."""

from __future__ import annotations

import asyncio

from tests.contract.racing import assert_one_won_and_nothing_is_lost, race, suspend


async def test_of_sixteen_resumes_in_four_processes_one_wins_and_no_result_is_lost(postgres_url: str) -> None:
    """Issue: "Of 16 concurrent compare-and-sets in four processes exactly one wins"; and every step's result survives."""
    await suspend(postgres_url)
    winners = await asyncio.to_thread(race, postgres_url)
    await assert_one_won_and_nothing_is_lost(postgres_url, winners)
