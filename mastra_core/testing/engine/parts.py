"""Parts of lists: pages, ranges, filters, counts and windows, each where the backend declares it."""

from __future__ import annotations

import random
from typing import Any

from mastra_core.storage.records.changes import Delete
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message
from mastra_core.storage.records.query import Between, Condition, Contains, Count, Cursor, Is, Missing, Present, Query, Where, Window
from mastra_core.storage.records.records import Records
from mastra_core.testing.contract import needs
from mastra_core.testing.engine.conditions import MET, UNMET
from mastra_core.testing.engine.lists import ListingUnderTest, of_owner, of_thread
from mastra_core.testing.engine.under_test import ids
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import ANY_UNICODE, IN_ORDER, a_message, a_thread, at

TIED = [a_message(name, created=number) for number in (0, 1) for name in IN_ORDER[number::2]]
"""A thread with ties, in order."""


def around(name: str, *, before: int = 0, after: int = 0, where: Where = (), hint: str | None = None) -> Window[Message]:
    """A window in a thread."""
    given = {} if hint is None else {"thread_id": hint}
    return Window(MESSAGES, "by_thread", around=(name,), before=before, after=after, where=where, hint=given)


def said(metadata: Any) -> Any:
    """Content of a message with metadata."""
    return {"format": 2, "parts": [], "metadata": metadata}


