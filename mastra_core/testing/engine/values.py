"""Values that come back equal, and that nobody shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs

from mastra_core.errors import InvalidInputError, StoredDataError, UnsupportedError
from mastra_core.storage.records.changes import Patch, Save
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import MESSAGES, RESOURCES, THREADS
from mastra_core.storage.records.query import Get, Query
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.wire import to_document
from mastra_core.testing.engine.under_test import EngineUnderTest
from mastra_core.testing.equality import assert_same
from mastra_core.testing.samples import ANY_UNICODE, AWKWARD_IDS, JSON_VALUES, a_message, a_resource, a_thread, kind_of


class ValueContract(EngineUnderTest):
    """JSON, text, ids and times."""

    async def test_any_id_names_its_record(self, records: Records) -> None:
        """Ids are the caller's: spaces, quotes, braces, newlines, emoji and 255 characters work everywhere an id stands."""
        given = [
            record
            for name in AWKWARD_IDS
            for record in (
                a_thread(name, resource_id=name),
                a_message(name, thread_id=name, resource_id=name),
                a_resource(name, working_memory=name),
            )
        ]
        await self.put(records, *given)
        for record in given:
            await self.gets(records, record)
        listed = await records.fetch(*(Query(MESSAGES, "by_thread", at={"thread_id": name}) for name in AWKWARD_IDS))
        assert_same(listed, [[a_message(name, thread_id=name, resource_id=name)] for name in AWKWARD_IDS])

    async def test_metadata_comes_back_equal(self, records: Records) -> None:
        """Empty lists and objects, null, 64-bit integers, 17-digit floats and any Unicode text survive in metadata."""
        for record in (a_thread(metadata=JSON_VALUES), a_resource(metadata=JSON_VALUES)):
            await self.put(records, record)
            await self.gets(records, record)

    async def test_empty_metadata_is_not_missing_metadata(self, records: Records) -> None:
        """{} and None are told apart."""
        given = (a_thread("t1", metadata={}), a_thread("t2", metadata=None), a_resource("r1", metadata={}), a_resource("r2", metadata=None))
        await self.put(records, *given)
        for record in given:
            await self.gets(records, record)

    async def test_message_content_comes_back_equal_with_any_unicode(self, records: Records) -> None:
        """Content holds everything JSON can, U+0000 and lone surrogates included."""
        parts = [{"type": "text", "text": text} for text in ANY_UNICODE.values()]
        message = a_message(content={"format": 2, "parts": parts, "metadata": {**JSON_VALUES, **ANY_UNICODE}})
        assert_same(await records.apply(Save(MESSAGES, message)), [message])
        await self.gets(records, message)

    async def test_integers_past_64_bits_come_back_equal_or_are_refused(self, records: Records) -> None:
        """A number is never changed silently; a backend that cannot hold it names the field."""
        huge = {"huge": [2**64, -(2**70), 10**40]}
        await self._equal_or_refused(records, a_thread(metadata=huge), "metadata")
        await self._equal_or_refused(records, a_message(content={"format": 2, "parts": [], "metadata": huge}), "content")

    async def test_large_and_round_floats_come_back_equal(self, records: Records) -> None:
        """Floats keep their value over the whole range, in metadata and in content."""
        floats = {"f": [1e16, 1e21, 1e22, 1e23, 123456789012345680000.0, 1.7976931348623157e308, -1e-300, 1.0, 2.5e-8]}
        for record in (a_thread(metadata=floats), a_message(content={"format": 2, "parts": [], "metadata": floats})):
            await self.put(records, record)
            await self.gets(records, record)

    async def test_deep_json_comes_back_equal(self, records: Records) -> None:
        """Nesting of 60 levels is kept."""
        deep: Json = "bottom"
        for level in range(30):
            deep = {"level": level, "down": [deep]}
        await self.put(records, a_thread(metadata={"deep": deep}))
        await self.gets(records, a_thread(metadata={"deep": deep}))

    async def test_a_long_message_comes_back_equal(self, records: Records) -> None:
        """100,000 characters in one message are kept."""
        message = a_message(content={"format": 2, "parts": [{"type": "text", "text": "aé日 " * 25_000}]})
        await self.put(records, message)
        await self.gets(records, message)

    async def test_text_comes_back_equal(self, records: Records) -> None:
        """Titles and working memory keep spaces, breaks, quotes and composed characters as they were."""
        for text in (
            "",
            " ",
            " a ",
            "\n",
            "\r\n",
            "null",
            "{}",
            '{"a":1}',
            "'",
            "é",
            "e\u0301",
            "😀",
            "\x01",
            "\ufeff",
            "x" * 5000,
            "0",
            "%s {} $1 ?",
        ):
            thread, resource = a_thread(title=text), a_resource(working_memory=text)
            await self.put(records, thread, resource)
            await self.gets(records, thread)
            await self.gets(records, resource)

    async def test_times_come_back_to_the_millisecond_in_utc(self, records: Records) -> None:
        """An instant is an instant, whatever the time zone it was given in."""
        instants = [
            datetime(1970, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999000, UTC), datetime(2024, 2, 29, 23, 59, 59, 1000, UTC),
            datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), datetime(1901, 1, 1, 0, 0, 0, 10000, UTC),
            datetime(2999, 12, 31, 23, 59, 59, 999000, UTC),
        ]  # fmt: skip
        for index, instant in enumerate(instants):
            message = attrs.evolve(a_message(f"m{index}"), created_at=instant)
            local = attrs.evolve(message, created_at=instant.astimezone(timezone(timedelta(hours=5, minutes=45))))
            assert_same(await records.apply(Save(MESSAGES, local)), [message])
            await self.gets(records, message)

    async def _equal_or_refused(self, records: Records, record: Any, field: str) -> None:
        try:
            await self.put(records, record)
        except (InvalidInputError, UnsupportedError) as refusal:
            assert field in str(refusal), f"the refusal must name the field {field!r}: {refusal}"
            await self.lacks(records, kind_of(record), record.id)
        else:
            await self.gets(records, record)


