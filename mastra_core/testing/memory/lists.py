"""Lists of messages: pages, several threads, filters, include windows and long threads (semantics §2.4, §2.5, §2.11, §2.12)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.filters import DateRange
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.domains.paging import OrderBy
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.memory.under_test import MemoryUnderTest
from mastra_core.testing.samples import IN_ORDER, a_message, at

SAID = [a_message(f"m{number:02}", created=number) for number in range(12)]


def tagged(id: str, value: Json, *, created: int) -> Message:
    """A message whose metadata has `tag`."""
    return a_message(id, created=created, content={"format": 2, "parts": [], "metadata": {"tag": value}})


class MessageListContract(MemoryUnderTest):
    """Pages of messages."""

    async def test_messages_come_oldest_first_and_in_total_order(self, memory: MemoryDomain) -> None:
        """A conversation reads from top to bottom; ties are ordered by id, turned round with the direction."""
        tied = [a_message("zz", created=-1), *(a_message(name) for name in IN_ORDER), a_message("!", created=1)]
        await self.fill(memory, *random.Random(1).sample(tied, len(tied)))
        for options, expected in (
            ({}, tied),
            ({"order_by": {"field": "created_at"}}, tied),
            ({"order_by": {"direction": "DESC"}}, tied[::-1]),
            ({"order_by": {"field": "created_at", "direction": "DESC"}}, tied[::-1]),
        ):
            page = await memory.list_messages("t", **options)  # type: ignore[arg-type]  # literals, for the test's sake
            assert_same(page.items, expected)

    async def test_an_unknown_thread_has_an_empty_page(self, memory: MemoryDomain) -> None:
        """Nothing said is no error."""
        page = await memory.list_messages("none")
        assert (page.items, page.total, page.has_more, page.page, page.per_page) == ((), None, False, 0, 40)

    async def test_a_page_has_40_messages_unless_another_number_is_asked_for(self, memory: MemoryDomain) -> None:
        """The first page is bounded; everything is given when it is asked for."""
        messages = [a_message(f"m{number:02}", created=number) for number in range(45)]
        await self.fill(memory, *messages)
        page = await memory.list_messages("t")
        assert_same(page.items, messages[:40])
        assert page.has_more
        everything = await memory.list_messages("t", per_page=None)
        assert_same(everything.items, messages)
        assert not everything.has_more

    @needs("pages")
    async def test_pages_of_messages_follow_one_another(self, memory: MemoryDomain) -> None:
        """Pages leave nothing out and show nothing twice, in both directions; has_more is right at the exact end too."""
        await self.fill(memory, *SAID)
        orders: tuple[tuple[list[Message], OrderBy], ...] = ((SAID, {"direction": "ASC"}), (SAID[::-1], {"direction": "DESC"}))
        for whole, order_by in orders:
            for per_page in (5, 6, 12):
                for number in range(4):
                    page = await memory.list_messages("t", page=number, per_page=per_page, order_by=order_by)
                    start = number * per_page
                    assert_same(page.items, whole[start : start + per_page])
                    assert page.has_more is (start + per_page < len(SAID)), f"page {number} of {per_page}"

    @needs("count")
    async def test_a_total_is_counted_when_it_is_asked_for(self, memory: MemoryDomain) -> None:
        """A total is exact, and costs nothing when it is not wanted."""
        await self.fill(memory, *SAID)
        counted = await memory.list_messages("t", per_page=2, include_total=True)
        assert (len(counted), counted.total, counted.has_more) == (2, 12, True)
        assert (await memory.list_messages("t", per_page=2)).total is None

    async def test_several_threads_are_merged_in_order(self, memory: MemoryDomain) -> None:
        """Messages of several threads come as one list, each thread once."""
        first = [a_message(f"a{number}", thread_id="t1", created=2 * number) for number in range(4)]
        second = [a_message(f"b{number}", thread_id="t2", created=3 * number) for number in range(4)]
        await self.fill(memory, *first)
        await self.fill(memory, *second)
        await self.fill(memory, a_message("x", thread_id="t3"))
        merged = sorted([*first, *second], key=lambda message: (message.created_at, message.id))
        page = await memory.list_messages(["t2", "t1", "none", "t2"])
        assert_same(page.items, merged)
        page = await memory.list_messages(["t1", "t2"], page=1, per_page=3)
        assert_same(page.items, merged[3:6])
        assert page.has_more
        page = await memory.list_messages(["t1", "t2"], page=2, per_page=4, order_by={"direction": "DESC"})
        assert_same((page.items, page.has_more), ([], False))

    @needs("filters")
    async def test_a_list_can_be_of_one_owner(self, memory: MemoryDomain) -> None:
        """In a shared thread only one owner's messages are asked for; others' and nobody's are left out."""
        owners = ["r", "x", "r", "R", "r"]
        messages = [a_message(f"m{number}", resource_id=owner, created=number) for number, owner in enumerate(owners)]
        await self.fill(memory, *messages)
        page = await memory.list_messages("t", resource_id="r")
        assert_same(page.items, messages[::2])
        page = await memory.list_messages("t", resource_id="r", per_page=2)
        assert_same(page.items, [messages[0], messages[2]])
        assert page.has_more

    @needs("filters")
    async def test_metadata_filters_compare_types(self, memory: MemoryDomain) -> None:
        """1 is not "1", true is not 1, null is not missing; messages of any Unicode neither match by chance nor break it."""
        values: list[Json] = [1, "1", True, None, 1.5, "", "é"]
        messages = [tagged(f"m{number}", value, created=number) for number, value in enumerate(values)]
        odd = a_message(
            "odd", created=50, content={"format": 2, "parts": [{"type": "text", "text": "\0\ud800"}], "metadata": {"tag": "\ud800"}}
        )
        await self.fill(memory, *messages, odd, a_message("bare", created=51))
        for message, value in zip(messages, values, strict=True):
            page = await memory.list_messages("t", filter={"metadata": {"tag": value}})
            assert_same(page.items, [message])

    @needs("span")
    async def test_a_range_of_dates_has_its_ends_unless_they_are_excluded(self, memory: MemoryDomain) -> None:
        """What was said between two instants, to the millisecond."""
        await self.fill(memory, *SAID)
        ranges: tuple[tuple[DateRange, list[Message]], ...] = (
            ({"start": at(3), "end": at(6)}, SAID[3:7]),
            ({"start": at(3), "end": at(6), "start_exclusive": True}, SAID[4:7]),
            ({"start": at(3), "end": at(6), "end_exclusive": True}, SAID[3:6]),
            ({"start": at(9)}, SAID[9:]),
            ({"end": at(0)}, SAID[:1]),
            ({"start": at(6), "end": at(3)}, []),
        )
        for dates, expected in ranges:
            page = await memory.list_messages("t", filter={"date_range": dates})
            assert_same(page.items, expected)

    @pytest.mark.parametrize(
        "wrong, told",
        [
            ({"thread_id": ""}, "threadId must be a non-empty string"),
            ({"thread_id": []}, "threadId must be a non-empty string"),
            ({"thread_id": ["t", " "]}, "threadId must be a non-empty string"),
            ({"per_page": -1}, "perPage must be >= 0"),
            ({"per_page": False}, "per_page must be a whole number"),
            ({"page": -1}, "page must be >= 0"),
            ({"order_by": {"field": "updated_at"}}, "cannot order by 'updated_at'"),
            ({"filter": {"dateRange": {}}}, "Did you mean 'date_range'"),
            ({"filter": {"date_range": {"start": at(0).replace(tzinfo=None)}}}, "naive"),
            ({"filter": {"metadata": {"a b": 1}}}, 'Invalid metadata key: "a b"'),
            ({"include": [{"id": "m", "withPreviousMessages": 1}]}, "Did you mean 'with_previous_messages'"),
            ({"include": [{"id": "m", "with_next_messages": -1}]}, "-1"),
            ({"include": [{"with_next_messages": 1}]}, "include.id"),
        ],
        ids=lambda value: ascii(value)[:50],
    )
    async def test_an_option_of_a_list_of_messages_that_makes_no_sense_is_refused(
        self, memory: MemoryDomain, wrong: Mapping[str, Any], told: str
    ) -> None:
        """A misspelt or impossible option is an error with the mend, never another list."""
        options = dict(wrong)
        with pytest.raises(InvalidInputError) as caught:
            await memory.list_messages(options.pop("thread_id", "t"), **options)
        assert told in str(caught.value)


