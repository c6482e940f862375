"""The real `@mastra/libsql` reads a file that we wrote, changes it, and we read that: nothing lost or altered."""

from __future__ import annotations

from mastra_core import clock
from mastra_core.storage import open_store
from mastra_core.storage.records.kinds import Message, Thread
from tests.interop.scripts import answer_of
from tests.interop.shapes import message, thread

START = clock.from_text("2024-01-01T00:00:00.000Z")
METADATA = {"list": [1, 2.5, None, True], "quoted": 'x"y\\z', "nested": {"empty": {}}, "big": 2**53 - 1}
TEXT = "line\u2028 separator, NUL \0, lone surrogate \ud83d, 日本語 🎉"


async def write(url: str) -> tuple[Thread, list[Message]]:
    """A thread, two messages and a resource, as our domain saves them."""
    async with open_store(url) as store:
        new = Thread(id="t1", resource_id="u1", title="Ünï", metadata=METADATA, created_at=START, updated_at=START)
        said = {"format": 2, "parts": [{"type": "text", "text": TEXT}], "content": TEXT, "metadata": {"tag": "b"}}
        messages = [Message(id="m1", thread_id="t1", content=said), Message(id="m2", thread_id="t1", role="assistant", content=said)]
        saved = await store.memory.save_turn(thread=new, messages=messages)
        await store.memory.update_resource("u1", working_memory="# Notes", metadata={"z": 1})
        stored = await store.memory.get_thread_by_id("t1")
        assert stored is not None
        return stored, list(saved)


async def test_typescript_reads_what_we_wrote_changes_it_and_we_read_that(shared_url: str) -> None:
    """Issue: "The real `@mastra/libsql` (…) read a file that we wrote, …, change it, and we read that: nothing lost or altered" (memory).

    Threads, messages, resources and filters, in both directions.
    """
    stored, saved = await write(shared_url)
    read = answer_of("change.mjs", shared_url)
    assert read["thread"] == thread(stored)
    assert read["messages"]["messages"] == [message(m) for m in saved]
    assert [m["id"] for m in read["tagged"]["messages"]] == ["m1", "m2"]
    assert read["found"]["total"] == 1
    assert (read["resource"]["workingMemory"], read["resource"]["metadata"]) == ("# Notes", {"z": 1})
    async with open_store(shared_url) as store:
        renamed = await store.memory.get_thread_by_id("t1")
        assert renamed is not None
        assert (renamed.title, renamed.metadata) == ("Renamed", {**METADATA, "added": [1, {}]})
        assert renamed.created_at == stored.created_at
        first, second, third = (await store.memory.list_messages("t1")).items
        assert first.content == {**saved[0].content, "metadata": {"tag": "b", "added": True}}
        assert second == saved[1]
        assert third.content["content"] == "from TypeScript"
        found = await store.memory.list_threads(filter={"metadata": {"quoted": 'x"y\\z'}})
        assert found.total == 1
        resource = await store.memory.get_resource_by_id("u1")
        assert resource is not None
        assert (resource.working_memory, resource.metadata) == ("changed", {"z": 1, "q": [1]})
