"""Threads: saved, listed, filtered and deleted (semantics §2.1 to §2.11)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from mastra_core.errors import InvalidInputError, OwnershipError
from mastra_core.storage.domains.filters import ThreadFilter
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.domains.paging import Page
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Thread
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.memory.under_test import MemoryUnderTest
from mastra_core.testing.samples import AWKWARD_IDS, IN_ORDER, JSON_VALUES, a_message, a_thread


class ThreadContract(MemoryUnderTest):
    """One thread."""

    async def test_a_saved_thread_is_answered_and_got_as_stored(self, memory: MemoryDomain) -> None:
        """A thread comes back equal, whatever JSON its metadata holds."""
        thread = a_thread(title="Un titre 😀", metadata=JSON_VALUES, created=1, updated=2)
        assert_same(await memory.save_thread(thread), thread)
        assert_same(await memory.get_thread_by_id("t"), thread)

    async def test_a_thread_that_does_not_exist_is_none(self, memory: MemoryDomain) -> None:
        """Asking for an unknown thread is no error."""
        assert await memory.get_thread_by_id("none") is None

    async def test_a_thread_is_got_by_its_owner_only(self, memory: MemoryDomain) -> None:
        """Asking for another's thread finds nothing."""
        await memory.save_thread(a_thread(resource_id="ada"))
        assert_same(await memory.get_thread_by_id("t", resource_id="ada"), a_thread(resource_id="ada"))
        assert await memory.get_thread_by_id("t", resource_id="bob") is None
        assert await memory.get_thread_by_id("t", resource_id="Ada") is None

    async def test_a_thread_saved_again_is_replaced_whole(self, memory: MemoryDomain) -> None:
        """Saving is an upsert, and leaves nothing of the old thread."""
        await memory.save_thread(a_thread(title="old", metadata={"old": 1}, updated=3))
        new = a_thread(title="new", metadata=None, updated=6)
        assert_same(await memory.save_thread(new), new)
        assert_same(await memory.get_thread_by_id("t"), new)

    @needs("moves")
    async def test_a_thread_saved_again_may_have_another_date(self, memory: MemoryDomain) -> None:
        """The dates of a thread are the caller's, and it is listed by the new ones."""
        await memory.save_thread(a_thread(created=1, updated=9))
        await memory.save_thread(a_thread("u", created=2))
        new = await memory.save_thread(a_thread(created=5, updated=6))
        assert_same(await memory.get_thread_by_id("t"), a_thread(created=5, updated=6))

        async def look() -> object:
            return (await memory.list_threads(filter={"resource_id": "r"}, include_total=False)).items

        await self.shows(look, [new, a_thread("u", created=2)])

    async def test_a_thread_of_another_is_not_overwritten(self, memory: MemoryDomain) -> None:
        """A thread's owner does not change by saving it."""
        theirs = a_thread(resource_id="ada", title="theirs")
        await memory.save_thread(theirs)
        with pytest.raises(OwnershipError, match="Thread with id t is for resource with id ada but resource bob was queried"):
            await memory.save_thread(a_thread(resource_id="bob", title="mine"))
        assert_same(await memory.get_thread_by_id("t"), theirs)

    async def test_any_id_and_owner_works(self, memory: MemoryDomain) -> None:
        """Ids are the caller's strings, with any characters, up to 255 of them."""
        for name in AWKWARD_IDS:
            assert_same(await memory.save_thread(a_thread(name, resource_id=name)), a_thread(name, resource_id=name))
        for name in AWKWARD_IDS:
            assert_same(await memory.get_thread_by_id(name, resource_id=name), a_thread(name, resource_id=name))

    async def test_times_are_cut_to_milliseconds_and_kept_in_utc(self, memory: MemoryDomain) -> None:
        """An instant is kept, whatever its time zone; what is finer than a millisecond is not."""
        given = datetime(2024, 5, 6, 7, 8, 9, 123_999, timezone(timedelta(hours=-3)))
        saved = await memory.save_thread(attrs.evolve(a_thread(), created_at=given, updated_at=given))
        expected = datetime(2024, 5, 6, 10, 8, 9, 123_000, UTC)
        assert_same([saved.created_at, saved.updated_at], [expected, expected])
        assert_same(await memory.get_thread_by_id("t"), saved)

    @pytest.mark.parametrize(
        "wrong, named",
        [
            ({"id": ""}, "id"),
            ({"id": "x" * 256}, "255"),
            ({"id": "日" * 255 + "日"}, "255"),
            ({"id": "😀" * 226}, "900"),
            ({"id": "a\0"}, r"U\+0000"),
            ({"id": "\ud800"}, r"U\+D800"),
            ({"id": 7}, "str"),
            ({"resource_id": ""}, "resource_id"),
            ({"title": "a\0b"}, "title"),
            ({"title": "\udfff"}, "title"),
            ({"metadata": {"a": float("nan")}}, "metadata"),
            ({"metadata": {"a": [float("inf")]}}, "metadata"),
            ({"metadata": {"a": "\0"}}, "metadata"),
            ({"metadata": {"\ud800": 1}}, "metadata"),
            ({"metadata": {1: "a"}}, "metadata"),
            ({"metadata": {"a": {1, 2}}}, "metadata"),
            ({"created_at": datetime(2024, 1, 1)}, "naive"),  # noqa: DTZ001  # the mistake to refuse
            ({"updated_at": datetime(2024, 1, 1)}, "naive"),  # noqa: DTZ001
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_what_cannot_be_kept_is_refused(self, memory: MemoryDomain, wrong: Mapping[str, Any], named: str) -> None:
        """A value that would not come back equal on every backend is an error that names it, and nothing is written."""
        await memory.save_thread(a_thread(title="as it was"))
        with pytest.raises(InvalidInputError, match=named):
            await memory.save_thread(attrs.evolve(a_thread(), **wrong))
        assert_same(await memory.get_thread_by_id("t"), a_thread(title="as it was"))

    @needs("purge")
    async def test_a_deleted_thread_takes_its_messages_along(self, memory: MemoryDomain) -> None:
        """Nothing of a deleted thread is found again, not even under a new thread of its id; others stay."""
        await self.fill(memory, *(a_message(f"m{number}", created=number) for number in range(12)))
        other = a_message("x", thread_id="t:")
        await self.fill(memory, other)
        await memory.delete_thread("t")
        assert await memory.get_thread_by_id("t") is None
        await self.holds(memory, "t")
        await memory.save_thread(a_thread())
        await self.holds(memory, "t")
        await self.holds(memory, "t:", other)

    @needs("purge")
    async def test_deleting_a_thread_twice_is_no_error(self, memory: MemoryDomain) -> None:
        """Deleting is idempotent."""
        await memory.save_thread(a_thread())
        for _ in range(2):
            await memory.delete_thread("t")
        await memory.delete_thread("never there")
        assert await memory.get_thread_by_id("t") is None


class ThreadListContract(MemoryUnderTest):
    """Lists of threads."""

    async def lists(self, memory: MemoryDomain, expected: list[Thread], **options: Any) -> None:
        """Assert that the list has these threads; patiently where it may lag."""

        async def look() -> object:
            page: Page[Thread] = await memory.list_threads(**{"include_total": False} | options)
            return page.items

        await self.shows(look, expected)

    async def _saved(self, memory: MemoryDomain, *threads: Thread) -> None:
        for thread in threads:
            await memory.save_thread(thread)

    async def test_threads_of_an_owner_come_newest_first(self, memory: MemoryDomain) -> None:
        """A user's threads are listed newest first, ties by id turned round; in the other direction when asked."""
        threads = [a_thread("zz", created=0), *(a_thread(name, created=5) for name in IN_ORDER), a_thread("!", created=9)]
        await self._saved(memory, a_thread("other", resource_id="other"), *random.Random(1).sample(threads, len(threads)))
        mine = {"resource_id": "r"}
        await self.lists(memory, threads[::-1], filter=mine)
        await self.lists(memory, threads[::-1], filter=mine, order_by={"field": "created_at"})
        await self.lists(memory, threads, filter=mine, order_by={"direction": "ASC"})
        await self.lists(memory, threads, filter=mine, order_by={"field": "created_at", "direction": "ASC"})

    @needs("mastra_threads.by_resource_updated")
    async def test_threads_can_be_ordered_by_their_last_change(self, memory: MemoryDomain) -> None:
        """The thread used last comes first, also right after it was used."""
        threads = [a_thread(f"t{number}", created=9 - number, updated=20 + number) for number in range(3)]
        await self._saved(memory, *threads)
        mine = {"resource_id": "r"}
        await self.lists(memory, threads[::-1], filter=mine, order_by={"field": "updated_at"})
        await memory.save_turn(thread=threads[0], messages=[a_message("m", thread_id="t0")])
        used = await memory.get_thread_by_id("t0")
        assert used is not None
        await self.lists(memory, [used, threads[2], threads[1]], filter=mine, order_by={"field": "updated_at", "direction": "DESC"})

    @needs("mastra_threads.by_resource_updated", "pages")
    async def test_threads_changed_at_one_instant_are_ordered_by_id(self, memory: MemoryDomain) -> None:
        """The order by last change is total too: ties by id, turned round with the direction."""
        threads = [a_thread("zz", created=7), *(a_thread(name, updated=8) for name in IN_ORDER), a_thread("!", created=-1, updated=9)]
        await self._saved(memory, *random.Random(4).sample(threads, len(threads)))
        mine = {"resource_id": "r"}
        await self.lists(memory, threads[::-1], filter=mine, order_by={"field": "updated_at"})
        await self.lists(memory, threads, filter=mine, order_by={"field": "updated_at", "direction": "ASC"})
        await self.lists(memory, threads[-11:-16:-1], filter=mine, order_by={"field": "updated_at"}, page=2, per_page=5)

    @needs("pages", "count")
    async def test_pages_of_threads_follow_one_another(self, memory: MemoryDomain) -> None:
        """Pages leave nothing out and show nothing twice; has_more and total are right, past the end too."""
        threads = [a_thread(f"t{number}", created=number) for number in range(6)]
        await self._saved(memory, *threads)
        mine: ThreadFilter = {"resource_id": "r"}
        await self.lists(memory, threads[::-1], filter=mine)
        for number, expected, more in ((0, threads[:3:-1], True), (1, threads[3:1:-1], True), (2, threads[1::-1], False), (3, [], False)):
            page = await memory.list_threads(filter=mine, page=number, per_page=2)
            assert_same(page.items, expected)
            assert (page.total, page.page, page.per_page, page.has_more) == (6, number, 2, more)

    @needs("count")
    async def test_everything_and_nothing_are_pages_too(self, memory: MemoryDomain) -> None:
        """per_page=None is everything, 0 is no row; the total is counted unless it is not wanted."""
        threads = [a_thread(f"t{number}", created=number) for number in range(3)]
        await self._saved(memory, *threads)
        mine: ThreadFilter = {"resource_id": "r"}
        await self.lists(memory, threads[::-1], filter=mine, per_page=None)
        everything = await memory.list_threads(filter=mine, per_page=None)
        nothing = await memory.list_threads(filter=mine, per_page=0)
        uncounted = await memory.list_threads(filter=mine, include_total=False)
        nobody = await memory.list_threads(filter={"resource_id": "nobody"})
        assert (len(everything), everything.total, everything.has_more) == (3, 3, False)
        assert (len(nothing), nothing.total) == (0, 3)
        assert (len(uncounted), uncounted.total, uncounted.has_more, uncounted.per_page) == (3, None, False, 100)
        assert (len(nobody), nobody.total, nobody.has_more) == (0, 0, False)

    @needs("filters")
    async def test_metadata_filters_compare_types_and_all_must_hold(self, memory: MemoryDomain) -> None:
        """1 is not "1", true is not 1, null is not missing; several keys are a conjunction."""
        values: list[Json] = [1, "1", True, None, 1.5, "", "é", False, 0, {"a": 1}, [1]]
        threads = [a_thread(f"t{number:02}", metadata={"k": value, "n": number % 2}, created=number) for number, value in enumerate(values)]
        bare = [a_thread("u", metadata={}, created=50), a_thread("v", created=51)]
        await self._saved(memory, *threads, *bare)
        for number, value in enumerate(values[:9]):
            await self.lists(memory, [threads[number]], filter={"resource_id": "r", "metadata": {"k": value}})
        await self.lists(memory, [threads[0]], filter={"resource_id": "r", "metadata": {"k": 1, "n": 0}})
        await self.lists(memory, [], filter={"resource_id": "r", "metadata": {"k": 1, "n": 1}})
        await self.lists(memory, [*bare[::-1], *threads[::-1]], filter={"resource_id": "r", "metadata": {}})

    @needs("open_paths")
    async def test_all_threads_of_a_store_can_be_listed(self, memory: MemoryDomain) -> None:
        """Without an owner every thread is listed."""
        threads = [a_thread(f"t{number}", resource_id=f"r{number % 2}", created=number) for number in range(5)]
        await self._saved(memory, *threads)
        await self.lists(memory, threads[::-1])
        await self.lists(memory, threads, order_by={"direction": "ASC"})
        await self.lists(memory, threads[::-1], order_by={"field": "updated_at"})
        await self.lists(memory, threads, order_by={"field": "updated_at", "direction": "ASC"})

    @pytest.mark.parametrize(
        "wrong, told",
        [
            ({"per_page": -1}, "perPage must be >= 0"),
            ({"page": -1}, "page must be >= 0"),
            ({"per_page": True}, "per_page must be a whole number"),
            ({"per_page": 2.0}, "per_page must be a whole number"),
            ({"order_by": {"field": "title"}}, "cannot order by 'title'"),
            ({"order_by": {"field": "createdAt"}}, "'created_at'"),
            ({"order_by": {"direction": "desc"}}, "'DESC'"),
            ({"order_by": {"feild": "created_at"}}, "Did you mean 'field'"),
            ({"filter": {"resourceId": "r"}}, "Did you mean 'resource_id'"),
            ({"filter": {"metadata": {"a-b": 1}}}, 'Invalid metadata key: "a-b"'),
            ({"filter": {"metadata": {"__proto__": 1}}}, 'Invalid metadata key: "__proto__"'),
            ({"filter": {"metadata": {"k" * 129: 1}}}, "exceeds maximum length of 128"),
            ({"filter": {"metadata": {"k": [1]}}}, "'k'"),
            ({"filter": {"metadata": {"k": float("nan")}}}, "'k'"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_an_option_of_a_list_of_threads_that_makes_no_sense_is_refused(
        self, memory: MemoryDomain, wrong: Mapping[str, Any], told: str
    ) -> None:
        """A misspelt or impossible option is an error with the mend, never another list."""
        with pytest.raises(InvalidInputError) as caught:
            await memory.list_threads(**wrong)
        assert told in str(caught.value)
