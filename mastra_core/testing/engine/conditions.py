"""Conditions of changes: what is refused, what the refusal tells, and that nothing of a refused batch is written."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Save
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Between, Condition, Contains, Is, Missing, Present
from mastra_core.storage.records.records import Records
from mastra_core.testing.contract import needs
from mastra_core.testing.engine.under_test import EngineUnderTest
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import a_message, a_resource, a_thread, at, kind_of, turn

MINE = (Is(("resource_id",), "r"),)
UNTITLED = (Is(("title",), ""),)


class ConditionContract(EngineUnderTest):
    """Conditions every backend must hold."""

    async def test_a_save_over_a_record_that_does_not_meet_when_is_refused(self, records: Records) -> None:
        """Nobody writes into another owner's thread."""
        theirs = a_thread(resource_id="other", title="theirs")
        await self.put(records, theirs)
        await self.refuses(records, Save(THREADS, a_thread(title="mine"), when=MINE), found=theirs)
        await self.refuses(
            records, Save(THREADS, a_thread(), only=(), raise_to={"updated_at": at(9)}, when=MINE, answer=False), found=theirs
        )
        await self.gets(records, theirs)

    async def test_a_save_over_a_record_that_meets_when_is_made(self, records: Records) -> None:
        """The owner may write."""
        await self.put(records, a_thread(title="old"))
        assert_same(await records.apply(Save(THREADS, a_thread(title="new"), when=MINE)), [a_thread(title="new")])
        await self.gets(records, a_thread(title="new"))

    async def test_when_says_nothing_about_a_record_that_is_created(self, records: Records) -> None:
        """A condition of Save is about an existing record."""
        created = a_thread(resource_id="other")
        assert_same(await records.apply(Save(THREADS, created, when=MINE)), [created])
        await self.gets(records, created)

    async def test_a_save_that_may_not_create_is_refused_when_there_is_none(self, records: Records) -> None:
        """A thread deleted since it was read is not resurrected."""
        await self.refuses(records, Save(THREADS, a_thread(), absent="refuse"))
        await self.lacks(records, THREADS, "t")
        await self.put(records, a_thread())
        assert_same(await records.apply(Save(THREADS, a_thread(title="new"), absent="refuse")), [a_thread(title="new")])

    async def test_a_save_that_may_not_update_is_refused_when_there_is_one(self, records: Records) -> None:
        """Of two creators of one id the second is told, with what it met."""
        first = a_thread(title="first")
        assert_same(await records.apply(Save(THREADS, first, present="refuse")), [first])
        await self.refuses(records, Save(THREADS, a_thread(title="second"), present="refuse"), found=first)
        await self.gets(records, first)

    async def test_a_patch_whose_condition_holds_no_more_is_refused(self, records: Records) -> None:
        """Compare and set: a title given by hand is not overwritten by a generated one."""
        await self.put(records, a_thread())
        generated = Patch(THREADS, ("t",), put={"title": "generated"}, when=UNTITLED)
        assert_same(await records.apply(generated), [a_thread(title="generated")])
        await self.refuses(records, generated, found=a_thread(title="generated"))
        await self.gets(records, a_thread(title="generated"))

    async def test_a_delete_whose_condition_does_not_hold_is_refused(self, records: Records) -> None:
        """Only what is as expected is removed."""
        theirs = a_thread(resource_id="other")
        await self.put(records, theirs)
        await self.refuses(records, Delete(THREADS, ("t",), when=MINE), found=theirs)
        await self.gets(records, theirs)

    async def test_a_delete_of_a_missing_record_is_made_whatever_when_says(self, records: Records) -> None:
        """Deleting twice is no error, with a condition either."""
        assert await records.apply(Delete(THREADS, ("t",), when=MINE)) == [None]

    async def test_a_missing_record_that_may_be_skipped_has_no_conditions(self, records: Records) -> None:
        """Touching what is gone is passed over, with a condition either; a stored record must meet it."""
        touch = Patch(THREADS, ("t",), raise_to={"updated_at": at(9)}, when=MINE, missing="skip")
        assert await records.apply(touch) == [None]
        theirs = a_thread(resource_id="other")
        await self.put(records, theirs)
        await self.refuses(records, touch, found=theirs)

    async def test_a_check_of_a_missing_record_is_refused(self, records: Records) -> None:
        """Messages are not saved into a thread that is not there."""
        await self.refuses(records, Save(MESSAGES, a_message()), Check(THREADS, ("t",)), index=1)
        await self.lacks(records, MESSAGES, "m")

    async def test_a_check_whose_condition_does_not_hold_is_refused(self, records: Records) -> None:
        """Messages are not saved into another owner's thread."""
        theirs = a_thread(resource_id="other")
        await self.put(records, theirs)
        await self.refuses(records, Check(THREADS, ("t",), when=MINE), Save(MESSAGES, a_message()), found=theirs)
        await self.lacks(records, MESSAGES, "m")

    async def test_every_condition_must_hold(self, records: Records) -> None:
        """Conditions are a conjunction."""
        stored = a_thread(title="taken")
        await self.put(records, stored)
        await self.refuses(records, Patch(THREADS, ("t",), put={"title": "x"}, when=(*MINE, *UNTITLED)), found=stored)
        await self.refuses(records, Patch(THREADS, ("t",), put={"title": "x"}, when=(*UNTITLED, *MINE)), found=stored)
        await self.gets(records, stored)

    async def test_text_is_compared_exactly(self, records: Records) -> None:
        """No trimming, no case folding, no normalising, no wildcards."""
        await self.put(records, a_thread(title="Café 1"))
        stored = a_thread(title="Café 1")
        for other in ("café 1", "Cafe\u0301 1", "Café 1 ", " Café 1", "Café_1", "Café%", "", "Café"):
            await self.refuses(records, Delete(THREADS, ("t",), when=(Is(("title",), other),)), found=stored)
        assert_same(await records.apply(Delete(THREADS, ("t",), when=(Is(("title",), "Café 1"),))), [stored])