class PageContract(ListingUnderTest):
    """Offsets, cursors, ranges and counts."""

    @needs("pages")
    async def test_an_offset_skips_in_the_direction_asked(self, records: Records) -> None:
        """Page by page nothing is shown twice or left out."""
        await self.put(records, *random.Random(1).sample(TIED, len(TIED)))
        for whole, descending in ((TIED, False), (TIED[::-1], True)):
            for offset, limit in ((1, 3), (3, 3), (len(TIED) - 1, 3), (len(TIED), 3), (100, 3), (2, None)):
                end = None if limit is None else offset + limit
                await self.lists(records, of_thread(offset=offset, limit=limit, descending=descending), whole[offset:end])

    @needs("pages")
    async def test_a_cursor_goes_on_behind_its_place(self, records: Records) -> None:
        """A thread of any length is read in steps, without gaps at ties, in both directions."""
        await self.put(records, *random.Random(2).sample(TIED, len(TIED)))
        for whole, descending in ((TIED, False), (TIED[::-1], True)):
            for index, message in enumerate(whole):
                assert message.created_at is not None
                after = Cursor(message.created_at, (message.id,))
                await self.lists(records, of_thread(after=after, limit=4, descending=descending), whole[index + 1 : index + 5])

    @needs("pages")
    async def test_a_cursor_is_a_place_and_needs_no_record(self, records: Records) -> None:
        """Reading on works when the last record read was deleted meanwhile."""
        await self.put(records, *TIED)
        gone = TIED[4]
        assert gone.created_at is not None
        await records.apply(Delete(MESSAGES, (gone.id,)))
        after = Cursor(gone.created_at, (gone.id,))
        await self.lists(records, of_thread(after=after), TIED[5:])
        await self.lists(records, of_thread(after=after, descending=True), TIED[3::-1])
        await self.lists(records, of_thread(after=after, offset=2, limit=2), TIED[7:9])

    @needs("span")
    async def test_a_span_is_a_range_of_the_order_with_or_without_its_ends(self, records: Records) -> None:
        """A range of dates gives exactly the messages of that time."""
        messages = [a_message(f"{9 - number}", created=number // 2) for number in range(10)]
        messages.sort(key=lambda message: (message.created_at, message.id))
        await self.put(records, *messages)
        for low, high, low_open, high_open, start, end in (
            (1, 3, False, False, 2, 8), (1, 3, True, False, 4, 8), (1, 3, False, True, 2, 6), (1, 3, True, True, 4, 6),
            (None, 2, False, False, 0, 6), (3, None, False, False, 6, 10), (2, 2, False, False, 4, 6), (2, 2, True, False, 0, 0),
            (3, 1, False, False, 0, 0),
            (-9, 99, True, True, 0, 10), (None, None, False, False, 0, 10),
        ):  # fmt: skip
            ends = [None if end is None else at(end) for end in (low, high)]
            span = Between(("created_at",), low=ends[0], high=ends[1], low_open=low_open, high_open=high_open)
            await self.lists(records, of_thread(span=span), messages[start:end])
            await self.lists(records, of_thread(span=span, descending=True, limit=3), messages[start:end][::-1][:3])

    @needs("count")
    async def test_a_count_is_the_length_of_the_list(self, records: Records) -> None:
        """A total is exact, and 0 where there is nothing."""
        await self.put(records, *TIED, a_message("x", thread_id="u"), *(a_thread(f"t{number}") for number in range(3)))
        await self.lists(records, of_owner(), [a_thread(f"t{number}") for number in range(3)])
        counts = await records.fetch(
            Count(MESSAGES, "by_thread", at={"thread_id": "t"}),
            Count(MESSAGES, "by_thread", at={"thread_id": "none"}),
            Count(THREADS, "by_resource", at={"resource_id": "r"}),
        )
        assert_same(counts, [len(TIED), 0, 3])

    @needs("count", "span")
    async def test_a_count_may_be_of_a_range(self, records: Records) -> None:
        """A total counts what the list with the same range would show."""
        await self.put(records, *(a_message(f"m{number}", created=number) for number in range(5)))
        span = Between(("created_at",), low=at(1), high=at(3), high_open=True)
        assert_same(await records.fetch(Count(MESSAGES, "by_thread", at={"thread_id": "t"}, span=span)), [2])

    @needs("count", "filters")
    async def test_a_count_may_be_filtered(self, records: Records) -> None:
        """A total counts what the filtered list would show."""
        await self.put(
            records, *(a_message(f"m{number}", created=number, role="user" if number % 2 else "assistant") for number in range(5))
        )
        assert_same(await records.fetch(Count(MESSAGES, "by_thread", at={"thread_id": "t"}, where=(Is(("role",), "user"),))), [2])


class FilterContract(ListingUnderTest):
    """Residual conditions."""

    @needs("filters")
    async def test_a_filter_means_the_same_on_every_backend(self, records: Records) -> None:
        """Typed equality, presence and containment inside JSON, and null apart from missing."""
        metadata = {"n": 1, "t": "1", "b": True, "f": 1.5, "z": None, "l": ["a", 1, None], "o": {"in": "x"}, "N": 3, "a.b": "dot"}
        full, empty, bare = a_thread("t1", metadata=metadata, updated=5), a_thread("t2", metadata={}, updated=7), a_thread("t3", updated=7)
        await self.put(records, full, empty, bare)
        await self.lists(records, of_owner(), [full, empty, bare])
        for conditions, matching in ((MET, [full]), (UNMET, [])):
            for condition in conditions:
                if len(condition.field) > 1:
                    expected = matching + [empty, bare] * isinstance(condition, Missing)
                    (found,) = await records.fetch(of_owner(where=(condition,)))
                    assert ids(found) == ids(expected), condition
        for present in (Present(("metadata",)), Missing(("metadata",))):
            (found,) = await records.fetch(of_owner(where=(present,)))
            assert_same(found, [full, empty] if isinstance(present, Present) else [bare])

    @needs("filters")
    async def test_a_limit_counts_what_meets_the_filter(self, records: Records) -> None:
        """Ten matches are ten, however many records lie between them."""
        messages = [a_message(f"m{number:03}", created=number, role="user" if number % 10 == 0 else "assistant") for number in range(150)]
        await self.put(records, *messages)
        where = (Is(("role",), "user"),)
        await self.lists(records, of_thread(where=where, limit=4), messages[::10][:4])
        await self.lists(records, of_thread(where=where, limit=4, descending=True), messages[140::-10][:4])
        await self.lists(records, of_thread(where=where), messages[::10])

    @needs("filters")
    async def test_filters_survive_messages_of_any_unicode(self, records: Records) -> None:
        """A message with U+0000 or a lone surrogate neither breaks a filter over its thread nor hides others."""
        odd = [
            a_message(f"m{number}", created=number, content=said({"tag": "x", "odd": odd}))
            for number, odd in enumerate(ANY_UNICODE.values())
        ]
        plain = a_message("plain", created=50, content=said({"tag": "x"}))
        other = a_message("other", created=51, content=said({"tag": "y", "text": "a\0b"}))
        text = a_message("text", created=52, content={"format": 2, "parts": [{"type": "text", "text": "\ud800\0"}]})
        await self.put(records, *odd, plain, other, text)
        await self.lists(records, of_thread(where=(Is(("content", "metadata", "tag"), "x"),)), [*odd, plain])
        await self.lists(records, of_thread(where=(Missing(("content", "metadata", "tag")),)), [text])

    @needs("filters")
    async def test_filters_and_all_conditions_must_hold_together(self, records: Records) -> None:
        """A conjunction, of fields and of metadata, whatever the keys are called."""
        names = (
            "a",
            "A",
            "_",
            "a_b",
            "_1",
            "x" * 128,
            "json",
            "type",
            "select",
            "null",
            "true",
            "id",
            "metadata",
            "content",
            "role",
            "length",
        )
        messages = [
            a_message(f"m{number}", created=number, content=said({name: "'%\\", "n": number, "a.b": 1}))
            for number, name in enumerate(names)
        ]
        await self.put(records, *messages)
        for message, name in zip(messages, names, strict=True):
            tagged: Condition = Is(("content", "metadata", name), "'%\\")
            await self.lists(records, of_thread(where=(tagged, Is(("role",), "user"))), [message])
            await self.lists(records, of_thread(where=(tagged, Is(("role",), "assistant"))), [])
            await self.lists(records, of_thread(where=(tagged, Is(("content", "metadata", "n"), 99))), [])

    @needs("filters", "pages")
    async def test_offset_and_cursor_count_what_meets_the_filter(self, records: Records) -> None:
        """Pages of a filtered list follow one another without gaps."""
        messages = [a_message(f"m{number}", created=number // 2, role="user" if number % 3 else "assistant") for number in range(12)]
        await self.put(records, *messages)
        users = [message for message in messages if message.role == "user"]
        where = (Is(("role",), "user"),)
        await self.lists(records, of_thread(where=where, offset=2, limit=3), users[2:5])
        await self.lists(records, of_thread(where=where, after=Cursor(at(2), ("m4",)), limit=2), users[3:5])

    @needs("filters", "open_paths")
    async def test_all_threads_can_be_filtered(self, records: Records) -> None:
        """Threads are found by metadata, whoever owns them."""
        threads = [
            a_thread(f"t{number}", resource_id=f"r{number}", metadata={"even": number % 2 == 0}, created=number) for number in range(6)
        ]
        await self.put(records, *threads)
        await self.lists(records, Query(THREADS, "all", at={}, where=(Is(("metadata", "even"), True),)), threads[::2])
        listed = (Contains(("metadata", "even"), ()),)
        await self.lists(records, Query(THREADS, "all", at={}, where=listed), [])


class WindowContract(ListingUnderTest):
    """A record with its neighbours."""

    @needs("window")
    async def test_a_window_has_exactly_the_neighbours_asked_for(self, records: Records) -> None:
        """What was said just before and after a message, ties included, clipped at the ends of the thread."""
        others = [a_message(f"x{number}", thread_id="u", created=number) for number in (0, 1)]
        await self.put(records, *random.Random(9).sample([*TIED, *others], len(TIED) + 2))
        for index, message in enumerate(TIED):
            for before, after in ((0, 0), (2, 0), (0, 3), (2, 2), (100, 100)):
                (found,) = await records.fetch(around(message.id, before=before, after=after))
                assert_same(found, TIED[max(0, index - before) : index + after + 1])

    @needs("window")
    async def test_a_window_around_a_missing_record_is_empty(self, records: Records) -> None:
        """A vector that outlived its message includes nothing."""
        await self.put(records, *TIED)
        missing = around("none", before=2, after=2)
        hinted = around("none", before=2, after=2, hint="t")
        assert await records.fetch(missing, hinted) == ([], [])

    @needs("window")
    async def test_a_hint_is_not_trusted(self, records: Records) -> None:
        """A message is found where it is, also when the caller believes it elsewhere."""
        await self.put(records, *TIED, a_message("x", thread_id="u"))
        for hint in ("t", "u", "none"):
            assert_same(await records.fetch(around(TIED[3].id, before=1, after=1, hint=hint)), [TIED[2:5]])

    @needs("window")
    async def test_several_windows_and_other_reads_go_in_one_fetch(self, records: Records) -> None:
        """Semantic recall reads all its hits, of several threads, in one batch."""
        other = [a_message(f"x{number}", thread_id="u", created=number) for number in range(3)]
        await self.put(records, *TIED, *other)
        answers = await records.fetch(
            around(TIED[1].id, before=1), of_thread("u", limit=1), around("x1", before=5, after=5), around(TIED[1].id, before=1)
        )
        assert_same(answers, [TIED[:2], other[:1], other, TIED[:2]])

    @needs("window", "filters")
    async def test_neighbours_are_those_that_meet_the_filter(self, records: Records) -> None:
        """A window scoped to a resource counts that resource's messages only, and is empty around another's."""
        messages = [a_message(f"m{number}", created=number, resource_id="r" if number % 3 == 0 else "other") for number in range(12)]
        await self.put(records, *messages)
        where = (Is(("resource_id",), "r"),)
        (found, none) = await records.fetch(around("m6", before=2, after=1, where=where), around("m7", before=2, after=2, where=where))
        assert_same(found, [messages[0], messages[3], messages[6], messages[9]])
        assert none == []

    @needs("window")
    async def test_a_window_may_be_along_another_path(self, records: Records) -> None:
        """Neighbours are those of the record's own place in the path asked for."""
        threads = [a_thread(f"t{number}", created=number) for number in range(5)]
        await self.put(records, *threads, a_thread("x", resource_id="other", created=2))

        async def look() -> object:
            (found,) = await records.fetch(Window(THREADS, "by_resource", around=("t2",), before=1, after=1))
            return found

        await self.shows(look, threads[1:4])
