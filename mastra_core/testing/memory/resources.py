"""What is remembered of a user across threads: saved, updated in part, by many at once (semantics §2.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.testing.contract import needs
from mastra_core.testing.equality import assert_same
from mastra_core.testing.memory.under_test import MemoryUnderTest
from mastra_core.testing.samples import AWKWARD_IDS, JSON_VALUES, a_message, a_resource

CALLERS = 32


class ResourceContract(MemoryUnderTest):
    """Working memory and metadata of a resource."""

    async def test_a_saved_resource_is_answered_and_got_as_stored(self, memory: MemoryDomain) -> None:
        """Working memory is text as it was given, JSON or not; metadata keeps every JSON value."""
        for text in ("# Ada\n\n* likes é 😀 \u2028", '{"name": "Ada"}', "[]", "null", "", " ", None):
            resource = a_resource(working_memory=text, metadata=JSON_VALUES, updated=7)
            assert_same(await memory.save_resource(resource), resource)
            assert_same(await memory.get_resource_by_id("r"), resource)

    async def test_a_resource_that_does_not_exist_is_none(self, memory: MemoryDomain) -> None:
        """Asking for somebody unknown is no error."""
        assert await memory.get_resource_by_id("none") is None

    async def test_a_resource_saved_again_is_replaced_whole(self, memory: MemoryDomain) -> None:
        """Saving is an upsert, and leaves nothing of what was remembered before; {} and None are told apart."""
        await memory.save_resource(a_resource(working_memory="# A", metadata={"old": 1}, updated=3))
        for new in (a_resource(working_memory=None, metadata={}, updated=5), a_resource(working_memory="# B", metadata=None)):
            assert_same(await memory.save_resource(new), new)
            assert_same(await memory.get_resource_by_id("r"), new)

    async def test_any_resource_id_works(self, memory: MemoryDomain) -> None:
        """Ids are the caller's strings, with any characters, up to 255 of them."""
        for name in AWKWARD_IDS:
            await memory.save_resource(a_resource(name, working_memory=name))
        for name in AWKWARD_IDS:
            assert_same(await memory.get_resource_by_id(name), a_resource(name, working_memory=name))

    @pytest.mark.parametrize(
        "wrong, named",
        [
            ({"id": "x" * 256}, "255"),
            ({"working_memory": "a\0"}, "working_memory"),
            ({"metadata": {"a": float("nan")}}, "metadata"),
            ({"updated_at": a_resource().updated_at.replace(tzinfo=None)}, "naive"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    async def test_what_cannot_be_kept_of_a_resource_is_refused(self, memory: MemoryDomain, wrong: Mapping[str, Any], named: str) -> None:
        """A value that would not come back equal is an error that names it, and nothing is written."""
        before = await memory.save_resource(a_resource(working_memory="as it was"))
        with pytest.raises(InvalidInputError, match=named):
            await memory.save_resource(attrs.evolve(a_resource(), **wrong))
        assert_same(await memory.get_resource_by_id("r"), before)

    @needs("decide")
    async def test_an_update_creates_a_resource(self, memory: MemoryDomain) -> None:
        """The first thing remembered of a user needs no preparation."""
        start = clock.now()
        first = await memory.update_resource("r", working_memory="# A")
        assert start <= first.created_at <= clock.now()
        assert_same((first.id, first.working_memory, first.metadata, first.updated_at), ("r", "# A", {}, first.created_at))
        assert_same(await memory.get_resource_by_id("r"), first)

    @needs("decide")
    async def test_an_update_of_a_resource_keeps_what_it_does_not_name(self, memory: MemoryDomain) -> None:
        """Metadata is laid over one level deep, working memory is replaced, and created_at stays."""
        before = await memory.save_resource(a_resource(working_memory="# A", metadata={**JSON_VALUES, "a": {"x": 1}}))
        start = clock.now()
        laid = await memory.update_resource("r", metadata={"a": {"y": [2]}, "new": None})
        expected = attrs.evolve(before, metadata={**JSON_VALUES, "a": {"y": [2]}, "new": None}, updated_at=laid.updated_at)
        assert_same(laid, expected)
        assert start <= laid.updated_at <= clock.now()
        assert_same(await memory.get_resource_by_id("r"), expected)
        emptied = await memory.update_resource("r", working_memory="")
        assert_same(emptied, attrs.evolve(expected, working_memory="", updated_at=emptied.updated_at))

    @needs("decide")
    async def test_concurrent_updates_of_a_resource_lose_nothing(self, memory: MemoryDomain) -> None:
        """32 callers that each add a key to a resource that nobody made before all find it there."""
        await asyncio.gather(
            *(memory.update_resource("r", metadata={f"k{number}": number}) for number in range(CALLERS)),
            memory.update_resource("r", working_memory="# A"),
        )
        resource = await memory.get_resource_by_id("r")
        assert resource is not None
        assert_same((resource.working_memory, resource.metadata), ("# A", {f"k{number}": number for number in range(CALLERS)}))

    async def test_a_run_reads_the_resource_with_its_thread(self, memory: MemoryDomain) -> None:
        """Working memory comes with the history, in one read."""
        resource = await memory.save_resource(a_resource(working_memory="# Ada"))
        await self.fill(memory, a_message())
        turn = await memory.read_turn("t", resource_id="r", last=10, with_resource=True)
        assert_same((turn.messages, turn.resource), ([a_message()], resource))
        assert (await memory.read_turn("t", resource_id="r", last=10)).resource is None