class RefusedBatchContract(EngineUnderTest):
    """Batches are written whole or not at all."""

    @pytest.mark.parametrize("position", [0, 1, 2])
    async def test_nothing_of_a_refused_batch_is_written(self, records: Records, position: int) -> None:
        """A turn is stored whole or not at all, wherever in the batch the refusal is met."""
        theirs = a_thread(resource_id="other")
        await self.put(records, theirs)
        changes: list[Change] = [Save(MESSAGES, a_message("m1")), Save(MESSAGES, a_message("m2"))]
        changes.insert(position, Save(THREADS, a_thread(), only=(), raise_to={"updated_at": at(9)}, when=MINE, answer=False))
        await self.refuses(records, *changes, index=position, found=theirs)
        await self.gets(records, theirs)
        await self.lacks(records, MESSAGES, "m1", "m2")

    async def test_a_refused_batch_replaces_and_deletes_nothing(self, records: Records) -> None:
        """What a refused batch would have replaced or removed is as it was."""
        stay = [a_message("m1", created=1), a_message("m2", created=2), a_thread(title="taken")]
        await self.put(records, *stay)
        changes: list[Change] = [
            Save(MESSAGES, a_message("m1", content={"format": 2, "parts": []})),
            Delete(MESSAGES, ("m2",)),
            Patch(THREADS, ("t",), put={"title": "x"}, raise_to={"updated_at": at(9)}, when=UNTITLED),
            Save(MESSAGES, a_message("m3")),
        ]
        await self.refuses(records, *changes, index=2, found=stay[2])
        for record in stay:
            await self.gets(records, record)
        await self.lacks(records, MESSAGES, "m3")

    async def test_a_refused_turn_can_be_made_again(self, records: Records) -> None:
        """A refusal leaves nothing behind that stands in the way."""
        await self.put(records, a_thread(resource_id="other"))
        batch = turn(a_thread(), [a_message("m1"), a_message("m2", created=1)], now=9)
        await self.refuses(records, *batch, found=a_thread(resource_id="other"))
        await records.apply(Delete(THREADS, ("t",)))
        assert_same(await records.apply(*batch), [None, a_message("m1"), a_message("m2", created=1)])

    @needs("atomic")
    async def test_nothing_of_a_refused_batch_over_many_places_is_written(self, records: Records) -> None:
        """All or nothing holds across threads, owners and kinds."""
        stay = [a_thread("t1", resource_id="r1"), a_thread("t2", resource_id="r2"), a_resource("r2", working_memory="old")]
        await self.put(records, *stay)
        changes: list[Change] = [
            Save(MESSAGES, a_message("m1", thread_id="t1")),
            Save(MESSAGES, a_message("m2", thread_id="t2")),
            Save(THREADS, a_thread("t3", resource_id="r3")),
            Patch(RESOURCES, ("r2",), put={"working_memory": "new"}),
            Delete(THREADS, ("t1",)),
            Check(THREADS, ("t2",), when=MINE),
        ]
        await self.refuses(records, *changes, index=5, found=stay[1])
        for record in stay:
            await self.gets(records, record)
        await self.lacks(records, MESSAGES, "m1", "m2")
        await self.lacks(records, THREADS, "t3")

    @needs("atomic")
    async def test_a_batch_over_many_places_is_written_whole(self, records: Records) -> None:
        """Records of several threads, owners and kinds are saved in one step."""
        given: list[Any] = [
            a_thread("t1"),
            a_thread("t2", resource_id="r2"),
            a_message("m1", thread_id="t1"),
            a_message("m2", thread_id="t2"),
            a_resource("r2"),
        ]
        answers = await records.apply(*(Save(kind_of(record), record) for record in given))
        assert_same(answers, given)
        for record in given:
            await self.gets(records, record)


