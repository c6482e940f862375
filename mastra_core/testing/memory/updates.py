"""Changing in part what is stored: threads and messages, by many at once (semantics §2.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError, ThreadNotFoundError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.memory.under_test import MemoryUnderTest
from mastra_core.testing.samples import ANY_UNICODE, JSON_VALUES, a_message, a_thread

CALLERS = 32
LONG = 120
"""Messages of one call: more than any database that writes in steps takes in one."""


def noted(id: str, *, created: int = 0, **metadata: Json) -> Message:
    """A message with a part and *metadata*."""
    content = {"format": 2, "parts": [{"type": "text", "text": f"I am {id}"}], "metadata": metadata}
    return a_message(id, created=created, content=content)


def laid_over(message: Message, laid: Mapping[str, Json]) -> Message:
    """*message* with *laid* over its metadata."""
    return attrs.evolve(message, content={**message.content, "metadata": {**message.content["metadata"], **laid}})


class ThreadUpdateContract(MemoryUnderTest):
    """Title and metadata of one thread."""

    @needs("merge")
    async def test_an_update_of_a_thread_keeps_what_it_does_not_name(self, memory: MemoryDomain) -> None:
        """The title stays when only metadata is given, and the other way round; metadata is laid over one level deep."""
        before = await memory.save_thread(a_thread(title="T", metadata={"a": {"x": 1}, "b": [1], "c": None}))
        start = clock.now()
        updated = await memory.update_thread("t", metadata={"a": {"y": 2}, "b": None, "d": []})
        expected = attrs.evolve(before, metadata={"a": {"y": 2}, "b": None, "c": None, "d": []}, updated_at=updated.updated_at)
        assert_same(updated, expected)
        assert start <= updated.updated_at <= clock.now()
        assert_same(await memory.get_thread_by_id("t"), expected)
        renamed = await memory.update_thread("t", title="")
        assert_same(renamed, attrs.evolve(expected, title="", updated_at=renamed.updated_at))
        assert_same(await memory.get_thread_by_id("t", resource_id="r"), renamed)
        assert_same((await memory.update_thread("t")).metadata, expected.metadata)

    @needs("merge")
    async def test_metadata_laid_over_comes_back_equal(self, memory: MemoryDomain) -> None:
        """Every JSON value survives a merge, the ones that were there and the new ones."""
        await memory.save_thread(a_thread(metadata=JSON_VALUES))
        assert_same((await memory.update_thread("t", metadata={"new": 1})).metadata, {**JSON_VALUES, "new": 1})
        await memory.save_thread(a_thread(metadata={"old": {"nested.key": [1.5, None]}}))
        assert_same((await memory.update_thread("t", metadata=JSON_VALUES)).metadata, {"old": {"nested.key": [1.5, None]}, **JSON_VALUES})
        await memory.save_thread(a_thread(metadata=None))
        assert_same((await memory.update_thread("t", metadata={})).metadata, {})
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert_same(thread.metadata, {})

    async def test_an_update_never_turns_a_last_change_back(self, memory: MemoryDomain) -> None:
        """A thread whose updated_at lies ahead keeps it when it is renamed."""
        ahead = clock.now() + 3_600_000 * clock.MILLISECOND
        await memory.save_thread(attrs.evolve(a_thread(), updated_at=ahead))
        assert_same((await memory.update_thread("t", title="x")).updated_at, ahead)

    async def test_an_update_of_a_thread_that_does_not_exist_is_refused(self, memory: MemoryDomain) -> None:
        """An update creates nothing, and names the thread that is missing."""
        with pytest.raises(ThreadNotFoundError, match="Thread nope not found"):
            await memory.update_thread("nope", title="x")
        assert await memory.get_thread_by_id("nope") is None

    @needs("merge")
    async def test_an_update_of_a_thread_that_cannot_be_kept_is_refused_whole(self, memory: MemoryDomain) -> None:
        """A value that would not come back equal changes nothing, and the refusal names it."""
        before = await memory.save_thread(a_thread(title="as it was", metadata={"a": 1}))
        with pytest.raises(InvalidInputError, match="title"):
            await memory.update_thread("t", title="a\0b")
        for value in (float("nan"), "\ud800", "\0", {1, 2}):
            with pytest.raises(InvalidInputError, match="metadata"):
                await memory.update_thread("t", title="new", metadata={"a": [value]})
        assert_same(await memory.get_thread_by_id("t"), before)

    @needs("merge")
    async def test_concurrent_updates_of_a_thread_lose_nothing(self, memory: MemoryDomain) -> None:
        """32 callers that each add a key all find it there; a turn and a new title meanwhile undo none."""
        await memory.save_thread(a_thread(metadata={"first": True}))
        await asyncio.gather(
            *(memory.update_thread("t", metadata={f"k{number}": number}) for number in range(CALLERS)),
            memory.update_thread("t", title="named"),
            memory.save_turn(thread=a_thread(), messages=[a_message()]),
        )
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert_same((thread.title, thread.metadata), ("named", {"first": True} | {f"k{number}": number for number in range(CALLERS)}))
        await self.holds(memory, "t", a_message())

    @needs("merge", "filters")
    async def test_an_updated_thread_is_listed_by_what_it_became(self, memory: MemoryDomain) -> None:
        """A filter finds the new metadata and no longer the old."""
        for name in ("t", "u"):
            await memory.save_thread(a_thread(name, metadata={"k": "old", "same": 1}))
        updated = await memory.update_thread("t", metadata={"k": "new"})

        async def having(value: str) -> tuple[Thread, ...]:
            return (await memory.list_threads(filter={"resource_id": "r", "metadata": {"k": value}}, include_total=False)).items

        await self.shows(lambda: having("new"), [updated])
        await self.shows(lambda: having("old"), [a_thread("u", metadata={"k": "old", "same": 1})])


class MessageUpdateContract(MemoryUnderTest):
    """Content, role and place of stored messages."""

    @needs("decide")
    async def test_an_update_of_a_message_lays_its_content_over_the_stored_one(self, memory: MemoryDomain) -> None:
        """What is not named stays, metadata is laid over one level deep, and id and created_at never change."""
        await self.fill(memory, noted("m", created=5, a={"x": 1}, b=1))
        parts = [{"type": "text", "text": "new"}]
        (updated,) = await memory.update_messages([{"id": "m", "role": "assistant", "content": {"parts": parts, "metadata": {"a": {}}}}])
        expected = a_message("m", created=5, role="assistant", content={"format": 2, "parts": parts, "metadata": {"a": {}, "b": 1}})
        assert_same(updated, expected)
        await self.holds(memory, "t", expected)
        (again,) = await memory.update_messages([{"id": "m", "resource_id": "x", "type": "v2"}])
        await self.holds(memory, "t", attrs.evolve(expected, resource_id="x"))
        assert_same(again, attrs.evolve(expected, resource_id="x"))

    @needs("decide")
    async def test_content_laid_over_comes_back_equal(self, memory: MemoryDomain) -> None:
        """All JSON and any Unicode survive an update, in what was stored and in what is laid over it."""
        old = noted("m", **{f"old {name}": value for name, value in {**JSON_VALUES, **ANY_UNICODE}.items()})
        await self.fill(memory, old)
        laid = {**JSON_VALUES, **ANY_UNICODE}
        answered = await memory.update_messages([{"id": "m", "content": {"metadata": laid}}])
        assert_same(answered, [laid_over(old, laid)])
        await self.holds(memory, "t", laid_over(old, laid))

    @needs("decide")
    async def test_updates_answer_what_exists_oldest_first_and_mark_the_thread(self, memory: MemoryDomain) -> None:
        """Unknown ids are passed over and nothing at all is no error; the thread counts as changed."""
        messages = [noted(f"m{number}", created=number) for number in range(3)]
        await self.fill(memory, *messages)
        await memory.save_thread(a_thread())
        assert await memory.update_messages([]) == ()
        assert await memory.update_messages([{"id": "nope", "role": "user"}]) == ()
        assert_same(await memory.get_thread_by_id("t"), a_thread())
        start = clock.now()
        answered = await memory.update_messages([{"id": name, "content": {"metadata": {"n": 1}}} for name in ("m2", "nope", "m0")])
        changed = [laid_over(messages[0], {"n": 1}), laid_over(messages[2], {"n": 1})]
        assert_same(answered, changed)
        await self.holds(memory, "t", changed[0], messages[1], changed[1])
        thread = await memory.get_thread_by_id("t")
        assert thread is not None
        assert start <= thread.updated_at <= clock.now()

    @needs("decide")
    async def test_concurrent_updates_of_a_message_lose_nothing(self, memory: MemoryDomain) -> None:
        """32 callers that each add a key to one message all find it there."""
        await self.fill(memory, noted("m", first=True))
        await asyncio.gather(
            *(memory.update_messages([{"id": "m", "content": {"metadata": {f"k{number}": number}}}]) for number in range(CALLERS))
        )
        await self.holds(memory, "t", noted("m", first=True, **{f"k{number}": number for number in range(CALLERS)}))

    @needs("decide")
    async def test_any_number_of_messages_can_be_updated(self, memory: MemoryDomain) -> None:
        """A call takes more messages than the store writes at once."""
        messages = [noted(f"m{number:03}", created=number) for number in range(LONG)]
        await memory.save_thread(a_thread())
        await memory.save_messages(messages, chunked=True)
        answered = await memory.update_messages([{"id": message.id, "content": {"metadata": {"n": 1}}} for message in messages[::-1]])
        changed = [laid_over(message, {"n": 1}) for message in messages]
        assert_same(answered, changed)
        await self.holds(memory, "t", *changed)

    @needs("decide")
    async def test_an_update_of_a_message_that_cannot_be_kept_is_refused_whole(self, memory: MemoryDomain) -> None:
        """One value that would not come back equal refuses the whole call, and names the field."""
        await self.fill(memory, noted("m1"), noted("m2"))
        with pytest.raises(InvalidInputError, match="content"):
            await memory.update_messages([{"id": "m1", "role": "x"}, {"id": "m2", "content": {"metadata": {"n": float("inf")}}}])
        await self.holds(memory, "t", noted("m1"), noted("m2"))

    @needs("moves", "decide")
    async def test_a_message_moves_with_an_update_and_marks_both_threads(self, memory: MemoryDomain) -> None:
        """It is in its new thread only, at its old date; both threads count as changed."""
        await self.fill(memory, a_message("m1"), a_message("m2", created=1))
        for name in ("t", "u"):
            await memory.save_thread(a_thread(name))
        start = clock.now()
        moved = a_message("m1", thread_id="u")
        assert_same(await memory.update_messages([{"id": "m1", "thread_id": "u"}]), [moved])
        await self.holds(memory, "t", a_message("m2", created=1))
        await self.holds(memory, "u", moved)
        assert_same((await memory.list_messages_by_id(["m1"])).items, [moved])
        for name in ("t", "u"):
            thread = await memory.get_thread_by_id(name)
            assert thread is not None
            assert thread.updated_at >= start

    @needs("moves", "decide", "atomic")
    async def test_a_message_cannot_move_to_a_thread_that_does_not_exist(self, memory: MemoryDomain) -> None:
        """Nothing of such a call is written, and the missing thread is named."""
        await self.fill(memory, a_message("m1"), a_message("m2", created=1))
        with pytest.raises(ThreadNotFoundError, match="Thread nowhere not found"):
            await memory.update_messages([{"id": "m1", "role": "assistant"}, {"id": "m2", "thread_id": "nowhere"}])
        await self.holds(memory, "t", a_message("m1"), a_message("m2", created=1))
        await self.holds(memory, "nowhere")

    @pytest.mark.parametrize(
        "wrong, told",
        [
            ({"id": "m", "threadId": "u"}, "Did you mean 'thread_id'"),
            ({"id": "m", "created_at": clock.EPOCH}, "unknown key 'created_at'"),
            ({"role": "user"}, "id"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_an_update_of_a_message_that_makes_no_sense_is_refused(
        self, memory: MemoryDomain, wrong: Mapping[str, Any], told: str
    ) -> None:
        """A misspelt key is an error with the mend, and changes nothing."""
        await self.fill(memory, noted("m"))
        with pytest.raises(InvalidInputError) as caught:
            await memory.update_messages([wrong])  # type: ignore[list-item]  # the mistake to refuse
        assert told in str(caught.value)
        await self.holds(memory, "t", noted("m"))
