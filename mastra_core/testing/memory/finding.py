"""Messages found by their ids, and those of a resource across its threads (semantics §2.4, §2.5, §2.9, §2.11, §2.12)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kinds import Message
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.memory.lists import tagged
from mastra_core.testing.memory.under_test import MemoryUnderTest
from mastra_core.testing.samples import AWKWARD_IDS, IN_ORDER, a_message, a_thread, at

BY_RESOURCE = "mastra_messages.by_resource"
LONG = 120
"""Messages of one call: more than any database that reads in steps takes in one."""

OF_R = [
    a_message(f"m{number:02}", thread_id="tuv"[number % 3], resource_id="r", created=number // 2) for number in range(12)
]  # fmt: skip
"""Messages of one resource, two an instant, in three threads."""


class ByIdContract(MemoryUnderTest):
    """Messages by their ids."""

    async def test_messages_are_found_by_id_oldest_first(self, memory: MemoryDomain) -> None:
        """From any threads, each once, in total order whatever the order asked; unknown ids are passed over."""
        tied = [a_message(name, thread_id="tu"[number % 2]) for number, name in enumerate(IN_ORDER)]
        for name in ("t", "u"):
            await self.fill(memory, *(message for message in tied if message.thread_id == name))
        await self.fill(memory, a_message("first", created=-1))
        asked = [*(message.id for message in tied), "none", "first", "first"]
        page = await memory.list_messages_by_id(random.Random(3).sample(asked, len(asked)))
        assert_same(page.items, [a_message("first", created=-1), *tied])
        assert (page.total, page.page, page.per_page, page.has_more) == (None, 0, None, False)
        assert (await memory.list_messages_by_id([])).items == ()

    async def test_any_number_of_ids_can_be_asked_for(self, memory: MemoryDomain) -> None:
        """A call takes more ids than the store reads at once, of any form."""
        said = [a_message(f"m{number:03}", created=number) for number in range(LONG)]
        await memory.save_thread(a_thread())
        await memory.save_messages(said, chunked=True)
        page = await memory.list_messages_by_id([message.id for message in said[::-1]] + [f"none{number}" for number in range(LONG)])
        assert_same(page.items, said)
        odd = [a_message(name, created=number) for number, name in enumerate(AWKWARD_IDS)]
        await memory.save_messages(odd, chunked=True)
        assert_same((await memory.list_messages_by_id(AWKWARD_IDS)).items, odd)

    @pytest.mark.parametrize("wrong, told", [("m", "message_ids"), (["m", ""], "id"), (["m", 7], "id")], ids=ascii)
    async def test_ids_that_make_no_sense_are_refused(self, memory: MemoryDomain, wrong: Any, told: str) -> None:
        """One text instead of a list, or a blank id, is an error and no empty page."""
        with pytest.raises(InvalidInputError, match=told):
            await memory.list_messages_by_id(wrong)


class ByResourceContract(MemoryUnderTest):
    """Messages attributed to a resource, of all its threads."""

    async def said(self, memory: MemoryDomain) -> None:
        """Save OF_R, among messages of others in the same threads and of others' threads."""
        for name in "tuv":
            others = [a_message(f"x{name}{number}", thread_id=name, resource_id="R", created=number) for number in range(6)]
            await self.fill(memory, *others, *(message for message in OF_R if message.thread_id == name))
        await self.fill(memory, a_message("y", thread_id="other", resource_id="other"), thread=a_thread("other", resource_id="other"))

    async def gives(self, memory: MemoryDomain, expected: Sequence[Message], *, more: bool = False, **options: Any) -> None:
        """Assert that the list of r has these messages; patiently where it may lag."""

        async def look() -> object:
            page = await memory.list_messages_by_resource_id("r", **options)
            return page.items, page.has_more

        await self.shows(look, (list(expected), more))

    @needs(BY_RESOURCE, "count")
    async def test_messages_of_a_resource_come_from_all_threads_in_order(self, memory: MemoryDomain) -> None:
        """What was said by or for somebody reads as one list, oldest first or newest first; others' messages are left out."""
        await self.said(memory)
        await self.gives(memory, OF_R)
        await self.gives(memory, OF_R, order_by={"field": "created_at"})
        await self.gives(memory, OF_R[::-1], order_by={"direction": "DESC"}, per_page=None)
        nobody = await memory.list_messages_by_resource_id("nobody", include_total=True)
        assert (nobody.items, nobody.total, nobody.has_more) == ((), 0, False)

    @needs(BY_RESOURCE, "pages", "count")
    async def test_pages_of_a_resource_follow_one_another(self, memory: MemoryDomain) -> None:
        """Pages leave nothing out and show nothing twice; total and has_more are right at the exact end too."""
        await self.said(memory)
        await self.gives(memory, OF_R)
        for number in range(4):
            await self.gives(memory, OF_R[number * 4 : number * 4 + 4], more=number < 2, page=number, per_page=4)
        newest = await memory.list_messages_by_resource_id("r", per_page=5, order_by={"direction": "DESC"}, include_total=True)
        assert_same((newest.items, newest.total, newest.page, newest.per_page), (OF_R[:6:-1], 12, 0, 5))
        nothing = await memory.list_messages_by_resource_id("r", per_page=0)
        assert (nothing.items, nothing.total, nothing.has_more) == ((), 0, False)

    @needs(BY_RESOURCE, "filters", "span")
    async def test_messages_of_a_resource_can_be_filtered(self, memory: MemoryDomain) -> None:
        """By metadata, typed, and between two instants with or without the ends."""
        values = [1, "1", True, None, 2, 1]
        messages = [tagged(f"m{number}", value, created=number) for number, value in enumerate(values)]
        await self.fill(memory, *messages)
        await self.gives(memory, [messages[0], messages[5]], filter={"metadata": {"tag": 1}})
        await self.gives(memory, [messages[3]], filter={"metadata": {"tag": None}})
        await self.gives(memory, messages[1:4], filter={"date_range": {"start": at(1), "end": at(3)}})
        ends = {"start": at(1), "end": at(3), "start_exclusive": True, "end_exclusive": True}
        await self.gives(memory, messages[2:3], filter={"date_range": ends})
        await self.gives(memory, messages[5:], filter={"date_range": {"start": at(1)}, "metadata": {"tag": 1}})

    @needs(BY_RESOURCE, "window", "filters")
    async def test_neighbours_in_a_list_of_a_resource_are_of_that_resource(self, memory: MemoryDomain) -> None:
        """A window is of the message's own thread, and shows nobody else's words."""
        await self.said(memory)
        of_u = [message for message in OF_R if message.thread_id == "u"]
        wanted = [{"id": of_u[1].id, "with_previous_messages": 1, "with_next_messages": 1}]
        await self.gives(memory, of_u[:3], include=wanted, per_page=0)
        await self.gives(memory, [], include=[{"id": "xu1", "with_previous_messages": 1, "with_next_messages": 1}], per_page=0)
        await self.gives(memory, [OF_R[0], *of_u[:3]], more=True, include=wanted, per_page=1)

    @needs(BY_RESOURCE, "moves")
    async def test_messages_follow_a_thread_to_its_new_owner(self, memory: MemoryDomain) -> None:
        """What belonged to the old owner is listed for the new one."""
        await self.fill(memory, *(a_message(f"m{number}", resource_id="q", created=number) for number in range(3)))
        await memory.update_thread_resource_id("t", resource_id="r")
        await self.gives(memory, [a_message(f"m{number}", created=number) for number in range(3)])

        async def left() -> object:
            return (await memory.list_messages_by_resource_id("q")).items

        await self.shows(left, [])

    @pytest.mark.parametrize(
        "wrong, told",
        [
            ({"resource_id": ""}, "resource_id"),
            ({"per_page": -1}, "perPage must be >= 0"),
            ({"order_by": {"field": "updated_at"}}, "cannot order by 'updated_at'"),
            ({"filter": {"resource_id": "r"}}, "unknown key 'resource_id'"),
            ({"filter": {"date_range": {"end": at(0).replace(tzinfo=None)}}}, "naive"),
            ({"include": [{"id": ""}]}, "include.id"),
        ],
        ids=lambda value: ascii(value)[:50],
    )
    async def test_an_option_of_a_list_of_a_resource_that_makes_no_sense_is_refused(
        self, memory: MemoryDomain, wrong: Mapping[str, Any], told: str
    ) -> None:
        """A misspelt or impossible option is an error with the mend, never another list."""
        options = dict(wrong)
        with pytest.raises(InvalidInputError) as caught:
            await memory.list_messages_by_resource_id(options.pop("resource_id", "r"), **options)
        assert told in str(caught.value)
