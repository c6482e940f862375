"""Lists along paths: their total order, their places, and what belongs to them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from mastra_core.errors import ConflictError, UnsupportedError
from mastra_core.storage.records.changes import Delete, Patch, Save
from mastra_core.storage.records.engine import support_of
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS, Message, Thread
from mastra_core.storage.records.query import Get, Query
from mastra_core.storage.records.records import Records
from mastra_core.testing.contract import needs
from mastra_core.testing.engine.under_test import EngineUnderTest
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import IN_ORDER, a_message, a_resource, a_thread, at


def of_thread(thread_id: str = "t", **options: Any) -> Query[Message]:
    """The messages of a thread."""
    return Query(MESSAGES, "by_thread", at={"thread_id": thread_id}, **options)


def of_owner(resource_id: str = "r", *, path: str = "by_resource", **options: Any) -> Query[Thread]:
    """The threads of a resource."""
    return Query(THREADS, path, at={"resource_id": resource_id}, **options)


class ListingUnderTest(EngineUnderTest):
    """Looking at lists, patiently where they may lag."""

    async def lists(self, records: Records, query: Query[Any], expected: Sequence[Any]) -> None:
        """Assert that *query* gives exactly *expected*, in this order; at once if it is a thread's messages."""

        async def look() -> object:
            (found,) = await records.fetch(query)
            return found

        await self.shows(look, list(expected), at_once=query.kind is MESSAGES and query.path == "by_thread")

    async def lists_or_leaves_out(self, records: Records, query: Query[Any], expected: Sequence[Any]) -> bool:
        """As `lists`, for a path that the backend may have left out: then it must refuse, and the answer is False."""
        name = f"{query.kind.name}.{query.path}"
        support = support_of(self.capabilities, name)
        if support.works:
            await self.lists(records, query, expected)
            return True
        try:
            await records.fetch(query)
        except UnsupportedError as refusal:
            assert str(refusal).strip(), "UnsupportedError must say why, and what to do instead"
            return False
        msg = f"declared: {name} is {support.level} ({support.reason}), but it gives a list; declare EMULATED, or raise UnsupportedError"
        raise AssertionError(msg)


