"""A batch too long for one statement is encoded while it is written, and is still one transaction."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.libsql import engine
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.changes import Check, Patch, Refused, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Count
from mastra_core.storage.records.records import Records
from mastra_core.testing.samples import a_message, a_thread, at

LONG = engine.PART * 2 + 3


async def count(records: Records) -> int:
    """How many threads there are."""
    return (await records.fetch(Count(THREADS, "all", at={})))[0]


async def test_a_long_batch_answers_every_change_in_order(tmp_path: Path) -> None:
    """A store tells what it stored, however much it was given at once."""
    threads = [a_thread(f"t{number:05}", title=str(number)) for number in range(LONG)]
    async with LibSQLStore(url=f"file:{tmp_path}/a.db") as store:
        assert await store.records.apply(*(Save(THREADS, thread) for thread in threads)) == threads
        renamed = await store.records.apply(*(Patch(THREADS, (thread.id,), put={"title": "new"}) for thread in threads), atomic=False)
        assert [(thread.id, thread.title) for thread in renamed] == [(thread.id, "new") for thread in threads]


async def test_a_value_that_cannot_be_stored_undoes_the_whole_batch(tmp_path: Path) -> None:
    """InvalidInputError means that nothing was written, also when it comes late; and the store goes on."""
    threads = [a_thread(f"t{number:05}", metadata={"n": number}) for number in range(LONG)]
    threads[-1] = a_thread("bad", metadata={"n": float("nan")})
    async with LibSQLStore(url=f"file:{tmp_path}/a.db") as store:
        for atomic in (True, False):
            with pytest.raises(InvalidInputError, match="metadata"):
                await store.records.apply(*(Save(THREADS, thread, answer=False) for thread in threads), atomic=atomic)
            assert await count(store.records) == 0
        await store.records.apply(Save(THREADS, a_thread()))
        assert await count(store.records) == 1


async def test_a_condition_that_fails_late_names_its_change(tmp_path: Path) -> None:
    """Whoever is refused is told which of many changes it was, and nothing of them is kept."""
    saves = [Save(THREADS, a_thread(f"t{number:05}")) for number in range(LONG)]
    async with LibSQLStore(url=f"file:{tmp_path}/a.db") as store:
        with pytest.raises(Refused) as caught:
            await store.records.apply(*saves, Check(THREADS, ("nope",)))
        assert (caught.value.index, caught.value.change.key) == (LONG, ("nope",))
        assert await count(store.records) == 0


async def test_long_batches_at_once_are_committed_together(tmp_path: Path) -> None:
    """Batches of many savers, long and short, good and bad, do not get into each other's way."""

    async def save(saver: int, length: int) -> None:
        thread = Save(THREADS, a_thread(f"t{saver}", updated=saver), answer=False)
        messages = [a_message(f"m{saver}-{number}", thread_id=f"t{saver}", created=number) for number in range(length)]
        bad = [Check(THREADS, ("nope",))] if saver % 4 == 3 else []
        await store.records.apply(thread, *(Save(MESSAGES, message, answer=False) for message in messages), *bad)

    async with LibSQLStore(url=f"file:{tmp_path}/a.db") as store:
        lengths = [LONG if saver % 2 else 1 for saver in range(12)]
        results = await asyncio.gather(*(save(saver, length) for saver, length in enumerate(lengths)), return_exceptions=True)
        assert [type(result) for result in results] == [Refused if saver % 4 == 3 else type(None) for saver in range(12)]
        for saver, length in enumerate(lengths):
            (found,) = await store.records.fetch(Count(MESSAGES, "by_thread", at={"thread_id": f"t{saver}"}))
            assert found == (0 if saver % 4 == 3 else length)
        newest = await store.memory.list_threads(order_by={"field": "updated_at"}, per_page=1)
        assert newest.items[0].updated_at == at(10)


def test_the_parts_of_a_batch_can_be_taken_again() -> None:
    """When a shared transaction fails, each batch is written again by itself, from its first change."""
    parts = engine.Parts()
    for part in ((1, []), (2, []), None):
        parts.put(part)
    first = next(iter(parts))
    assert first == (1, [])
    assert [list(parts), list(parts)] == [[(1, []), (2, [])]] * 2
