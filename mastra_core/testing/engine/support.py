"""What an engine declares of itself, and the operations it may or may not support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.changes import Change, Check, Patch, Refused, Save
from mastra_core.storage.records.engine import CAPABILITIES, RecordEngine
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import KINDS, MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Get, Query
from mastra_core.storage.records.records import Records
from mastra_core.testing.contract import needs
from mastra_core.testing.engine.lists import ListingUnderTest, of_owner, of_thread
from mastra_core.testing.engine.under_test import EngineUnderTest
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import a_message, a_resource, a_thread, at

LEVELS = {"FULL", "EMULATED", "NOT_YET", "IMPOSSIBLE"}
ENOUGH = 120
"""A batch this long shows that an engine without a limit takes more than databases with one."""


class DeclarationContract(EngineUnderTest):
    """Capabilities, limits and life cycle."""

    async def test_exactly_the_capabilities_of_the_port_are_declared(self, records: Records) -> None:
        """The table of backends has an entry for each capability, and else only for paths."""
        declared = records.engine.capabilities
        assert isinstance(declared, Mapping)
        known = {*CAPABILITIES, *(f"{kind.name}.{path.name}" for kind in KINDS for path in kind.paths)}
        assert set(CAPABILITIES) <= set(declared) <= known, (
            f"missing: {set(CAPABILITIES) - set(declared)}, unknown: {set(declared) - known}"
        )
        wrong = {name: support for name, support in declared.items() if getattr(support, "level", None) not in LEVELS}
        assert not wrong, f"use FULL, emulated(), not_yet() or impossible() for {wrong}"

    async def test_whatever_is_not_full_says_why(self, records: Records) -> None:
        """A user who meets a limit learns its reason."""
        silent = [name for name, support in records.engine.capabilities.items() if support.level != "FULL" and not support.reason.strip()]
        assert not silent, f"{silent} give no reason"

    async def test_left_out_paths_are_paths_that_may_be_left_out(self, records: Records) -> None:
        """What every run reads is on every backend; of paths without a partition `open_paths` speaks."""
        refused = {name for name, support in records.engine.capabilities.items() if "." in name and not support.works}
        needed = {"mastra_messages.by_thread", "mastra_threads.by_resource"}
        needed |= {f"{kind.name}.{path.name}" for kind in KINDS for path in kind.paths if not path.by}
        assert not refused & needed, f"{refused & needed} cannot be left out"

    async def test_driver_errors_are_the_drivers_own(self, records: Records) -> None:
        """A bug is never taken for an unreachable database."""
        errors = records.engine.driver_errors
        assert isinstance(errors, tuple)
        for error in errors:
            assert not issubclass(InvalidInputError, error), f"{error.__name__} is too wide"
            assert not issubclass(TypeError, error), f"{error.__name__} is too wide"

    async def test_a_ping_answers(self, records: Records) -> None:
        """A health check needs no data."""
        await records.ping()

    async def test_an_engine_that_was_never_opened_can_be_closed(self, engine: RecordEngine) -> None:
        """A failed start leaves nothing open."""
        await engine.close()

    async def test_a_batch_of_the_declared_size_is_written(self, records: Records) -> None:
        """As many changes as a store declares really go in one step."""
        limit = records.engine.max_atomic
        assert limit is None or limit >= 10, f"max_atomic is {limit!r}; a turn needs room for its messages"
        size = ENOUGH if limit is None else min(limit, ENOUGH)
        messages = [a_message(f"m{number:03}", created=number) for number in range(size - 1)]
        answers = await records.apply(Save(THREADS, a_thread(), answer=False), *(Save(MESSAGES, message) for message in messages))
        assert_same(answers, [None, *messages])
        assert_same(await records.fetch(Query(MESSAGES, "by_thread", at={"thread_id": "t"})), [messages])

    async def test_a_batch_over_the_declared_size_is_refused_whole(self, records: Records) -> None:
        """A batch that is too large is refused with the limit before anything is sent."""
        limit = records.engine.max_atomic
        if limit is None:
            return
        changes = [Save(MESSAGES, a_message(f"m{number:03}", created=number)) for number in range(limit + 1)]
        with pytest.raises(InvalidInputError, match=str(limit)):
            await records.apply(*changes)
        assert await records.fetch(of_thread()) == ([],)


class OperationContract(ListingUnderTest):
    """merge, decide, purge and scan."""

    @needs("merge")
    async def test_a_merge_lays_new_keys_over_the_stored_ones(self, records: Records) -> None:
        """Metadata is merged one level deep; other keys and other fields stay."""
        await self.put(records, a_thread(title="title", metadata={"a": {"x": 1}, "b": [], "c": 0.1, "d": {}}))
        merge: dict[str, dict[str, Json]] = {"metadata": {"a": {"y": 2}, "b": None, "new": []}}
        expected = a_thread(title="title", metadata={"a": {"y": 2}, "b": None, "c": 0.1, "d": {}, "new": []}, updated=4)
        assert_same(await records.apply(Patch(THREADS, ("t",), merge=merge, raise_to={"updated_at": at(4)})), [expected])
        await self.gets(records, expected)

    @needs("merge")
    async def test_a_merge_into_nothing_creates_the_object(self, records: Records) -> None:
        """Missing metadata counts as {}; merging nothing into it makes it {}."""
        objects: tuple[dict[str, Json], ...] = ({"a": []}, {})
        for merged in objects:
            await self.put(records, a_resource())
            assert_same(await records.apply(Patch(RESOURCES, ("r",), merge={"metadata": merged})), [a_resource(metadata=merged)])
            await self.gets(records, a_resource(metadata=merged))

    @needs("decide")
    async def test_a_decision_sees_what_is_stored_and_is_written(self, records: Records) -> None:
        """A change can be computed from what is there, missing records included."""
        await self.put(records, a_thread(title="old"))
        seen: list[Any] = []

        def change(read: list[Any]) -> list[Change]:
            seen.append(read)
            return [Patch(THREADS, ("t",), put={"title": f"not {read[0].title}"}), Save(MESSAGES, a_message())]

        answers = await records.decide([Get(THREADS, ("t",)), Get(MESSAGES, ("m",))], change)
        assert_same(seen[-1], [a_thread(title="old"), None])
        assert_same(answers, [a_thread(title="not old"), a_message()])
        await self.gets(records, a_thread(title="not old"))
        await self.gets(records, a_message())

    @needs("decide")
    async def test_a_decision_to_change_nothing_is_none(self, records: Records) -> None:
        """Deciding against a change writes nothing and answers nothing."""
        assert await records.decide([Get(THREADS, ("t",))], lambda _: []) == []
        await self.lacks(records, THREADS, "t")

    @needs("decide")
    async def test_a_decision_that_is_refused_writes_nothing(self, records: Records) -> None:
        """A decided batch is all or nothing like any other."""
        changes: list[Change] = [Save(MESSAGES, a_message()), Check(THREADS, ("t",))]
        with pytest.raises(Refused) as caught:
            await records.decide([Get(MESSAGES, ("m",))], lambda _: changes)
        assert (caught.value.index, caught.value.found) == (1, None)
        await self.lacks(records, MESSAGES, "m")

    @needs("decide")
    async def test_an_error_while_deciding_reaches_the_caller(self, records: Records) -> None:
        """What a decision raises is not swallowed, and the store works on."""

        def change(_: list[Any]) -> list[Change]:
            msg = "no decision"
            raise LookupError(msg)

        with pytest.raises(LookupError, match="no decision"):
            await records.decide([Get(THREADS, ("t",))], change)
        await self.put(records, a_thread())
        await self.gets(records, a_thread())

    @needs("purge")
    async def test_a_purge_deletes_in_bounded_steps_until_none_is_left(self, records: Records) -> None:
        """A thread of any length is deleted in steps; 0 means that none is left, and other threads stay."""
        gone = [a_message(f"m{number:02}", created=number) for number in range(23)]
        stays = [a_message("x", thread_id="t:", created=1), a_message("y", thread_id="u")]
        await self.put(records, *gone, *stays)
        steps = [await records.purge(of_thread(), limit=10) for _ in range(4)]
        assert sum(steps) == len(gone), f"steps of {steps} are not {len(gone)} together"
        assert all(0 <= step <= 10 for step in steps)
        assert steps[-1] == 0
        assert await records.fetch(of_thread()) == ([],)
        await self.lacks(records, MESSAGES, *(message.id for message in gone))
        for message in stays:
            await self.gets(records, message)

    @needs("purge")
    async def test_a_purge_may_be_of_any_path(self, records: Records) -> None:
        """All threads of an owner can be deleted."""
        threads = [a_thread(f"t{number}", created=number) for number in range(4)]
        await self.put(records, *threads, a_thread("x", resource_id="other"))
        await self.lists(records, of_owner(), threads)
        assert await records.purge(of_owner()) == len(threads)
        await self.lists(records, of_owner(), [])
        await self.gets(records, a_thread("x", resource_id="other"))

    @needs("scan")
    async def test_a_scan_gives_every_record_of_its_kind(self, records: Records) -> None:
        """A store can be copied: nothing is left out, and nothing of another kind is among it."""
        threads = {f"t{number:02}": a_thread(f"t{number:02}", resource_id=f"r{number % 3}", created=number) for number in range(40)}
        await self.put(records, *threads.values(), *(a_message(f"m{number}", thread_id=f"t{number:02}") for number in range(20)))
        found = {thread.id: thread async for _, thread in records.scan(THREADS)}
        assert_same(found, threads)
        assert [resource async for _, resource in records.scan(RESOURCES)] == []

    @needs("scan")
    async def test_a_scan_resumes_behind_any_cursor(self, records: Records) -> None:
        """An interrupted copy goes on where it was, and together nothing is left out."""
        threads = {f"t{number:02}": a_thread(f"t{number:02}", created=number) for number in range(12)}
        await self.put(records, *threads.values())
        whole = [(cursor, thread.id) async for cursor, thread in records.scan(THREADS)]
        for index in (0, 5, len(whole) - 1):
            before = {name for _, name in whole[: index + 1]}
            after = {thread.id async for _, thread in records.scan(THREADS, after=whole[index][0])}
            assert before | after == set(threads)
            assert whole[index][1] not in after, "a cursor must resume behind its record"