META = {"n": 1, "t": "1", "b": True, "f": 1.5, "z": None, "l": ["a", 1, None], "o": {"in": "x"}, "N": 3, "a.b": "dot"}
MET: tuple[Condition, ...] = (
    Is(("metadata", "n"), 1),
    Is(("metadata", "n"), 1.0),
    Is(("metadata", "t"), "1"),
    Is(("metadata", "b"), True),
    Is(("metadata", "f"), 1.5),
    Is(("metadata", "z"), None),
    Is(("metadata", "o", "in"), "x"),
    Is(("metadata", "N"), 3),
    Missing(("metadata", "none")),
    Missing(("metadata", "z")),
    Missing(("metadata", "o", "none")),
    Missing(("metadata", "n", "none")),
    Missing(("working_memory",)),
    Is(("working_memory",), None),
    Present(("metadata",)),
    Present(("metadata", "l")),
    Contains(("metadata", "l"), ("a", 1)),
    Contains(("metadata", "l"), (None,)),
    Contains(("metadata", "l"), ()),
    Between(("updated_at",), low=at(5), high=at(5)),
    Between(("updated_at",), low=at(4), low_open=True),
    Between(("updated_at",), high=at(6), high_open=True),
    Between(("updated_at",)),
)
UNMET: tuple[Condition, ...] = (
    Is(("metadata", "n"), "1"),
    Is(("metadata", "n"), True),
    Is(("metadata", "n"), 2),
    Is(("metadata", "t"), 1),
    Is(("metadata", "b"), 1),
    Is(("metadata", "b"), "true"),
    Is(("metadata", "b"), False),
    Is(("metadata", "z"), ""),
    Is(("metadata", "none"), None),
    Is(("metadata", "o"), None),
    Is(("metadata", "a", "b"), "dot"),
    Is(("metadata", "o", "in", "x"), None),
    Is(("metadata", "l"), "a"),
    Is(("working_memory",), ""),
    Missing(("metadata", "n")),
    Missing(("metadata", "b")),
    Present(("metadata", "z")),
    Present(("metadata", "none")),
    Present(("working_memory",)),
    Contains(("metadata", "l"), ("a", "1")),
    Contains(("metadata", "l"), (True,)),
    Contains(("metadata", "t"), ("1",)),
    Contains(("metadata", "none"), ()),
    Between(("updated_at",), low=at(5), low_open=True),
    Between(("updated_at",), high=at(5), high_open=True),
    Between(("updated_at",), low=at(6)),
    Between(("updated_at",), high=at(4)),
)
REMEMBERED = a_resource(metadata=META, updated=5)


class FilteredChangeContract(EngineUnderTest):
    """Conditions beyond equality of text."""

    @needs("filters")
    async def test_conditions_of_changes_mean_what_they_mean_in_lists(self, records: Records) -> None:
        """Typed equality, presence, containment and ranges guard a change as they filter a list."""
        await self.put(records, REMEMBERED)
        for condition in MET:
            assert_same(await records.apply(Patch(RESOURCES, ("r",), when=(condition,))), [REMEMBERED])
        for condition in UNMET:
            await self.refuses(
                records, Patch(RESOURCES, ("r",), put={"working_memory": str(condition)}, when=(condition,)), found=REMEMBERED
            )
        await self.gets(records, REMEMBERED)
