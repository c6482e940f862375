"""benchmarks/redis_turn.py times turns that are really written and read, by the store, by hand and by TypeScript, on one server."""

from __future__ import annotations

import pytest
import redis

from benchmarks.redis_turn import measured


@pytest.mark.scale
async def test_the_turns_that_are_timed_are_stored(redis_url: str) -> None:
    """Must hold: "`benchmarks/`: turns/s with 1 and 32 tasks and last-10 at 10 / 1,000 / 100,000 messages against a hand-written pipeline on the same server,
    `@mastra/redis` beside it". How fast is for a quiet machine to say; that each way wrote what it was timed for is said here.
    """
    rows = await measured(redis_url, messages=[10, 20], times=10)
    assert [row["what"] for row in rows] == [
        "read, thread of 10", "read, thread of 20", "write, thread of 10", "write, thread of 20", "turns, 1 at once", "turns, 32 at once",
    ]  # fmt: skip
    for row in rows:
        assert min(row["ours"], row["by hand"], row["@mastra/redis"]) > 0
    with redis.Redis.from_url(redis_url) as client:
        # Five rounds of two turns by each of us, two messages a turn, and three turns of TypeScript.
        assert [client.zcard(f"thread:of-{count}:messages") for count in (10, 20)] == [10 + 46, 20 + 46]
        # Ten turns one after the other and one of each task, by each of us, and three of TypeScript in both.
        assert client.zcard("thread:task-0:messages") == 10 + 2 * (10 + 10 + 1 + 1 + 3 + 3)
