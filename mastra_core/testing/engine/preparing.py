"""How a database is made ready, by one or by many at once, and looked at without being touched."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from mastra_core.errors import StorageUnavailableError
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.engine import PoolState, RecordEngine
from mastra_core.storage.records.kinds import THREADS
from mastra_core.storage.records.query import Get
from mastra_core.storage.records.records import Records
from mastra_core.testing.engine.under_test import EngineUnderTest
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import a_thread

OPENERS = 8


async def _seen(records: Records) -> tuple[int | None, list[str]]:
    """The version and what is missing; nothing of either where open() is what makes the database, such as a file."""
    try:
        found = await records.inspect()
    except StorageUnavailableError:
        return None, []
    return found.version, list(found.missing)


def _possible(state: PoolState | None) -> bool:
    """Whether connections can be as busy as that."""
    return state is None or (state.open >= state.idle >= 0 and state.waiting >= 0)


class PreparationContract(EngineUnderTest):
    """open(), ddl(), inspect() and pool()."""

    def again(self, engine: Any) -> RecordEngine | None:
        """Optional: another engine, not yet opened, over the same database; None where nobody else can reach it, as in memory."""
        return None

    async def test_what_a_database_is_made_of_can_be_told_without_one(self, engine: RecordEngine) -> None:
        """An operator gets the same statements at every call, before anything is connected to."""
        told = engine.ddl()
        assert not isinstance(told, str), "ddl() gives a sequence of statements, not one text"
        assert all(statement.strip() for statement in told), told
        assert list(engine.ddl()) == list(told), "ddl() must give the same at every call"

    async def test_looking_at_a_fresh_database_changes_nothing(self, engine: RecordEngine) -> None:
        """Whoever checks a database finds the same when checking again, and can open it afterwards."""
        looking = Records(engine, store_id="kit")
        first, second = await _seen(looking), await _seen(looking)
        assert first == second, "inspect() must neither add what is missing nor record anything"
        unknown = set(first[1]) - set(engine.ddl())
        assert not unknown, f"what an empty database lacks is what ddl() makes; only inspect() says {unknown}"
        try:
            await looking.open()
            assert list((await looking.inspect()).missing) == []
        finally:
            await looking.close()

    async def test_an_opened_database_lacks_nothing(self, records: Records) -> None:
        """A check right after opening is clean, says what answers there, and leaves the store open."""
        await self.put(records, a_thread())
        found = await records.inspect()
        assert list(found.missing) == [], "open() adds everything, so that nothing is missing afterwards"
        assert found.server.strip(), "Inspection.server must name the product and its version"
        assert found.round_trip_seconds >= 0
        await self.gets(records, a_thread())

    async def test_how_busy_connections_are_is_told_at_any_time_in_any_thread(self, engine: RecordEngine) -> None:
        """Metrics are collected before the first call, in the middle of calls and after the last one, and disturb none of them."""
        states = [engine.pool()]
        records = Records(engine, store_id="kit")
        await records.open()
        try:
            await self.put(records, a_thread())
            reads = [asyncio.create_task(records.fetch(Get(THREADS, (a_thread().id,)))) for _ in range(OPENERS)]
            while not all(read.done() for read in reads):
                states.append(await asyncio.to_thread(engine.pool))
            for read in reads:
                assert_same(await read, [a_thread()])
            states.append(engine.pool())
        finally:
            await records.close()
        states.append(engine.pool())
        wrong = [state for state in states if not _possible(state)]
        assert not wrong, f"pool() gives None, or numbers from 0 on, with no more connections idle than open; found {wrong[0]}"

    async def test_a_database_that_is_ready_opens_again_with_what_it_holds(self, records: Records) -> None:
        """A restart finds everything, beside a process that still runs; neither disturbs the other."""
        await self.put(records, a_thread("before"))
        other = self.again(records.engine)
        if other is None:
            return
        second = Records(other, store_id="kit")
        try:
            assert_same(await second.fetch(Get(THREADS, ("before",))), [a_thread("before")])
            assert list((await second.inspect()).missing) == []
            await second.apply(Save(THREADS, a_thread("after")))
        finally:
            await second.close()
        await self.gets(records, a_thread("after"))

    async def test_of_many_that_open_a_fresh_database_at_once_all_can_use_it(self, engine: RecordEngine) -> None:
        """A service that starts in many places at once needs no one to prepare its database first."""
        found = [engine, *(self.again(engine) for _ in range(OPENERS - 1))]
        openers = [Records(one, store_id="kit") for one in found if one is not None]
        threads = [a_thread(f"t{number}") for number in range(len(openers))]
        async with contextlib.AsyncExitStack() as stack:
            for opener in openers:
                stack.push_async_callback(opener.close)
            await asyncio.gather(*(opener.open() for opener in openers))
            saves = zip(openers, threads, strict=True)
            await asyncio.gather(*(opener.apply(Save(THREADS, thread)) for opener, thread in saves))
            gets = [Get(THREADS, (thread.id,)) for thread in threads]
            for opener in openers:
                assert_same(await opener.fetch(*gets), threads)
            assert list((await openers[0].inspect()).missing) == []