class IsolationContract(EngineUnderTest):
    """A store and its users share nothing that can be changed."""

    async def test_what_was_given_can_be_changed_afterwards(self, records: Records) -> None:
        """Editing a dict after it was saved edits no store."""
        metadata: dict[str, Json] = {"a": {"b": [1]}}
        content: dict[str, Json] = {"format": 2, "parts": []}
        await self.put(records, a_thread(metadata=metadata), a_message(content=content))
        metadata["a"]["b"].append(2)
        content["parts"].append("x")
        await self.gets(records, a_thread(metadata={"a": {"b": [1]}}))
        await self.gets(records, a_message(content={"format": 2, "parts": []}))

    async def test_what_was_answered_can_be_changed_afterwards(self, records: Records) -> None:
        """Editing what a read or a write answered edits no store, and no other answer."""
        expected = a_message(content={"format": 2, "parts": ["x"]})
        (saved,) = await records.apply(Save(MESSAGES, expected))
        saved.content["parts"].append("saved")
        read, again, (listed,) = await records.fetch(
            Get(MESSAGES, ("m",)), Get(MESSAGES, ("m",)), Query(MESSAGES, "by_thread", at={"thread_id": "t"})
        )
        for found in (read, again, listed):
            assert_same(found, expected)
            assert found is not None
            found.content["parts"].append("read")
        await self.gets(records, a_message(content={"format": 2, "parts": ["x"]}))

    async def test_what_was_patched_can_be_changed_afterwards(self, records: Records) -> None:
        """Editing a dict after it was patched in edits no store."""
        metadata: dict[str, Json] = {"a": [1]}
        await self.put(records, a_thread())
        await records.apply(Patch(THREADS, ("t",), put={"metadata": metadata}))
        metadata["a"].append(2)
        await self.gets(records, a_thread(metadata={"a": [1]}))


class ForeignRecordContract(EngineUnderTest):
    """Reading what others wrote; needs poke."""

    async def test_a_record_that_others_wrote_is_read(self, records: Records) -> None:
        """Threads, messages and resources of the TypeScript packages are there."""
        given: tuple[Any, ...] = (
            a_thread("t1", title="A title", metadata={"a": [1, None]}, created=1, updated=2),
            a_message("m1", content={"format": 2, "parts": [{"type": "text", "text": "é"}]}),
            a_resource("r1", working_memory="# Ada", metadata={"z": {}}, updated=3),
        )
        for record in given:
            if await self.poke(records.engine, kind_of(record), to_document(kind_of(record), record)):
                await self.gets(records, record)

    async def test_a_record_without_what_we_add_is_read_with_defaults(self, records: Records) -> None:
        """Rows of older versions lack fields, and are read all the same."""
        written = {
            "id": "t1",
            "resourceId": "r",
            "title": None,
            "createdAt": "2024-02-29T23:59:59.999Z",
            "updatedAt": "2024-02-29T23:59:59.999Z",
        }
        if await self.poke(records.engine, THREADS, written):
            assert_same(await records.fetch(Get(THREADS, ("t1",))), [a_thread("t1")])

    async def test_a_record_that_cannot_be_decoded_raises(self, records: Records) -> None:
        """A broken record is an error that names it, never an empty answer."""
        broken = to_document(RESOURCES, a_resource("broken")) | {"updatedAt": "yesterday"}
        if await self.poke(records.engine, RESOURCES, broken):
            try:
                (found,) = await records.fetch(Get(RESOURCES, ("broken",)))
            except StoredDataError as error:
                for named in ("mastra_resources", "broken", "updated_at", "yesterday"):
                    assert named in str(error), f"the error must name {named!r}: {error}"
            else:
                msg = f"a resource whose updatedAt is 'yesterday' was read as {found!r}; it must raise StoredDataError"
                raise AssertionError(msg)
        await self.put(records, a_resource("whole", updated=1))
        assert_same(await records.fetch(Get(RESOURCES, ("whole",))), [a_resource("whole", updated=1)])
