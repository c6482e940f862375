"""Many writers at once: nothing lost, nothing doubled, exactly one winner."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs

from mastra_core.errors import ConflictError
from mastra_core.storage.records.changes import Change, Patch, Refused, Save
from mastra_core.storage.records.kinds import MESSAGES, THREADS
from mastra_core.storage.records.query import Get, Is, Query
from mastra_core.storage.records.records import Records
from mastra_core.testing.contract import needs
from mastra_core.testing.engine.under_test import EngineUnderTest, ids
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import a_message, a_thread, at, turn

SAVERS = 32
RACERS = 16


async def outcomes(records: Records, *batches: list[Change]) -> list[Any]:
    """Apply every batch at once: the answers to each, or its Refused."""

    async def one(batch: list[Change]) -> Any:
        try:
            return await records.apply(*batch)
        except Refused as refused:
            return refused

    return list(await asyncio.gather(*map(one, batches)))


class RaceContract(EngineUnderTest):
    """Concurrent writers on one record or thread."""

    async def test_concurrent_turns_on_one_thread_lose_nothing(self, records: Records) -> None:
        """32 savers on one thread: every message is there once, and the thread is as new as the newest of them."""
        pairs = [
            [a_message(f"m{saver:02}{part}", created=10 * saver + number) for number, part in enumerate("ua")] for saver in range(SAVERS)
        ]
        await self.put(records, a_thread())
        answers = await asyncio.gather(*(records.apply(*turn(a_thread(), pair, now=10 * saver)) for saver, pair in enumerate(pairs)))
        assert_same(answers, [[None, *pair] for pair in pairs])
        (found,) = await records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": "t"}))
        assert_same(found, [message for pair in pairs for message in pair])
        await self.gets(records, a_thread(updated=10 * (SAVERS - 1)))

    async def test_concurrent_turns_on_many_threads_lose_nothing(self, records: Records) -> None:
        """32 savers on 8 threads do not disturb one another."""
        messages = [a_message(f"m{saver:02}", thread_id=f"t{saver % 8}", created=saver) for saver in range(SAVERS)]
        await asyncio.gather(*(records.apply(*turn(a_thread(m.thread_id), [m], now=saver)) for saver, m in enumerate(messages)))
        found = await records.fetch(*(Query(MESSAGES, "by_thread", at={"thread_id": f"t{number}"}) for number in range(8)))
        assert_same(found, [messages[number::8] for number in range(8)])

    async def test_of_concurrent_compare_and_sets_exactly_one_wins(self, records: Records) -> None:
        """Of 16 writers that found the title empty one sets it, and the others are told what it is now."""
        await self.put(records, a_thread())
        setters: list[list[Change]] = [
            [Patch(THREADS, ("t",), put={"title": f"title {racer}"}, when=(Is(("title",), ""),))] for racer in range(RACERS)
        ]
        results = await outcomes(records, *setters)
        winners = [racer for racer, result in enumerate(results) if not isinstance(result, Refused)]
        assert len(winners) == 1, f"{len(winners)} of {RACERS} compare-and-sets were made"
        expected = a_thread(title=f"title {winners[0]}")
        assert_same(results[winners[0]], [expected])
        for refused in results:
            if isinstance(refused, Refused):
                assert_same(refused.found, expected)
        await self.gets(records, expected)

    async def test_of_concurrent_creators_exactly_one_wins(self, records: Records) -> None:
        """Of 16 that create a thread which must not exist one does, and the others are told of it."""
        creators: list[list[Change]] = [[Save(THREADS, a_thread(title=f"title {racer}"), present="refuse")] for racer in range(RACERS)]
        results = await outcomes(records, *creators)
        winners = [racer for racer, result in enumerate(results) if not isinstance(result, Refused)]
        assert len(winners) == 1, f"{len(winners)} of {RACERS} creators won"
        for refused in results:
            if isinstance(refused, Refused):
                assert_same(refused.found, a_thread(title=f"title {winners[0]}"))
        await self.gets(records, a_thread(title=f"title {winners[0]}"))

    async def test_of_concurrent_owners_of_one_new_thread_exactly_one_wins(self, records: Records) -> None:
        """Two users who open the same thread id at once never end up in one thread: the loser's messages are not stored."""
        batches = [
            turn(a_thread(resource_id=f"r{racer}"), [a_message(f"m{racer}", resource_id=f"r{racer}")], now=racer) for racer in range(8)
        ]
        results = await outcomes(records, *batches)
        winners = [racer for racer, result in enumerate(results) if not isinstance(result, Refused)]
        assert len(winners) == 1, f"{len(winners)} owners won"
        (found,) = await records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": "t"}))
        assert ids(found) == [f"m{winners[0]}"]
        await self.gets(records, a_thread(resource_id=f"r{winners[0]}"))

    async def test_concurrent_patches_of_different_fields_lose_none(self, records: Records) -> None:
        """Writers of different fields of one record do not undo one another."""
        await self.put(records, a_thread())
        patches: list[Change] = [
            Patch(THREADS, ("t",), put={"title": "new"}),
            Patch(THREADS, ("t",), put={"metadata": {"new": True}}),
            *(Patch(THREADS, ("t",), raise_to={"updated_at": at(instant)}) for instant in range(1, 9)),
        ]
        await asyncio.gather(*(records.apply(patch) for patch in patches))
        await self.gets(records, a_thread(title="new", metadata={"new": True}, updated=8))

    async def test_concurrent_saves_of_one_message_leave_one_whole(self, records: Records) -> None:
        """A message saved by many at once is one of theirs, whole, with one created_at, and listed once."""
        given = [a_message(created=racer, role=f"role {racer}", content={"format": 2, "parts": [racer]}) for racer in range(RACERS)]
        await asyncio.gather(*(records.apply(Save(MESSAGES, message)) for message in given))
        (stored,), (got,) = (
            await records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": "t"})),
            await records.fetch(Get(MESSAGES, ("m",))),
        )
        assert got is not None
        assert_same(stored, [got])
        assert got.created_at in {message.created_at for message in given}
        assert any(attrs.evolve(message, created_at=got.created_at) == got for message in given), f"mixed from several: {got!r}"

    @needs("merge")
    async def test_concurrent_merges_lose_none(self, records: Records) -> None:
        """16 writers that each add a key to metadata all find it there."""
        await self.put(records, a_thread(metadata={"old": []}))
        await asyncio.gather(*(records.apply(Patch(THREADS, ("t",), merge={"metadata": {f"k{racer}": racer}})) for racer in range(RACERS)))
        await self.gets(records, a_thread(metadata={"old": []} | {f"k{racer}": racer for racer in range(RACERS)}))

    @needs("decide")
    async def test_concurrent_decisions_on_one_record_lose_none(self, records: Records) -> None:
        """Read, compute and write is one step: every decision that was made counts, one that could not be made says so."""
        await self.put(records, a_thread(title="0"))

        def one_more(read: list[Any]) -> list[Change]:
            return [Patch(THREADS, ("t",), put={"title": str(int(read[0].title) + 1)})]

        async def decided() -> bool:
            try:
                await records.decide([Get(THREADS, ("t",))], one_more)
            except ConflictError:
                return False
            return True

        made = sum(await asyncio.gather(*(decided() for _ in range(RACERS))))
        assert made >= 1, "every decision lost, so nobody won"
        await self.gets(records, a_thread(title=str(made)))
