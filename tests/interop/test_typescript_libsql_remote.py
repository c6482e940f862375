"""The real `@mastra/libsql` and we share a libSQL server: each reads and changes what the other wrote."""

from __future__ import annotations

from mastra_core.storage.libsql.store import LibSQLStore
from tests.interop.scripts import answer_of
from tests.interop.shapes import message, thread
from tests.interop.test_typescript_libsql import METADATA, write
from tests.servers.sqld import http


async def test_typescript_reads_what_we_wrote_on_a_server_changes_it_and_we_read_that(sqld_url: str) -> None:
    """A TypeScript service and a Python one may run on one Turso database."""
    stored, saved = await write(sqld_url)
    read = answer_of("change.mjs", http(sqld_url))
    assert read["thread"] == thread(stored)
    assert read["messages"]["messages"] == [message(m) for m in saved]
    async with LibSQLStore(url=sqld_url) as store:
        renamed = await store.memory.get_thread_by_id("t1")
        assert renamed is not None
        assert (renamed.title, renamed.metadata) == ("Renamed", {**METADATA, "added": [1, {}]})
        first, second, third = (await store.memory.list_messages("t1")).items
        assert first.content == {**saved[0].content, "metadata": {"tag": "b", "added": True}}
        assert second == saved[1]
        assert third.content["content"] == "from TypeScript"
        resource = await store.memory.get_resource_by_id("u1")
        assert resource is not None
        assert (resource.working_memory, resource.metadata) == ("changed", {"z": 1, "q": [1]})
        await store.memory.update_thread("t1", title="Ours", metadata={"added": None})
        merged = await store.memory.get_thread_by_id("t1")
        assert merged is not None
        assert merged.metadata == {**METADATA, "added": None}
