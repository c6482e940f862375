"""Saving messages: turns, upserts, moves, times, limits and many savers at once (semantics §2.2 to §2.7, §2.16 to §2.18)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError, OwnershipError, ThreadNotFoundError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.memory.under_test import MemoryUnderTest, moments, undated
from mastra_core.testing.samples import ANY_UNICODE, AWKWARD_IDS, JSON_VALUES, a_message, a_thread, at

SAVERS = 32


class TurnContract(MemoryUnderTest):
    """What an agent run writes and reads."""

    async def test_a_turn_creates_its_thread_and_answers_its_messages(self, memory: MemoryDomain) -> None:
        """One call stores a first conversation whole; the answer has the order given."""
        given = [a_message("m2", created=2, role="assistant"), a_message("m1", created=1)]
        answered = await memory.save_turn(thread=a_thread(title="Hello", metadata={"a": []}), messages=given)
        assert_same(answered, given)
        await self.holds(memory, "t", *given[::-1])
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert_same((thread.title, thread.metadata, thread.created_at), ("Hello", {"a": []}, at(0)))

    async def test_a_turn_changes_nothing_of_a_thread_but_its_last_change(self, memory: MemoryDomain) -> None:
        """Title, metadata and created_at of a stored thread stay; updated_at becomes now."""
        old = await memory.save_thread(a_thread(title="mine", metadata={"a": 1}))
        before = clock.now()
        await memory.save_turn(thread=a_thread(title="other", created=9), messages=[a_message()])
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert_same(attrs.evolve(thread, updated_at=old.updated_at), old)
        assert before <= thread.updated_at <= clock.now()

    async def test_a_last_change_never_goes_back(self, memory: MemoryDomain) -> None:
        """A thread whose updated_at lies ahead keeps it."""
        ahead = clock.now() + 3_600_000 * clock.MILLISECOND
        await memory.save_thread(attrs.evolve(a_thread(), updated_at=ahead))
        await memory.save_turn(thread=a_thread(), messages=[a_message()])
        await memory.save_messages([a_message("n")])
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert_same(thread.updated_at, ahead)

    async def test_messages_of_a_turn_get_the_threads_owner(self, memory: MemoryDomain) -> None:
        """A message that says nothing about its owner is the thread's; one that does keeps it."""
        answered = await memory.save_turn(thread=a_thread(), messages=[a_message("m1", resource_id=None), a_message("m2", resource_id="x")])
        assert [message.resource_id for message in answered] == ["r", "x"]
        await self.holds(memory, "t", a_message("m1"), a_message("m2", resource_id="x"))

    async def test_a_turn_in_anothers_thread_is_refused_whole(self, memory: MemoryDomain) -> None:
        """Nobody writes into another's thread, not even one message."""
        theirs = await memory.save_thread(a_thread(resource_id="ada"))
        with pytest.raises(OwnershipError, match="Thread with id t is for resource with id ada but resource bob was queried"):
            await memory.save_turn(thread=a_thread(resource_id="bob"), messages=[a_message("m1"), a_message("m2")])
        await self.holds(memory, "t")
        assert_same(await memory.get_thread_by_id("t"), theirs)

    async def test_a_thread_deleted_meanwhile_is_not_resurrected(self, memory: MemoryDomain) -> None:
        """A run that had read its thread learns that it is gone, and leaves nothing behind."""
        with pytest.raises(ThreadNotFoundError, match="Thread t not found"):
            await memory.save_turn(thread=a_thread(), messages=[a_message()], existed=True)
        assert await memory.get_thread_by_id("t") is None
        await self.holds(memory, "t")
        await memory.save_thread(a_thread())
        await memory.save_turn(thread=a_thread(), messages=[a_message()], existed=True)
        await self.holds(memory, "t", a_message())

    async def test_a_turn_of_two_threads_is_refused(self, memory: MemoryDomain) -> None:
        """A message of another thread in a turn is a mistake, not a move."""
        with pytest.raises(InvalidInputError, match="save_messages"):
            await memory.save_turn(thread=a_thread(), messages=[a_message(thread_id="u")])
        assert await memory.get_thread_by_id("t") is None

    async def test_a_turn_may_have_no_messages(self, memory: MemoryDomain) -> None:
        """A thread can be opened before anything is said."""
        assert await memory.save_turn(thread=a_thread(title="empty"), messages=[]) == ()
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert thread.title == "empty"

    async def test_a_run_reads_the_newest_messages_oldest_first(self, memory: MemoryDomain) -> None:
        """A run gets its thread and the last N messages in one read, in the order they were said."""
        await self.fill(memory, *(a_message(f"m{number:02}", created=number) for number in range(14)))
        turn = await memory.read_turn("t", resource_id="r", last=10)
        assert_same(turn.messages, [a_message(f"m{number:02}", created=number) for number in range(4, 14)])
        assert turn.thread is not None
        assert turn.thread.id == "t"
        nothing = await memory.read_turn("t", resource_id="r", last=0)
        assert nothing.messages == ()
        unknown = await memory.read_turn("none", resource_id="r", last=10, with_resource=True)
        assert (unknown.thread, unknown.messages, unknown.resource) == (None, (), None)

    async def test_a_run_in_anothers_thread_is_refused(self, memory: MemoryDomain) -> None:
        """Another's history is never put before a model."""
        await self.fill(memory, a_message(), thread=a_thread(resource_id="ada"))
        with pytest.raises(OwnershipError, match="Thread with id t is for resource with id ada but resource bob was queried"):
            await memory.read_turn("t", resource_id="bob", last=10)