class IncludeContract(MemoryUnderTest):
    """Messages included with their neighbours, and threads of any length."""

    @needs("window")
    async def test_included_messages_come_with_exactly_the_neighbours_asked_for(self, memory: MemoryDomain) -> None:
        """Two before means the two before, clipped at the ends of the thread."""
        await self.fill(memory, *SAID)
        for index, before, after in ((5, 2, 0), (5, 0, 3), (0, 4, 1), (11, 1, 4), (6, 0, 0), (6, 99, 99)):
            wanted = {"id": SAID[index].id, "with_previous_messages": before, "with_next_messages": after}
            page = await memory.list_messages("t", include=[wanted], per_page=0)  # type: ignore[list-item]  # the keys are Include's
            assert_same(page.items, SAID[max(0, index - before) : index + after + 1])
            assert (page.total, page.has_more) == (0, False)

    @needs("window")
    async def test_included_messages_join_the_page_without_doubles(self, memory: MemoryDomain) -> None:
        """A page and overlapping windows are one list in order, each message once; has_more is the page's."""
        await self.fill(memory, *SAID)
        page = await memory.list_messages(
            "t",
            per_page=3,
            include=[
                {"id": "m03", "with_previous_messages": 2},
                {"id": "m08", "with_next_messages": 1},
                {"id": "none", "with_next_messages": 5},
            ],
        )
        assert_same(page.items, [*SAID[:4], *SAID[8:10]])
        assert page.has_more

    @needs("window")
    async def test_neighbours_are_those_of_the_messages_own_thread(self, memory: MemoryDomain) -> None:
        """A message of another thread brings its own context, whatever thread the caller believes it in."""
        other = [a_message(f"o{number}", thread_id="u", created=number) for number in range(4)]
        await self.fill(memory, *SAID[:4])
        await self.fill(memory, *other)
        for hint in ({}, {"thread_id": "u"}, {"thread_id": "t"}):
            wanted = {"id": "o1", "with_previous_messages": 1, "with_next_messages": 1} | hint
            page = await memory.list_messages("t", include=[wanted], per_page=0)  # type: ignore[list-item]  # the keys are Include's
            assert_same(page.items, other[:3])

    @needs("window", "filters")
    async def test_neighbours_are_scoped_to_the_owner_asked_for(self, memory: MemoryDomain) -> None:
        """Another user's words in a shared thread are not included."""
        messages = [attrs.evolve(message, resource_id="r" if number % 2 else "x") for number, message in enumerate(SAID)]
        await self.fill(memory, *messages)
        wanted = {"id": "m05", "with_previous_messages": 1, "with_next_messages": 2}
        page = await memory.list_messages("t", resource_id="r", include=[wanted], per_page=0)  # type: ignore[list-item]  # the keys are Include's
        assert_same(page.items, messages[3:10:2])
        page = await memory.list_messages("t", resource_id="x", include=[wanted], per_page=0)  # type: ignore[list-item]
        assert page.items == ()

    @needs("pages")
    async def test_a_thread_is_iterated_whole_and_in_order(self, memory: MemoryDomain) -> None:
        """A thread of any length is read in bounded memory, without gaps or doubles at ties, whatever the step."""
        messages = [a_message(f"m{number:02}", created=number // 4) for number in range(25)]
        await self.fill(memory, *random.Random(2).sample(messages, len(messages)))
        for size in (1, 3, 24, 25, 26, 500):
            found = [message async for message in memory.iter_messages("t", batch_size=size)]
            assert_same(found, messages)
            found = [message async for message in memory.iter_messages("t", batch_size=size, order_by={"direction": "DESC"})]
            assert_same(found, messages[::-1])
        assert [message async for message in memory.iter_messages("none")] == []

    @needs("pages", "filters")
    async def test_an_iteration_may_be_of_one_owner(self, memory: MemoryDomain) -> None:
        """One owner's messages of a long shared thread are read in steps."""
        messages = [a_message(f"m{number:02}", resource_id="r" if number % 5 == 0 else "x", created=number) for number in range(30)]
        await self.fill(memory, *messages)
        found = [message async for message in memory.iter_messages("t", resource_id="r", batch_size=2)]
        assert_same(found, messages[::5])
