"""Whole threads: cloned, given to another owner, emptied and cleared (semantics §2.9, §2.10, §2.13)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import ConflictError, InvalidInputError, OwnershipError, ThreadNotFoundError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.domains.threads import CloneOptions
from mastra_core.storage.records.kinds import Message
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.memory.under_test import MemoryUnderTest
from mastra_core.testing.samples import ANY_UNICODE, JSON_VALUES, a_message, a_resource, a_thread, at

SAVERS = 8
TURNS = 6
LONG = 120
"""Messages of one call: more than any database that writes in steps takes in one."""


class CloneContract(MemoryUnderTest):
    """Copies of threads."""

    async def copied(self, memory: MemoryDomain, thread_id: str, *expected: Message, owner: str = "r") -> None:
        """Assert that the thread has copies of these messages, in their order, under new ids."""
        found = (await memory.list_messages(thread_id, per_page=None)).items
        assert_same(found, [attrs.evolve(one, id=two.id, thread_id=thread_id, resource_id=owner) for one, two in _pairs(expected, found)])
        assert not {message.id for message in found} & {message.id for message in expected}
        assert_same((await memory.list_messages_by_id([message.id for message in found])).items, found)

    async def test_a_clone_is_a_thread_of_its_own_with_all_messages(self, memory: MemoryDomain) -> None:
        """Content, role and date are the same, ties keep their order; title, owner and metadata say where it comes from."""
        said = [a_message(f"m{number:02}", created=number // 5, role="user" if number % 2 else "assistant") for number in range(25)]
        odd = a_message("odd", resource_id="x", created=9, content={"format": 2, "parts": [], "metadata": {**JSON_VALUES, **ANY_UNICODE}})
        await self.fill(memory, *said, odd, thread=a_thread(title="T", metadata={"mine": 1}))
        start = clock.now()
        clone = await memory.clone_thread("t", new_thread_id="c")
        assert (clone.count, clone.thread.id, clone.thread.title, clone.thread.resource_id) == (26, "c", "Clone of T", "r")
        assert start <= clone.thread.created_at == clone.thread.updated_at <= clock.now()
        origin = {"sourceThreadId": "t", "clonedAt": clock.to_text(clone.thread.created_at), "lastMessageId": "odd"}
        assert_same(clone.thread.metadata, {"clone": origin})
        assert_same(await memory.get_thread_by_id("c"), clone.thread)
        await self.copied(memory, "c", *said, odd)
        await self.holds(memory, "t", *said, odd)

    @needs("purge")
    async def test_a_clone_does_not_depend_on_its_source(self, memory: MemoryDomain) -> None:
        """The copy stays when the source is deleted, and can itself be cloned."""
        await self.fill(memory, a_message("m1"), a_message("m2", created=1))
        first = await memory.clone_thread("t")
        await memory.delete_thread("t")
        second = await memory.clone_thread(first.thread.id)
        assert (second.count, second.thread.title) == (2, "")
        for clone in (first, second):
            await self.copied(memory, clone.thread.id, a_message("m1"), a_message("m2", created=1))

    async def test_a_clone_may_have_another_owner_title_and_metadata(self, memory: MemoryDomain) -> None:
        """The messages are the new owner's; what is given takes the place of the source's."""
        await self.fill(memory, a_message(), thread=a_thread(title="T"))
        clone = await memory.clone_thread("t", resource_id="other", title="Mine", metadata={"a": [1], "clone": "hidden"})
        assert (clone.thread.title, clone.thread.resource_id) == ("Mine", "other")
        assert clone.thread.metadata is not None
        assert_same(clone.thread.metadata["a"], [1])
        assert_same(clone.thread.metadata["clone"]["sourceThreadId"], "t")
        assert_same(await memory.get_thread_by_id(clone.thread.id, resource_id="other"), clone.thread)
        await self.copied(memory, clone.thread.id, a_message(), owner="other")

    @needs("span")
    async def test_a_clone_takes_the_messages_it_is_asked_for(self, memory: MemoryDomain) -> None:
        """By date and by id, and the newest of those; the dates belong to the range."""
        said = [a_message(f"m{number}", created=number) for number in range(9)]
        await self.fill(memory, *said)
        ids = ["m1", "m3", "m5", "m7", "none"]
        asked: tuple[tuple[CloneOptions, list[Message]], ...] = (
            ({"message_limit": 3}, said[6:]),
            ({"message_limit": 99}, said),
            ({"message_limit": 0}, []),
            ({"message_filter": {"start_date": at(2), "end_date": at(7)}}, said[2:8]),
            ({"message_filter": {"message_ids": ids}}, said[1:8:2]),
            ({"message_filter": {"start_date": at(2), "end_date": at(7), "message_ids": ids}, "message_limit": 2}, [said[5], said[7]]),
            ({"message_filter": {"message_ids": []}}, []),
        )
        for options, expected in asked:
            clone = await memory.clone_thread("t", options=options)
            assert clone.count == len(expected), options
            await self.copied(memory, clone.thread.id, *expected)
            assert clone.thread.metadata is not None
            assert clone.thread.metadata["clone"].get("lastMessageId") == (expected[-1].id if expected else None)

    async def test_a_clone_of_nothing_or_onto_something_is_refused(self, memory: MemoryDomain) -> None:
        """A missing source is named; a thread that exists is never overwritten or added to."""
        await self.fill(memory, a_message())
        await self.fill(memory, a_message("x", thread_id="u"))
        with pytest.raises(ThreadNotFoundError, match="Source thread with id nope not found"):
            await memory.clone_thread("nope", new_thread_id="c")
        assert await memory.get_thread_by_id("c") is None
        with pytest.raises(ConflictError, match="Thread with id u already exists"):
            await memory.clone_thread("t", new_thread_id="u")
        await self.holds(memory, "u", a_message("x", thread_id="u"))

    async def test_of_clones_onto_one_id_one_wins_whole(self, memory: MemoryDomain) -> None:
        """However many try at once, the thread has each message once, and the others are refused."""
        said = [a_message(f"m{number}", created=number) for number in range(5)]
        await self.fill(memory, *said)
        clones = await asyncio.gather(*(memory.clone_thread("t", new_thread_id="c") for _ in range(8)), return_exceptions=True)
        refused = [clone for clone in clones if isinstance(clone, ConflictError)]
        (won,) = [clone for clone in clones if not isinstance(clone, BaseException)]
        assert len(refused) == len(clones) - 1, clones
        assert_same(await memory.get_thread_by_id("c"), won.thread)
        await self.copied(memory, "c", *said)

    @pytest.mark.parametrize(
        "wrong, told",
        [
            ({"messageLimit": 1}, "Did you mean 'message_limit'"),
            ({"message_limit": -1}, "message_limit must be >= 0"),
            ({"message_filter": {"startDate": at(0)}}, "Did you mean 'start_date'"),
            ({"message_filter": {"start_date": at(0).replace(tzinfo=None)}}, "naive"),
            ({"message_filter": {"message_ids": "m1"}}, "message_ids"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_an_option_of_a_clone_that_makes_no_sense_is_refused(
        self, memory: MemoryDomain, wrong: Mapping[str, Any], told: str
    ) -> None:
        """A misspelt or impossible option is an error with the mend, and no thread is made."""
        await self.fill(memory, a_message("m1"))
        with pytest.raises(InvalidInputError) as caught:
            await memory.clone_thread("t", new_thread_id="c", options=wrong)  # type: ignore[arg-type]  # the mistake to refuse
        assert told in str(caught.value)
        assert await memory.get_thread_by_id("c") is None
        await self.holds(memory, "c")


class OwnerContract(MemoryUnderTest):
    """Threads that change hands, and what is removed for good."""

    @needs("moves")
    async def test_a_thread_changes_its_owner_with_all_its_messages(self, memory: MemoryDomain) -> None:
        """The old owner finds nothing of it any more, the new one all of it; it may be repeated, and a missing thread is named."""
        said = [a_message(f"m{number:03}", resource_id="x" if number % 9 == 0 else "r", created=number) for number in range(LONG)]
        before = await memory.save_thread(a_thread(title="T", metadata={"a": 1}))
        await memory.save_messages(said, chunked=True)
        await self.fill(memory, a_message("stays", thread_id="u"))
        start = clock.now()
        await memory.update_thread_resource_id("t", resource_id="s")
        moved = await memory.update_thread_resource_id("t", resource_id="s")
        assert_same(moved, attrs.evolve(before, resource_id="s", updated_at=moved.updated_at))
        assert start <= moved.updated_at <= clock.now()
        assert_same(await memory.get_thread_by_id("t", resource_id="s"), moved)
        assert await memory.get_thread_by_id("t", resource_id="r") is None
        await self.holds(memory, "t", *(attrs.evolve(message, resource_id="s") for message in said))
        await self.holds(memory, "u", a_message("stays", thread_id="u"))
        with pytest.raises(OwnershipError, match="Thread with id t is for resource with id s but resource r was queried"):
            await memory.save_turn(thread=a_thread(), messages=[a_message("late")])
        with pytest.raises(ThreadNotFoundError, match='Thread "nope" not found'):
            await memory.update_thread_resource_id("nope", resource_id="s")
        assert await memory.get_thread_by_id("nope") is None
        await self.shows(lambda: _threads_of(memory, "s"), ["t"])
        await self.shows(lambda: _threads_of(memory, "r"), ["u"])

    @needs("moves")
    async def test_turns_saved_while_a_thread_changes_hands_are_the_new_owners_or_refused(self, memory: MemoryDomain) -> None:
        """No message stays behind with the old owner."""
        await self.fill(memory, *(a_message(f"old{number:02}", created=number) for number in range(30)))

        saved: list[int] = []

        async def talk(saver: int) -> None:
            for number in range(saver, saver + TURNS * SAVERS, SAVERS):
                try:
                    await memory.save_turn(thread=a_thread(), messages=[a_message(f"new{number:03}", created=100 + number)])
                except OwnershipError:
                    return
                saved.append(number)

        await asyncio.gather(*map(talk, range(SAVERS)), memory.update_thread_resource_id("t", resource_id="s"))
        found = (await memory.list_messages("t", per_page=None)).items
        assert [message.id for message in found if message.resource_id != "s"] == []
        assert [message.id for message in found] == [f"old{number:02}" for number in range(30)] + [f"new{n:03}" for n in sorted(saved)]

    @needs("decide")
    async def test_any_number_of_messages_can_be_deleted(self, memory: MemoryDomain) -> None:
        """A call takes more messages than the store writes at once, and leaves the others."""
        said = [a_message(f"m{number:03}", created=number) for number in range(LONG + 2)]
        await memory.save_thread(a_thread())
        await memory.save_messages(said, chunked=True)
        await memory.delete_messages([message.id for message in said[1:-1]])
        await self.holds(memory, "t", said[0], said[-1])
        assert (await memory.list_messages_by_id([said[1].id, said[-2].id])).items == ()

    @needs("scan")
    async def test_clearing_leaves_nothing(self, memory: MemoryDomain) -> None:
        """Threads, messages and resources are gone from every list and by id, and the store works on."""
        for name in ("t", "u"):
            await self.fill(memory, *(a_message(f"{name}{number}", thread_id=name, created=number) for number in range(30)))
        await memory.save_resource(a_resource())
        await memory.dangerously_clear_all()
        await self.shows(lambda: _threads_of(memory, "r"), [])
        for name in ("t", "u"):
            assert await memory.get_thread_by_id(name) is None
            await self.holds(memory, name)
        assert await memory.get_resource_by_id("r") is None
        assert (await memory.list_messages_by_id(["t0", "u29"])).items == ()
        await memory.dangerously_clear_all()
        await self.fill(memory, a_message())
        await self.holds(memory, "t", a_message())


async def _threads_of(memory: MemoryDomain, resource_id: str) -> list[str]:
    page = await memory.list_threads(filter={"resource_id": resource_id}, include_total=False)
    return [thread.id for thread in page]


def _pairs(expected: tuple[Message, ...], found: tuple[Message, ...]) -> list[tuple[Message, Message]]:
    assert len(found) == len(expected), f"{len(found)} messages were copied, expected {len(expected)}: {[m.id for m in found]}"
    return list(zip(expected, found, strict=True))
