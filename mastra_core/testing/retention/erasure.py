"""What `store.erase` promises: all of a resource or a thread goes, nothing else, and nothing comes back."""

from __future__ import annotations

import asyncio
from typing import Any

from mastra_core import clock
from mastra_core.errors import ThreadNotFoundError
from mastra_core.storage.erasing import Erased
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.kinds import MESSAGES, Message, Resource, Thread
from mastra_core.storage.records.query import Query
from mastra_core.storage.store import Store
from mastra_core.testing.retention.under_test import StoreUnderTest, keep, run, score, trace

SAVERS = 32


class ErasureContract(StoreUnderTest):
    """Somebody is forgotten."""

    async def test_a_resource_is_erased_everywhere_and_counted(self, store: Store) -> None:
        """Threads, messages, working memory, runs, scores and traces go, and the answer says how many; a second call answers zeros."""
        await self._two_people(store)
        erased = await store.erase(resource_id="ada")
        assert erased == Erased(threads=2, messages=5, resources=1, runs=2, scores=2, spans=6)
        assert await store.erase(resource_id="ada") == Erased()
        await self.holds(store, threads=["bobs"], a1=[], a2=[], bobs=["b1"])
        assert await store.memory.get_resource_by_id("ada") is None
        assert {one.run_id for one in await store.workflows.list_workflow_runs(per_page=None)} == {"bobs"}
        await self.shows(lambda: self.scored(store), ["s-bob"])
        await self.shows(lambda: self.traced(store), ["bobs"])

    async def test_another_resource_keeps_everything(self, store: Store) -> None:
        """What belongs to others is as it was."""
        await self._two_people(store)
        await store.erase(resource_id="nobody")
        await store.erase(resource_id="ada")
        bob = await store.memory.get_resource_by_id("bob")
        assert bob is not None
        assert bob.working_memory == "likes tea"
        trace = await store.observability.get_trace("bobs")
        assert trace is not None
        assert len(trace.spans) == 3
        assert await store.erase(resource_id="bob") == Erased(threads=1, messages=1, resources=1, runs=1, scores=1, spans=3)

    async def test_a_thread_is_erased_and_counted(self, store: Store) -> None:
        """One conversation goes with all that is about it; its owner and the other conversations stay."""
        await self._two_people(store)
        assert await store.erase(thread_id="a1") == Erased(threads=1, messages=3, runs=1, scores=1, spans=3)
        assert await store.erase(thread_id="a1") == Erased()
        await self.holds(store, threads=["a2", "bobs"], a1=[], a2=["m4"], bobs=["b1", "by-ada"])
        assert await store.memory.get_resource_by_id("ada") is not None

    async def test_a_long_thread_is_erased_whole(self, store: Store) -> None:
        """However long: no message is left."""
        await keep(store, "t", *(f"m{number}" for number in range(230)))
        await self.settled(store, "t")
        assert await store.erase(thread_id="t") == Erased(threads=1, messages=230)
        await self.holds(store, threads=[], t=[])

    async def test_messages_without_their_thread_are_erased_too(self, store: Store) -> None:
        """What another program left behind goes as well."""
        await keep(store, "t", "m1", "m2")
        await self.settled(store, "t")
        await store.memory.delete_thread("t")
        orphan = Message(id="m3", thread_id="t", resource_id="ada", created_at=clock.now())
        await _put(store, orphan)
        assert (await store.erase(thread_id="t")).messages == 1
        await _put(store, orphan)
        assert (await store.erase(resource_id="ada")).messages == 1

    async def test_nothing_comes_back_while_others_save(self, store: Store) -> None:
        """32 runs save turns into the threads being erased: each ends with ThreadNotFoundError, and nothing of theirs is left."""
        threads = [f"t{number}" for number in range(8)]
        for name in threads:
            await keep(store, name, f"{name}-0")
        await self.settled(store, *threads)
        erasing = asyncio.Event()

        async def save(number: int) -> int:
            name, turn = threads[number % len(threads)], 0
            thread = Thread(id=name, resource_id="ada", created_at=clock.now(), updated_at=clock.now())
            while True:
                turn += 1
                await asyncio.sleep(0)  # an engine that never waits would let nobody else run
                if number == 0 and turn == 3:
                    erasing.set()
                try:
                    await store.memory.save_turn(thread=thread, messages=[Message(id=f"{number}-{turn}", thread_id=name)], existed=True)
                except ThreadNotFoundError:
                    return turn - 1

        async def erase() -> Erased:
            await erasing.wait()
            return await store.erase(resource_id="ada")

        turns, erased = await asyncio.gather(asyncio.gather(*(save(number) for number in range(SAVERS))), erase())
        assert erased == Erased(threads=8, messages=8 + sum(turns))
        await self.holds(store, threads=[], **{name: [] for name in threads})
        assert await self._messages_of(store, "ada") == []

    async def test_a_new_turn_after_the_erasure_is_kept_and_no_message_is_without_its_thread(self, store: Store) -> None:
        """Runs that begin anew while a thread is erased bring nothing old back; what is saved afterwards is whole."""
        await keep(store, "t", *(f"old{number}" for number in range(20)))
        await self.settled(store, "t")
        thread = Thread(id="t", resource_id="ada", created_at=clock.now(), updated_at=clock.now())

        async def save(number: int) -> None:
            for turn in range(4):
                await asyncio.sleep(0)
                await store.memory.save_turn(thread=thread, messages=[Message(id=f"new{number}-{turn}", thread_id="t")])

        await asyncio.gather(*(save(number) for number in range(SAVERS)), store.erase(resource_id="ada"))
        left, stored = await self.message_ids(store, "t"), await store.memory.get_thread_by_id("t")
        assert not [name for name in left if name.startswith("old")]
        assert stored is not None or not left
        await store.erase(thread_id="t")
        await store.memory.save_turn(thread=thread, messages=[Message(id="last", thread_id="t")])
        await self.holds(store, threads=["t"], t=["last"])

    async def _two_people(self, store: Store) -> None:
        """Ada with two threads, one message in Bob's, and something in every domain; Bob with a little of everything."""
        await keep(store, "a1", "m1", "m2", "m3")
        await keep(store, "a2", "m4", said_by="assistant")
        await keep(store, "bobs", "b1", owner="bob")
        await store.memory.save_messages([Message(id="by-ada", thread_id="bobs", resource_id="ada", created_at=clock.now())])
        for name, text in (("ada", "likes maths"), ("bob", "likes tea")):
            await store.memory.save_resource(Resource(id=name, working_memory=text, created_at=clock.now(), updated_at=clock.now()))
            await score(store, f"s-{name}", resource_id=name)
        await score(store, "s-thread", thread_id="a1")
        await run(store, "adas", resource_id="ada")
        await run(store, "bobs", resource_id="bob")
        memory = {"threadId": "a1", "resourceId": "ada"}
        waiting: dict[str, Any] = {
            "step": {"status": "suspended", "suspendPayload": {"__streamState": {"messageList": {"memoryInfo": memory}}}}
        }
        await run(store, "waits", status="suspended", workflow_name="agentic-loop", context=waiting)
        await trace(store, "adas", resource_id="ada")
        await trace(store, "about-a1", thread_id="a1")
        await trace(store, "bobs", resource_id="bob")
        await self.settled(store, "a1", "a2", "bobs")

    async def _messages_of(self, store: Store, resource_id: str) -> list[str]:
        (found,) = await store.memory.records.fetch(Query(MESSAGES, "by_resource", at={"resource_id": resource_id}))
        return [message.id for message in found]


async def _put(store: Store, message: Message) -> None:
    """Store a message without its thread, as no method of ours does."""
    await store.memory.records.apply(Save(MESSAGES, message))
