"""What Save, Patch, Delete and Check write and answer, looked at through the back door."""

from __future__ import annotations

from typing import Any

import attrs

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Get, Query
from mastra_core.storage.records.records import Records
from mastra_core.testing.engine.under_test import EngineUnderTest, ids
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import a_message, a_resource, a_thread, at, kind_of, turn


class SaveContract(EngineUnderTest):
    """Creating and replacing records."""

    async def test_a_saved_thread_is_stored_under_typescripts_names_and_got_back(self, records: Records) -> None:
        """Threads come back equal, and the TypeScript packages can read them."""
        thread = a_thread(title="A title", metadata={"a": [1, {"b": None}]}, created=1, updated=2)
        await records.apply(Save(THREADS, thread))
        await self.gets(records, thread)

    async def test_a_saved_message_is_stored_under_typescripts_names_and_got_back(self, records: Records) -> None:
        """Messages come back equal, and the TypeScript packages can read them."""
        message = attrs.evolve(
            a_message(content={"format": 2, "parts": [{"type": "text", "text": "hi"}], "metadata": {"k": 1}}, role="assistant"), type="v3"
        )
        await records.apply(Save(MESSAGES, message))
        await self.gets(records, message)

    async def test_a_saved_resource_is_stored_under_typescripts_names_and_got_back(self, records: Records) -> None:
        """What is remembered of a user comes back equal, and the TypeScript packages can read it."""
        resource = a_resource(working_memory="# Ada\n* likes tea", metadata={"z": 1}, updated=5)
        await records.apply(Save(RESOURCES, resource))
        await self.gets(records, resource)

    async def test_fields_left_empty_come_back_as_none(self, records: Records) -> None:
        """What was never said is None, not "" or {}."""
        for record in (a_thread(metadata=None), a_message(resource_id=None), a_resource(working_memory=None, metadata=None)):
            await self.put(records, record)
            await self.gets(records, record)

    async def test_records_of_different_kinds_may_have_the_same_id(self, records: Records) -> None:
        """A thread, a message and a resource called alike do not touch each other."""
        same = (a_thread("x"), a_message("x", thread_id="x"), a_resource("x"))
        await self.put(records, *same)
        for record in same:
            await self.gets(records, record)

    async def test_a_save_replaces_a_thread_whole(self, records: Records) -> None:
        """Saving again leaves nothing of the old record, also where the new one has no value."""
        await self.put(records, a_thread(title="old", metadata={"old": 1}))
        new = a_thread(title="new", metadata=None, updated=8)
        (answer,) = await records.apply(Save(THREADS, new))
        assert_same(answer, new)
        await self.gets(records, new)

    async def test_a_save_keeps_what_the_kind_keeps(self, records: Records) -> None:
        """A message that is saved again has its new content and its first created_at, so its place in the thread stays."""
        await self.put(records, a_message(created=1))
        new = a_message(created=99, content={"format": 2, "parts": []}, role="assistant")
        (answer,) = await records.apply(Save(MESSAGES, new))
        kept = attrs.evolve(new, created_at=at(1))
        assert_same(answer, kept)
        await self.gets(records, kept)

    async def test_a_save_with_only_takes_over_the_fields_named(self, records: Records) -> None:
        """One field of a stored record can be saved without knowing the others."""
        old = a_thread(title="old", metadata={"old": 1})
        await self.put(records, old)
        (answer,) = await records.apply(Save(THREADS, a_thread(resource_id="x", title="new", created=9), only=("title",)))
        expected = attrs.evolve(old, title="new")
        assert_same(answer, expected)
        await self.gets(records, expected)

    async def test_a_save_with_only_nothing_creates_or_leaves_alone(self, records: Records) -> None:
        """Creating what may be missing never changes what is there."""
        old = a_thread(title="old", metadata={"old": 1})
        (created,) = await records.apply(Save(THREADS, old, only=()))
        (left,) = await records.apply(Save(THREADS, a_thread(title="new", created=9), only=()))
        assert_same([created, left], [old, old])
        await self.gets(records, old)

    async def test_raise_to_lifts_a_time_and_never_lowers_it(self, records: Records) -> None:
        """updated_at never goes back, whichever of two savers comes last."""
        await self.put(records, a_thread(updated=5))
        for instant, expected in ((4, 5), (5, 5), (6, 6), (3, 6)):
            (saved,) = await records.apply(Save(THREADS, a_thread(updated=0), only=(), raise_to={"updated_at": at(instant)}))
            assert_same(saved, a_thread(updated=expected))
            await self.gets(records, a_thread(updated=expected))

    async def test_raise_to_leaves_a_record_that_is_created_as_it_was_given(self, records: Records) -> None:
        """raise_to is about existing records."""
        (saved,) = await records.apply(Save(THREADS, a_thread(updated=1), raise_to={"updated_at": at(9)}))
        assert_same(saved, a_thread(updated=1))
        await self.gets(records, a_thread(updated=1))

    async def test_raise_to_may_go_with_a_full_save(self, records: Records) -> None:
        """The new fields count, the time is the later one."""
        await self.put(records, a_thread(updated=1))
        (saved,) = await records.apply(Save(THREADS, a_thread(title="new", updated=3), raise_to={"updated_at": at(7)}))
        assert_same(saved, a_thread(title="new", updated=7))
        await self.gets(records, a_thread(title="new", updated=7))

    async def test_an_answer_not_wanted_is_none_and_the_change_is_made(self, records: Records) -> None:
        """Not asking for an answer saves its cost, not the write."""
        changes = [Save(THREADS, a_thread("a"), answer=False), Save(THREADS, a_thread("b"), answer=False)]
        for change in changes:
            assert await records.apply(change) == [None]
        await self.gets(records, a_thread("a"))
        assert await records.apply(Patch(THREADS, ("a",), put={"title": "new"}, answer=False)) == [None]
        await self.gets(records, a_thread("a", title="new"))
        assert await records.apply(Delete(THREADS, ("a",), answer=False)) == [None]
        await self.lacks(records, THREADS, "a")