class OrderContract(ListingUnderTest):
    """The order of lists, in both directions."""

    async def test_a_fresh_store_is_empty(self, records: Records) -> None:
        """Nothing of others is in a new store; a list of nothing is empty, not an error."""
        assert await records.fetch(of_thread(), of_owner()) == ([], [])
        for kind in (THREADS, MESSAGES, RESOURCES):
            await self.lacks(records, kind, "t", "m", "r")

    async def test_the_newest_messages_of_a_thread_come_newest_first(self, records: Records) -> None:
        """The last N of a conversation are read without reading it all."""
        messages = [a_message(f"m{number:02}", created=number) for number in range(25)]
        await self.put(records, *random.Random(1).sample(messages, 25))
        await self.lists(records, of_thread(descending=True, limit=10), messages[:14:-1])
        await self.lists(records, of_thread(limit=10), messages[:10])
        await self.lists(records, of_thread(descending=True, limit=1), messages[-1:])

    async def test_a_list_without_a_limit_is_whole(self, records: Records) -> None:
        """Everything means everything, however large the records are."""
        large = [
            a_message(f"m{number:02}", created=number, content={"format": 2, "parts": [{"type": "text", "text": "é" * 40_000}]})
            for number in range(30)
        ]
        await self.put(records, *large)
        await self.lists(records, of_thread(), large)
        await self.lists(records, of_thread(descending=True), large[::-1])
        await self.lists(records, of_thread(limit=1000), large)

    async def test_messages_of_one_instant_are_ordered_by_id(self, records: Records) -> None:
        """Order is total: ids decide, by code point, turned round like the times."""
        early, late = a_message("zz", created=-1), a_message("!", created=1)
        tied = [a_message(name) for name in IN_ORDER]
        await self.put(records, late, *random.Random(2).sample(tied, len(tied)), early)
        ascending = [early, *tied, late]
        await self.lists(records, of_thread(), ascending)
        await self.lists(records, of_thread(descending=True), ascending[::-1])
        for limit in (1, 2, 5, len(ascending) - 1):
            await self.lists(records, of_thread(limit=limit), ascending[:limit])
            await self.lists(records, of_thread(descending=True, limit=limit), ascending[::-1][:limit])

    async def test_times_are_ordered_as_instants(self, records: Records) -> None:
        """Order holds over years, seconds and milliseconds, also before 1970."""
        offsets = (-(10**12) * 3, -(10**12), -86_400_000, -1000, -1, 0, 1, 9, 10, 999, 1000, 60_000, 10**9, 10**12)
        messages = [a_message(f"m{len(offsets) - index:02}", created=offset) for index, offset in enumerate(offsets)]
        await self.put(records, *random.Random(3).sample(messages, len(messages)))
        await self.lists(records, of_thread(), messages)
        await self.lists(records, of_thread(descending=True, limit=3), messages[:-4:-1])

    async def test_threads_of_an_owner_are_listed_by_creation(self, records: Records) -> None:
        """A user's threads come in the order they were made, ties by id, in both directions."""
        tied = [a_thread(name, created=5, updated=100 - index) for index, name in enumerate(IN_ORDER)]
        threads = [a_thread("zz", created=1, updated=200), *tied, a_thread("!", created=9)]
        await self.put(records, a_thread("other", resource_id="other", created=3), *random.Random(4).sample(threads, len(threads)))
        await self.lists(records, of_owner(), threads)
        await self.lists(records, of_owner(descending=True), threads[::-1])
        await self.lists(records, of_owner(descending=True, limit=4), threads[::-1][:4])

    async def test_threads_of_an_owner_are_listed_by_their_last_change(self, records: Records) -> None:
        """A user's threads can be shown with the last used one first."""
        tied = [a_thread(name, created=50 - index, updated=55) for index, name in enumerate(IN_ORDER)]
        threads = [a_thread("zz", created=0, updated=51), *tied, a_thread("!", created=3, updated=59)]
        await self.put(records, *random.Random(5).sample(threads, len(threads)))
        if await self.lists_or_leaves_out(records, of_owner(path="by_resource_updated"), threads):
            await self.lists(records, of_owner(path="by_resource_updated", descending=True, limit=4), threads[::-1][:4])

    async def test_messages_of_a_resource_are_listed_over_its_threads(self, records: Records) -> None:
        """What was said to a user in any thread is found; messages of nobody are not."""
        mine = [a_message(f"m{number}", thread_id=f"t{number % 3}", created=number // 2) for number in range(8)]
        others = [a_message("x1", resource_id="other"), a_message("x2", resource_id=None)]
        await self.put(records, *random.Random(6).sample([*mine, *others], 10))
        await self.lists_or_leaves_out(records, Query(MESSAGES, "by_resource", at={"resource_id": "r"}), mine)
        await self.lists_or_leaves_out(
            records, Query(MESSAGES, "by_resource", at={"resource_id": "r"}, descending=True, limit=3), mine[:4:-1]
        )

    @needs("open_paths")
    async def test_all_threads_are_listed_in_order(self, records: Records) -> None:
        """Every thread of a store is listed, whoever owns it."""
        threads = [a_thread(f"t{9 - number}", resource_id=f"r{number % 3}", created=number // 2, updated=20) for number in range(9)]
        threads.sort(key=lambda thread: (thread.created_at, thread.id))
        await self.put(records, *random.Random(7).sample(threads, 9))
        await self.lists(records, Query(THREADS, "all", at={}), threads)
        await self.lists(records, Query(THREADS, "all", at={}, descending=True, limit=4), threads[:-5:-1])

    @needs("open_paths")
    async def test_all_threads_are_listed_by_their_last_change(self, records: Records) -> None:
        """Every thread of a store is listed, the last used one first."""
        threads = [
            a_thread(f"t{number}", resource_id=f"r{number % 3}", created=9 - number, updated=10 + number // 2) for number in range(9)
        ]
        await self.put(records, *random.Random(8).sample(threads, 9))
        await self.lists(records, Query(THREADS, "all_updated", at={}), threads)
        await self.lists(records, Query(THREADS, "all_updated", at={}, descending=True, limit=4), threads[:-5:-1])


class MembershipContract(ListingUnderTest):
    """Which records a list has."""

    async def test_a_list_has_the_records_of_its_place_only(self, records: Records) -> None:
        """No message leaks into another thread, however alike the ids are."""
        places = ("t", "t1", "tt", "t:", "t:m", ":t", "t ", "t%", "t_", "t*", "{t}", "t\n", "té", "t#1", "'t'")
        messages = {place: [a_message(f"{place}/{number}", thread_id=place, created=number) for number in (1, 2)] for place in places}
        await self.put(records, *(message for pair in messages.values() for message in pair))
        for place, pair in messages.items():
            await self.lists(records, of_thread(place), pair)
        await self.lists(records, of_thread("other"), [])

    async def test_a_list_of_threads_has_those_of_its_owner_only(self, records: Records) -> None:
        """No user sees a thread of another, however alike the ids are."""
        owners = ("r", "r1", "rr", "r:", "r:t", ":r", "r ", "r%", "r_", "r*", "{r}", "r\n", "ré", "r#1", "'r'")
        threads = {owner: [a_thread(f"{owner}/{number}", resource_id=owner, created=number) for number in (1, 2)] for owner in owners}
        await self.put(records, *(thread for pair in threads.values() for thread in pair))
        for owner, pair in threads.items():
            await self.lists(records, of_owner(owner), pair)

    async def test_ids_that_differ_by_case_are_kept_apart_or_refused(self, records: Records) -> None:
        """Ids are case-sensitive; a backend whose keys are not says so with ConflictError and never overwrites."""
        for kind, lower, upper in (
            (THREADS, a_thread("case", title="lower"), a_thread("CASE", title="upper")),
            (MESSAGES, a_message("case", created=1), a_message("CASE", created=2)),
            (RESOURCES, a_resource("case", working_memory="lower"), a_resource("CASE", working_memory="upper")),
        ):
            await self._keeps_apart(records, kind, lower, upper)

    async def _keeps_apart(self, records: Records, kind: Kind[Any], lower: Any, upper: Any) -> None:
        await self.put(records, lower)
        try:
            await records.apply(Save(kind, upper))
        except ConflictError:
            assert_same(await records.fetch(Get(kind, ("case",)), Get(kind, ("CASE",))), [lower, None])
        else:
            assert_same(await records.fetch(Get(kind, ("case",)), Get(kind, ("CASE",))), [lower, upper])

    async def test_a_deleted_record_leaves_every_list(self, records: Records) -> None:
        """What is deleted is nowhere to be found."""
        messages = [a_message(f"m{number}", created=number) for number in range(5)]
        threads = [a_thread(f"t{number}", created=number) for number in range(3)]
        await self.put(records, *messages, *threads)
        await records.apply(Delete(MESSAGES, ("m2",)), Delete(MESSAGES, ("m4",)), atomic=False)
        await self.lists(records, of_thread(), [messages[0], messages[1], messages[3]])
        await self.lists(records, of_thread(descending=True, limit=1), [messages[3]])
        await records.apply(Delete(THREADS, ("t1",)))
        await self.lists(records, of_owner(), [threads[0], threads[2]])

    async def test_a_record_saved_again_is_listed_once_with_its_new_values(self, records: Records) -> None:
        """An upsert duplicates nothing, and lists show what is stored."""
        messages = [a_message(f"m{number}", created=number) for number in range(3)]
        await self.put(records, *messages)
        new = a_message("m1", created=1, content={"format": 2, "parts": []}, role="assistant")
        await self.put(records, a_message("m1", created=77, content={"format": 2, "parts": []}, role="assistant"))
        await self.lists(records, of_thread(), [messages[0], new, messages[2]])
        await self.put(records, a_thread(title="old"))
        await records.apply(Patch(THREADS, ("t",), put={"title": "new"}))
        await self.lists(records, of_owner(), [a_thread(title="new")])

    async def test_a_fetch_answers_every_read_in_order(self, records: Records) -> None:
        """What a run reads comes in one batch, each answer at its place, also when the same is asked twice."""
        thread, resource = a_thread(), a_resource(working_memory="x")
        messages = [a_message(f"m{number}", created=number) for number in range(4)]
        await self.put(records, thread, resource, *messages)
        last = of_thread(descending=True, limit=2)
        await self.lists(records, of_owner(), [thread])
        answers = await records.fetch(
            last,
            Get(THREADS, ("t",)),
            Get(THREADS, ("none",)),
            of_thread("none"),
            Get(RESOURCES, ("r",)),
            last,
            of_owner(),
            Get(THREADS, ("t",)),
        )
        newest = messages[:1:-1]
        assert_same(answers, [newest, thread, None, [], resource, newest, [thread], thread])

    async def test_omitted_fields_come_back_as_none(self, records: Records) -> None:
        """A list can leave out large fields it does not show, whatever is stored in them; others come back as ever."""
        await self.put(records, a_thread("t1", title="one", metadata={"a": 1}), a_thread("t2", title="two", created=1))
        await self.lists(records, of_owner(omit=("metadata",)), [a_thread("t1", title="one"), a_thread("t2", title="two", created=1)])
        await self.put(records, a_message())
        await self.lists(records, of_thread(omit=("resource_id",)), [a_message(resource_id=None)])
        await self.gets(records, a_thread("t1", title="one", metadata={"a": 1}))

    @needs("moves")
    async def test_a_message_saved_under_another_thread_moves_there(self, records: Records) -> None:
        """A message is in one thread only, and keeps its created_at."""
        await self.put(records, a_message("m1", created=1), a_message("m2", created=2), a_message("m3", thread_id="u", created=3))
        moved = a_message("m1", thread_id="u", created=1)
        assert_same(await records.apply(Save(MESSAGES, a_message("m1", thread_id="u", created=9))), [moved])
        await self.gets(records, moved)
        await self.lists(records, of_thread("t"), [a_message("m2", created=2)])
        await self.lists(records, of_thread("u"), [moved, a_message("m3", thread_id="u", created=3)])

    @needs("moves")
    async def test_a_message_patched_to_another_thread_moves_there(self, records: Records) -> None:
        """A changed thread_id is followed by the lists."""
        await self.put(records, a_message("m1"), a_message("m2", created=1))
        moved = a_message("m1", thread_id="u")
        assert_same(await records.apply(Patch(MESSAGES, ("m1",), put={"thread_id": "u"})), [moved])
        await self.lists(records, of_thread("t"), [a_message("m2", created=1)])
        await self.lists(records, of_thread("u"), [moved])

    @needs("moves")
    async def test_a_thread_given_to_another_owner_moves_there(self, records: Records) -> None:
        """A thread is listed for its new owner and no longer for the old one."""
        await self.put(records, a_thread("t1"), a_thread("t2", created=1))
        moved = a_thread("t1", resource_id="s")
        assert_same(await records.apply(Patch(THREADS, ("t1",), put={"resource_id": "s"})), [moved])
        await self.lists(records, of_owner("r"), [a_thread("t2", created=1)])
        await self.lists(records, of_owner("s"), [moved])
        back = a_thread("t1", resource_id="r", created=7)
        assert_same(await records.apply(Save(THREADS, back)), [back])
        await self.lists(records, of_owner("r"), [a_thread("t2", created=1), back])
        await self.lists(records, of_owner("s"), [])

    @needs("moves")
    async def test_a_record_whose_order_changes_moves_in_its_list(self, records: Records) -> None:
        """A list follows the times of its records, whichever change raised them."""
        await self.put(records, *(a_thread(f"t{number}", created=number) for number in range(3)))
        moved = a_thread("t0", created=9)
        assert_same(await records.apply(Save(THREADS, moved)), [moved])
        others = [a_thread("t1", created=1), a_thread("t2", created=2)]
        await self.lists(records, of_owner(), [*others, moved])
        raised = a_thread("t1", created=1, updated=20)
        await records.apply(Patch(THREADS, ("t1",), raise_to={"updated_at": at(20)}))
        await self.lists_or_leaves_out(records, of_owner(path="by_resource_updated"), [others[1], moved, raised])
