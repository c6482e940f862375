"""Every answer of the readback.json of `@mastra/dynamodb`, asked of us, so that nothing of it goes unread."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mastra_core.testing.equality import assert_same, difference
from mastra_dynamodb.store import DynamoDBStore
from tests.interop.questions import ELSEWHERE, Golden, said_in

GOLDEN = Path(__file__).parent / "golden"
SAID = said_in(GOLDEN)
BUGS = {
    "messages.list.thread-edge.last2desc": "two messages of one millisecond come oldest first, though newest first was asked for",
    "messages.list.multi": "a list of several threads fails, and the failure is answered as no messages (contract §3.7)",
    "messages.list.edge.metadata": "the filter by metadata is not applied",
    "messages.list.edge.include": "perPage 0 has the total of the thread (ours has none, semantics §2.5)",
    "messages.list.plain.include.perPage0": "likewise",
    "messages.byResource": "`@mastra/dynamodb` has no lists of messages by resource, and throws",
    "workflows.list.page": "runs are paged in the order of their ids, not newest first",
}
"""Answers of TypeScript that are none, and why."""


@pytest.fixture
async def golden(dynamodb_client: Any, dynamodb_table: str) -> AsyncIterator[Golden]:
    """A store over the golden table."""
    for item in json.loads((GOLDEN / "items.json").read_text()):
        dynamodb_client.put_item(TableName=dynamodb_table, Item=item)
    async with DynamoDBStore(table_name=dynamodb_table, client=dynamodb_client) as store:
        yield Golden(store, SAID)


@pytest.mark.parametrize("name", [name for name in SAID if name not in {*ELSEWHERE, *BUGS}])
async def test_an_answer_of_typescript_is_ours_too(golden: Golden, name: str) -> None:
    """Must hold: "`golden/dynamodb/items.json` loads and reads back (known TypeScript bugs excepted, each named)"."""
    ask, at = golden.question(name)
    assert_same(plain(await ask(golden, at)), plain(golden.expected(name)))


@pytest.mark.parametrize("name", BUGS)
async def test_where_typescript_fails_we_answer(golden: Golden, name: str) -> None:
    """Each exception is there, and our answer is not what TypeScript says: else it would be none."""
    ask, at = golden.question(name)
    answer = await ask(golden, at)
    assert answer["runs" if name.startswith("workflows") else "messages"]
    assert difference(plain(answer), plain(golden.expected(name))) is not None


def plain(answer: Any) -> Any:
    """An answer without what is not one record's: nulls that TypeScript leaves out, and what it shows of the item beside them.

    Those are the discriminator `entity`, the type of a message, and when a message's item was written. Runs and scores in one order.
    """
    if not isinstance(answer, dict):
        return answer
    records = next((name for name in ("threads", "messages", "runs", "scores") if isinstance(answer.get(name), list)), None)
    if records is None:
        hidden = {"type", "updatedAt"} if "role" in answer else set()
        hidden |= {"entity"} if isinstance(answer.get("entity"), str) else set()
        return {name: shown(value) for name, value in answer.items() if value is not None and name not in hidden}
    found = [plain(one) for one in answer[records]]
    if records in {"runs", "scores"}:
        # TypeScript gives them as the table has them.
        found.sort(key=lambda one: (one["createdAt"], one.get("id", one.get("workflowName")), one["runId"]))
    return {**answer, records: found}


def shown(value: Any) -> Any:
    """A record within a mapping by ids likewise."""
    return plain(value) if isinstance(value, dict) and "createdAt" in value else value