class ChangeContract(EngineUnderTest):
    """Patches, deletes, checks and batches."""

    async def test_a_patch_puts_the_fields_named_and_no_other(self, records: Records) -> None:
        """Partial updates do not undo one another."""
        await self.put(records, a_thread(title="old", metadata={"a": 1}))
        (answer,) = await records.apply(Patch(THREADS, ("t",), put={"title": "new", "metadata": {"b": 2}}))
        assert_same(answer, a_thread(title="new", metadata={"b": 2}))
        await self.gets(records, a_thread(title="new", metadata={"b": 2}))

    async def test_a_patch_can_empty_an_optional_field(self, records: Records) -> None:
        """What is remembered can be forgotten."""
        await self.put(records, a_resource(working_memory="text", metadata={"a": 1}))
        (answer,) = await records.apply(Patch(RESOURCES, ("r",), put={"working_memory": None, "metadata": None}))
        assert_same(answer, a_resource())
        await self.gets(records, a_resource())

    async def test_a_patch_raises_a_time_and_never_lowers_it(self, records: Records) -> None:
        """updated_at never goes back, also beside other new values."""
        await self.put(records, a_thread(updated=5))
        for instant, expected in ((4, 5), (6, 6)):
            (answer,) = await records.apply(Patch(THREADS, ("t",), put={"title": str(instant)}, raise_to={"updated_at": at(instant)}))
            assert_same(answer, a_thread(title=str(instant), updated=expected))
            await self.gets(records, a_thread(title=str(instant), updated=expected))

    async def test_a_patch_of_nothing_answers_the_record(self, records: Records) -> None:
        """A patch that changes nothing is no error."""
        await self.put(records, a_thread(title="as it was"))
        assert_same(await records.apply(Patch(THREADS, ("t",))), [a_thread(title="as it was")])

    async def test_a_patch_of_a_missing_record_is_refused(self, records: Records) -> None:
        """An update never creates half a record."""
        await self.refuses(records, Patch(THREADS, ("t",), put={"title": "x"}, raise_to={"updated_at": at(1)}))
        await self.lacks(records, THREADS, "t")

    async def test_a_patch_that_may_miss_is_skipped(self, records: Records) -> None:
        """Touching what is gone does nothing, and the rest of the batch is written."""
        touch = Patch(THREADS, ("t",), raise_to={"updated_at": at(1)}, missing="skip")
        assert_same(await records.apply(touch, Save(MESSAGES, a_message())), [None, a_message()])
        await self.lacks(records, THREADS, "t")
        await self.gets(records, a_message())

    async def test_a_delete_answers_what_went_and_nothing_the_second_time(self, records: Records) -> None:
        """Deleting is idempotent, and says what was lost."""
        given: tuple[Any, ...] = (a_thread(), a_message(), a_resource())
        for record in given:
            await self.put(records, record)
            kind, key = kind_of(record), (record.id,)
            assert_same(await records.apply(Delete(kind, key)), [record])
            await self.lacks(records, kind, record.id)
            assert await records.apply(Delete(kind, key)) == [None]

    async def test_a_delete_takes_no_other_record(self, records: Records) -> None:
        """Neighbours by name stay."""
        stay = (a_thread("t1"), a_thread("t:1"), a_thread("tt"), a_message("t"))
        await self.put(records, a_thread("t"), *stay)
        await records.apply(Delete(THREADS, ("t",)))
        for record in stay:
            await self.gets(records, record)

    async def test_a_record_deleted_and_saved_again_has_nothing_of_the_old_one(self, records: Records) -> None:
        """A new message of an old id has its own created_at."""
        await self.put(records, a_message(created=1, resource_id="old"))
        await records.apply(Delete(MESSAGES, ("m",)))
        new = a_message(created=9, resource_id=None)
        assert_same(await records.apply(Save(MESSAGES, new)), [new])
        await self.gets(records, new)

    async def test_a_check_that_holds_writes_nothing(self, records: Records) -> None:
        """A condition on a record that is not changed leaves it alone."""
        await self.put(records, a_thread(title="as it was"))
        assert_same(await records.apply(Check(THREADS, ("t",)), Save(MESSAGES, a_message())), [None, a_message()])
        await self.gets(records, a_thread(title="as it was"))

    async def test_a_batch_of_several_kinds_answers_in_its_own_order(self, records: Records) -> None:
        """Each answer belongs to the change at the same place."""
        gone = a_message("m0")
        await self.put(records, a_thread(title="old"), gone)
        changes: list[Change] = [
            Save(MESSAGES, a_message("m2", created=2)),
            Patch(THREADS, ("t",), put={"title": "new"}),
            Delete(MESSAGES, ("m0",)),
            Save(MESSAGES, a_message("m1", created=1)),
        ]
        answers = await records.apply(*changes)
        assert_same(answers, [a_message("m2", created=2), a_thread(title="new"), gone, a_message("m1", created=1)])

    async def test_a_turn_creates_its_thread_once(self, records: Records) -> None:
        """An agent's first run creates the thread, later ones only raise its updated_at; every message is there."""
        for number in (1, 2, 3):
            pair = [a_message(f"u{number}", created=10 * number), a_message(f"a{number}", created=10 * number + 1)]
            answers = await records.apply(*turn(a_thread(title=f"run {number}", created=number), pair, now=10 * number))
            assert_same(answers, [None, *pair])
        await self.gets(records, a_thread(title="run 1", created=1, updated=30))
        (found,) = await records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": "t"}))
        assert ids(found) == ["u1", "a1", "u2", "a2", "u3", "a3"]

    async def test_a_batch_that_need_not_be_atomic_may_have_any_length(self, records: Records) -> None:
        """Copying and loading are not bound by the limit of an atomic batch."""
        given = [a_message(f"m{number:03}", thread_id=f"t{number % 7}", created=number) for number in range(230)]
        answers = await records.apply(*(Save(MESSAGES, message) for message in given), atomic=False)
        assert_same(answers, given)
        assert_same(await records.fetch(*(Get(MESSAGES, (message.id,)) for message in given)), given)