class MessageContract(MemoryUnderTest):
    """Messages of stored threads."""

    async def test_messages_come_back_equal(self, memory: MemoryDomain) -> None:
        """Content keeps all JSON and any Unicode, U+0000 and lone surrogates included."""
        parts = [{"type": "text", "text": text} for text in ANY_UNICODE.values()]
        message = a_message(content={"format": 2, "parts": parts, "metadata": {**JSON_VALUES, **ANY_UNICODE}}, role="assistant")
        await memory.save_thread(a_thread())
        assert_same(await memory.save_messages([message]), [message])
        await self.holds(memory, "t", message)

    async def test_any_message_id_works(self, memory: MemoryDomain) -> None:
        """Ids are the caller's strings, with any characters, up to 255 of them."""
        await memory.save_thread(a_thread())
        messages = [a_message(name, resource_id=name, created=number) for number, name in enumerate(AWKWARD_IDS)]
        await memory.save_messages(messages[:30])
        await memory.save_messages(messages[30:])
        await self.holds(memory, "t", *messages)

    async def test_a_message_saved_again_keeps_its_place(self, memory: MemoryDomain) -> None:
        """An upsert by id changes content and role, not created_at, and doubles nothing."""
        await self.fill(memory, *(a_message(f"m{number}", created=number) for number in range(3)))
        new = a_message("m1", created=77, role="assistant", content={"format": 2, "parts": []})
        kept = attrs.evolve(new, created_at=at(1))
        assert_same(await memory.save_messages([new]), [kept])
        await self.holds(memory, "t", a_message("m0"), kept, a_message("m2", created=2))

    async def test_a_message_of_a_thread_that_does_not_exist_is_refused(self, memory: MemoryDomain) -> None:
        """Messages are never stored where nobody finds them."""
        with pytest.raises(ThreadNotFoundError, match="Thread t not found"):
            await memory.save_messages([a_message()])
        await self.holds(memory, "t")

    @needs("atomic")
    async def test_messages_of_several_threads_are_saved_in_one_step(self, memory: MemoryDomain) -> None:
        """All are stored and answered in the order given, or, if one thread is missing, none."""
        for name in ("t1", "t2"):
            await memory.save_thread(a_thread(name))
        given = [a_message("m2", thread_id="t2"), a_message("m1", thread_id="t1"), a_message("m3", thread_id="t2", created=1)]
        with pytest.raises(ThreadNotFoundError, match="Thread t3 not found"):
            await memory.save_messages([*given, a_message("m4", thread_id="t3")])
        await self.holds(memory, "t1")
        await self.holds(memory, "t2")
        assert_same(await memory.save_messages(given), given)
        await self.holds(memory, "t1", given[1])
        await self.holds(memory, "t2", given[0], given[2])

    async def test_saving_messages_marks_their_thread_as_changed(self, memory: MemoryDomain) -> None:
        """updated_at of the thread becomes now; saving nothing changes nothing."""
        before = await memory.save_thread(a_thread(title="mine"))
        assert await memory.save_messages([]) == ()
        assert_same(await memory.get_thread_by_id("t"), before)
        start = clock.now()
        await memory.save_messages([a_message()])
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert start <= thread.updated_at <= clock.now()
        assert_same(attrs.evolve(thread, updated_at=before.updated_at), before)

    @pytest.mark.parametrize(
        "wrong, named",
        [
            ({"resource_id": None}, "resource_id"),
            ({"id": ""}, "id"),
            ({"id": "x" * 256}, "255"),
            ({"id": "a\0"}, r"U\+0000"),
            ({"content": {"format": 2, "parts": [float("nan")]}}, "content"),
            ({"content": {"format": 2, "parts": [b"bytes"]}}, "content"),
            ({"created_at": at(0).replace(tzinfo=None)}, "naive"),
            ({"role": "\ud800"}, "role"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_what_cannot_be_kept_is_refused_whole(self, memory: MemoryDomain, wrong: Mapping[str, Any], named: str) -> None:
        """One message that would not come back equal refuses the whole call, and names what is wrong."""
        before = await memory.save_thread(a_thread())
        with pytest.raises(InvalidInputError, match=named):
            await memory.save_messages([a_message("m1"), attrs.evolve(a_message("m2"), **wrong)])
        await self.holds(memory, "t")
        assert_same(await memory.get_thread_by_id("t"), before)

    @needs("moves", "decide")
    async def test_a_message_saved_under_another_thread_moves_there(self, memory: MemoryDomain) -> None:
        """A message is in one thread only; both threads are marked as changed."""
        await self.fill(memory, a_message("m1"), a_message("m2", created=1))
        await memory.save_thread(a_thread("u"))
        start = clock.now()
        moved = a_message("m1", thread_id="u")
        assert_same(await memory.save_messages([a_message("m1", thread_id="u", created=9)]), [moved])
        await self.holds(memory, "t", a_message("m2", created=1))
        await self.holds(memory, "u", moved)
        for name in ("t", "u"):
            thread = await memory.get_thread_by_id(name)
            assert thread is not None
            assert thread.updated_at >= start

    async def test_more_messages_than_the_store_writes_at_once_are_refused_or_written_whole(self, memory: MemoryDomain) -> None:
        """A call is all or nothing; over the store's limit it is refused with the limit and the alternative."""
        limit = memory.records.engine.max_atomic
        await memory.save_thread(a_thread())
        messages = [a_message(f"m{number:03}", created=number) for number in range(150 if limit is None else limit)]
        if limit is None:
            assert_same(await memory.save_messages(messages), messages)
            await self.holds(memory, "t", *messages)
            return
        with pytest.raises(InvalidInputError, match="chunked=True") as caught:
            await memory.save_messages(messages)
        assert str(limit - 1) in str(caught.value)
        await self.holds(memory, "t")
        assert_same(await memory.save_messages(messages[:-1]), messages[:-1])
        await self.holds(memory, "t", *messages[:-1])

    async def test_any_number_of_messages_can_be_saved_in_chunks_and_again(self, memory: MemoryDomain) -> None:
        """chunked=True writes a long history, and a repetition changes nothing."""
        await memory.save_thread(a_thread())
        messages = [a_message(f"m{number:03}", created=number) for number in range(230)]
        for _ in range(2):
            assert_same(await memory.save_messages(messages[::-1], chunked=True), messages[::-1])
        await self.holds(memory, "t", *messages)

    @needs("decide")
    async def test_deleted_messages_are_gone_and_their_thread_is_marked(self, memory: MemoryDomain) -> None:
        """Deleting is idempotent, passes over unknown ids, and marks the thread as changed."""
        await self.fill(memory, *(a_message(f"m{number}", created=number) for number in range(4)))
        await memory.save_thread(a_thread())
        start = clock.now()
        for _ in range(2):
            await memory.delete_messages(["m1", "none", "m3", "m1"])
        await memory.delete_messages([])
        await self.holds(memory, "t", a_message("m0"), a_message("m2", created=2))
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert thread.updated_at >= start


class TimeContract(MemoryUnderTest):
    """Messages that leave their time to the store, and many savers."""

    async def test_undated_messages_are_1_ms_apart_in_the_order_given(self, memory: MemoryDomain) -> None:
        """What was said in a run is read in the order it was said."""
        start = clock.now()
        names = ["z", "m", "a", "9", "10"]
        answered = await memory.save_turn(thread=a_thread(), messages=[undated(name) for name in names])
        times = moments(answered)
        assert [later - earlier for earlier, later in itertools.pairwise(times)] == [clock.MILLISECOND] * 4
        assert times[0] >= start
        await self.holds(memory, "t", *answered)
        assert [message.id for message in answered] == names

    async def test_undated_messages_come_after_all_that_was_read(self, memory: MemoryDomain) -> None:
        """An answer never sorts before its question, also when the question's clock runs ahead."""
        ahead = attrs.evolve(a_message("question"), created_at=clock.now() + 3_600_000 * clock.MILLISECOND)
        await self.fill(memory, ahead)
        await memory.read_turn("t", resource_id="r", last=10)
        answered = await memory.save_turn(thread=a_thread(), messages=[undated("b"), undated("a")])
        assert ahead.created_at is not None
        assert_same(moments(answered), [ahead.created_at + clock.MILLISECOND, ahead.created_at + 2 * clock.MILLISECOND])
        await self.holds(memory, "t", ahead, *answered)

    async def test_undated_messages_of_turns_after_one_another_keep_their_order(self, memory: MemoryDomain) -> None:
        """Ten quick turns read back as they were said."""
        said = [f"{prefix}{number}" for number in range(10) for prefix in ("u", "a")]
        for index in range(0, 20, 2):
            await memory.save_turn(thread=a_thread(), messages=[undated(name) for name in said[index : index + 2]])
        page = await memory.list_messages("t")
        assert [message.id for message in page] == said

    async def test_concurrent_turns_on_one_thread_lose_nothing(self, memory: MemoryDomain) -> None:
        """32 savers on one thread: every message is there once, each pair in its order."""
        pairs = [(f"u{saver:02}", f"a{saver:02}") for saver in range(SAVERS)]
        await asyncio.gather(*(memory.save_turn(thread=a_thread(), messages=[undated(name) for name in pair]) for pair in pairs))
        page = await memory.list_messages("t", per_page=None)
        listed = [message.id for message in page]
        assert sorted(listed) == sorted(name for pair in pairs for name in pair)
        assert [pair for pair in pairs if listed.index(pair[0]) > listed.index(pair[1])] == []

    async def test_concurrent_saves_of_messages_lose_nothing(self, memory: MemoryDomain) -> None:
        """32 callers of save_messages on one thread do not undo one another."""
        await memory.save_thread(a_thread())
        messages = [a_message(f"m{saver:02}", created=saver) for saver in range(SAVERS)]
        await asyncio.gather(*(memory.save_messages([message]) for message in messages))
        await self.holds(memory, "t", *messages)
