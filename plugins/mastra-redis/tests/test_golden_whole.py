"""Every answer of the readback.json of `@mastra/redis`, asked of us, so that nothing of it goes unread."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mastra_core.testing.equality import assert_same
from mastra_redis.store import RedisStore
from tests.interop.questions import ELSEWHERE, Golden, said_in

GOLDEN = Path(__file__).parent / "golden"
SAID = said_in(GOLDEN)
BUGS = {
    "messages.byResource": "`@mastra/redis` has no lists of messages by resource, and throws",
    "workflows.snapshot.run-completed": "loadWorkflowSnapshot misses runs with a resource (contract §3.5)",
    "messages.list.thread-edge.last2desc": "two messages of one millisecond come oldest first, though newest first was asked for",
}
"""Answers of TypeScript that are none, and why."""


@pytest.fixture(params=[False, True], ids=["by index", "by looking through the keys"])
async def golden(request, redis_url):
    """A store over the golden database, in either mode."""
    async with Redis.from_url(redis_url) as client:
        for entry in json.loads((GOLDEN / "dump.json").read_text()):
            if entry["type"] == "zset":
                await client.zadd(entry["key"], {one["member"]: one["score"] for one in entry["members"]})
            else:
                await client.set(entry["key"], entry["value"])
    async with RedisStore(connection_string=redis_url, typescript_writes=request.param) as store:
        yield Golden(store, SAID)


@pytest.mark.parametrize("name", [name for name in SAID if name not in {*ELSEWHERE, *BUGS}])
async def test_an_answer_of_typescript_is_ours_too(golden, name):
    """Must hold: "`golden/redis/dump.json` loads and reads back as `readback.json` (known TypeScript bugs excepted, each named)"."""
    ask, at = golden.question(name)
    assert_same(plain(await ask(golden, at)), plain(golden.expected(name)))


@pytest.mark.parametrize("name", BUGS)
async def test_where_typescript_fails_we_answer(golden, name):
    """Each exception is there, and our answer is not what TypeScript says: else it would be none."""
    ask, at = golden.question(name)
    answer = await ask(golden, at)
    assert answer
    assert plain(answer) != plain(golden.expected(name))


def plain(answer):
    """An answer without what TypeScript leaves out on Redis, nulls and the type "v2", and with scores and runs in one order."""
    if not isinstance(answer, dict):
        return answer
    records = next((name for name in ("threads", "messages", "runs", "scores") if isinstance(answer.get(name), list)), None)
    if records is None:
        return {name: shown(value) for name, value in answer.items() if value is not None and (name, value) != ("type", "v2")}
    found = [plain(one) for one in answer[records]]
    if records in {"runs", "scores"}:
        # TypeScript gives them as SCAN finds them.
        found.sort(key=lambda one: (one["createdAt"], one.get("id", one.get("workflowName")), one["runId"]))
    return {**answer, records: found}


def shown(value):
    """A record within a mapping by ids likewise."""
    return plain(value) if isinstance(value, dict) and "createdAt" in value else value
