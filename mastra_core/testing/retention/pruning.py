"""What `store.prune` promises: what is old goes, what goes with it, and what is used stays."""

from __future__ import annotations

import asyncio
from typing import Any

from mastra_core import clock
from mastra_core.errors import ThreadNotFoundError
from mastra_core.storage.records.kinds import Message, Resource, Thread
from mastra_core.storage.retention import Pruned, Retention
from mastra_core.storage.store import Store
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.retention.under_test import StoreUnderTest, ago, keep, run, score, trace

MONTH = Retention(max_age="30d")


class PruningContract(StoreUnderTest):
    """Tables are kept as small as a policy says."""

    async def test_old_threads_go_with_all_their_messages(self, store: Store) -> None:
        """A thread that nobody has touched for the time given is gone, whatever its length; a fresh one is not touched."""
        await keep(store, "old", *(f"o{n}" for n in range(120)), days=40)
        await keep(store, "fresh", "f1", "f2", days=40, thread_days=1)
        await self.settled(store, "old", "fresh")
        report = await store.prune({"threads": MONTH}, batch_size=50)
        await self.holds(store, threads=["fresh"], old=[], fresh=["f1", "f2"])
        assert {table: one.deleted for table, one in report.items()} == {"threads": 1, "messages": 120}
        assert all(one.done for one in report.values())

    async def test_a_second_run_finds_nothing(self, store: Store) -> None:
        """Pruning every night costs little when there is little to do."""
        await keep(store, "old", "o1", days=40)
        await self.settled(store, "old")
        await store.prune({"threads": MONTH, "messages": MONTH})
        await self.settled(store)
        assert {one.deleted for one in (await store.prune({"threads": MONTH, "messages": MONTH})).values()} == {0}

    async def test_old_messages_go_and_their_thread_stays_as_it_was(self, store: Store) -> None:
        """A long conversation loses its beginning alone; when it was last used does not change."""
        await keep(store, "t", "o1", "o2", "o3", days=40, thread_days=2)
        before = await store.memory.get_thread_by_id("t")
        await store.memory.save_messages([Message(id="f1", thread_id="t", resource_id="ada", created_at=ago(5))])
        touched = await store.memory.get_thread_by_id("t")
        await self.settled(store, "t")
        report = await store.prune({"messages": MONTH}, batch_size=2)
        await self.holds(store, threads=["t"], t=["f1"])
        assert report["messages"].deleted == 3
        after = await store.memory.get_thread_by_id("t")
        assert before is not None
        assert_same(after, touched)

    async def test_a_dry_run_counts_what_a_run_then_removes(self, store: Store) -> None:
        """A policy can be tried before it is trusted: the counts are the same, and nothing is gone."""
        await keep(store, "old", "o1", "o2", days=40)
        await keep(store, "long", "l1", "l2", "l3", days=40, thread_days=1)
        await run(store, "r", days=40)
        await score(store, "s", days=40)
        await trace(store, "t", days=40)
        await self.settled(store, "old", "long")
        policy = dict.fromkeys(("threads", "messages", "workflow_snapshot", "scorers", "spans"), MONTH)
        tried = await store.prune(policy, dry_run=True)
        await self.holds(store, threads=["long", "old"], old=["o1", "o2"], long=["l1", "l2", "l3"])
        removed = await store.prune(policy)
        expected = {"threads": 1, "messages": 5, "workflow_snapshot": 1, "scorers": 1, "spans": 3}
        assert {table: one.deleted for table, one in tried.items()} == expected
        assert {table: one.deleted for table, one in removed.items()} == expected

    async def test_the_newest_are_kept(self, store: Store) -> None:
        """Of each table so many records are kept as the policy says, the newest."""
        for number in range(5):
            await keep(store, f"t{number}", f"m{number}", days=number)
            await score(store, f"s{number}", days=number)
            await run(store, f"r{number}", days=number)
        await self.settled(store, "t0", "t1", "t2", "t3", "t4")
        report = await store.prune({"threads": {"max_count": 3}, "scorers": {"max_count": 1}, "workflow_snapshot": {"max_count": 2}})
        await self.holds(store, threads=["t0", "t1", "t2"], t2=["m2"], t3=[], t4=[])
        assert {table: one.deleted for table, one in report.items()} == {"threads": 2, "messages": 2, "scorers": 4, "workflow_snapshot": 3}
        more = await store.prune({"threads": {"max_count": 100}, "spans": {"max_count": 1}})
        assert {one.deleted for one in more.values()} == {0}

    @needs("scan")
    async def test_the_newest_messages_of_all_threads_are_kept(self, store: Store) -> None:
        """A store of a million messages is cut to the newest so many, whichever threads they are in."""
        await keep(store, "a", "a1", "a2", days=3)
        await keep(store, "b", "b1", "b2", days=2)
        await self.settled(store, "a", "b")
        assert (await store.prune({"messages": {"max_count": 3}}))["messages"].deleted == 1
        await self.holds(store, threads=["a", "b"], a=["a2"], b=["b1", "b2"])

    @needs("scan")
    async def test_what_is_remembered_of_a_resource_goes_by_its_last_change(self, store: Store) -> None:
        """Working memory that was not used for long is gone, and that of somebody who came back is not."""
        for name, days in (("ada", 40), ("bob", 5)):
            await store.memory.save_resource(Resource(id=name, working_memory=name, created_at=ago(50), updated_at=ago(days)))
        assert (await store.prune({"resources": MONTH}))["resources"].deleted == 1
        assert await store.memory.get_resource_by_id("ada") is None
        assert await store.memory.get_resource_by_id("bob") is not None

    async def test_a_run_that_somebody_may_resume_is_kept(self, store: Store) -> None:
        """Only finished runs are pruned: a workflow may wait for a decision for months."""
        for status in ("success", "failed", "suspended", "running", "waiting", "pending", "paused"):
            await run(store, status, status=status, days=400)
        await run(store, "fresh", days=1)
        assert (await store.prune({"workflow_snapshot": MONTH}))["workflow_snapshot"].deleted == 2
        left = {one.run_id for one in await store.workflows.list_workflow_runs(per_page=None)}
        assert left == {"suspended", "running", "waiting", "pending", "paused", "fresh"}

    async def test_old_scores_go(self, store: Store) -> None:
        """Scores go by when they were given."""
        for number in range(7):
            await score(store, f"s{number}", days=40 if number < 5 else 1)
        assert (await store.prune({"scorers": MONTH}, batch_size=2))["scorers"].deleted == 5
        await self.shows(lambda: self.scored(store), ["s5", "s6"])

    async def test_old_traces_go_whole_and_those_that_run_stay(self, store: Store) -> None:
        """There is never half a trace: its root decides, and one whose root has no end is kept."""
        await trace(store, "old", days=40)
        await trace(store, "long", days=40, spans=130)
        await trace(store, "runs", days=40, ended=False)
        await trace(store, "fresh", days=1)
        assert (await store.prune({"spans": MONTH}))["spans"].deleted == 133
        for name, left in (("old", None), ("long", None), ("runs", 3), ("fresh", 3)):
            found = await store.observability.get_trace(name)
            assert (None if found is None else len(found.spans)) == left

    async def test_a_run_that_was_stopped_is_finished_by_the_next(self, store: Store) -> None:
        """Whatever stops it, nothing is left that the next run does not find."""
        for number in range(6):
            await keep(store, f"t{number}", *(f"m{number}-{n}" for n in range(12)), days=40)
        await self.settled(store, *(f"t{number}" for number in range(6)))

        class Stopped(Exception):
            pass

        def stop(_: Pruned) -> None:
            raise Stopped

        for batch_size in (3, 5):
            try:
                await store.prune({"threads": MONTH}, batch_size=batch_size, on_progress=stop)
            except Stopped:
                continue
        await store.prune({"threads": MONTH})
        await self.holds(store, threads=[], **{f"t{number}": [] for number in range(6)})

    async def test_progress_is_told(self, store: Store) -> None:
        """Who prunes a large store sees that it moves, and when each table is done."""
        await keep(store, "old", "o1", days=40)
        await self.settled(store, "old")
        told: list[Pruned] = []
        report = await store.prune({"threads": MONTH}, on_progress=told.append)
        assert [one.table for one in told if one.done] == ["threads", "messages"]
        assert any(not one.done and one.deleted for one in told)
        assert {one.table: one for one in told if one.done} == report

    async def test_a_save_that_races_with_pruning_is_never_lost(self, store: Store) -> None:
        """Each of 32 savers either finds its old thread gone, or has saved to a thread that stays."""
        names = [f"t{number}" for number in range(32)]
        for name in names:
            await keep(store, name, f"{name}-old", days=40)
        await self.settled(store, *names)

        async def save(number: int) -> bool:
            await asyncio.sleep(0.0005 * number)
            message = Message(id=f"{names[number]}-new", thread_id=names[number])
            thread = Thread(id=names[number], resource_id="ada", created_at=clock.now(), updated_at=clock.now())
            try:
                await store.memory.save_turn(thread=thread, messages=[message], existed=True)
            except ThreadNotFoundError:
                return False
            return True

        saved, _ = await asyncio.gather(asyncio.gather(*(save(number) for number in range(32))), store.prune({"threads": MONTH}))
        expected: dict[str, Any] = {name: [f"{name}-old", f"{name}-new"] if kept else [] for name, kept in zip(names, saved, strict=True)}
        await self.holds(store, threads=[name for name, kept in zip(names, saved, strict=True) if kept], **expected)
