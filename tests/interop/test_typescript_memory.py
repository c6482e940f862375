"""A Memory of the real `@mastra/memory` goes on with conversations that Python wrote, and Python goes on with what it left."""

from __future__ import annotations

import attrs

from mastra_core import clock
from mastra_core.storage import open_store
from mastra_core.storage.records.kinds import Message, Thread
from mastra_core.testing.equality import assert_same
from tests.interop.scripts import answer_of
from tests.interop.shapes import message, thread
from tests.interop.test_typescript_libsql import METADATA, START, TEXT

OURS = {"format": 2, "parts": [{"type": "text", "text": TEXT}], "content": TEXT, "metadata": {"tag": "b", "odd": METADATA}}
THEIRS = {"format": 2, "parts": [{"type": "text", "text": "from TypeScript"}], "content": "from TypeScript"}


async def write(url: str) -> tuple[Thread, list[Message]]:
    """A thread of three messages with working memory of its own, a clone, another thread, and a resource with working memory."""
    new = Thread(id="t1", resource_id="u1", title="Ünï", created_at=START, updated_at=START)
    new = attrs.evolve(new, metadata={**METADATA, "workingMemory": "# Thread"})
    turn = [Message(id=f"m{n}", thread_id="t1", role=role, content=OURS) for n, role in enumerate(("user", "assistant", "user"), 1)]
    async with open_store(url) as store:
        saved = await store.memory.save_turn(thread=new, messages=turn)
        await store.memory.clone_thread("t1", new_thread_id="our-copy")
        other = attrs.evolve(new, id="t2")
        await store.memory.save_turn(thread=other, messages=[Message(id="n1", thread_id="t2", content=OURS)])
        await store.memory.update_resource("u1", working_memory="# User\n- **Name**: Ada", metadata={"z": 1})
        stored = await store.memory.get_thread_by_id("t1")
    assert stored is not None
    return stored, list(saved)


async def test_a_memory_of_typescript_goes_on_with_our_threads_and_we_with_its(shared_url: str) -> None:
    """Issue: "The real (…) `@mastra/memory` (…) read a file that we wrote, …, change it, and we read that: nothing lost or altered"."""
    stored, saved = await write(shared_url)
    read = answer_of("memory.mjs", shared_url)
    assert_same(read["thread"], thread(stored))
    assert sorted(found["id"] for found in read["threads"]["threads"]) == ["our-copy", "t1", "t2"]
    assert_same(read["recalled"]["messages"], [message(m) for m in saved[1:]])
    assert_same(read["all"]["messages"], [message(m) for m in saved])
    assert (read["working"], read["workingOfThread"]) == ("# User\n- **Name**: Ada", "# Thread")
    assert read["source"] == read["thread"]
    assert read["foreign"] == "Thread with id t1 is for resource with id u1 but resource u2 was queried."
    async with open_store(shared_url) as store:
        renamed, gone, copy = [await store.memory.get_thread_by_id(name) for name in ("t1", "t2", "copy")]
        messages = (await store.memory.list_messages("t1", per_page=None)).items
        copied = (await store.memory.list_messages("copy", per_page=None)).items
        left = (await store.memory.list_messages("t2", per_page=None)).items
        resource = await store.memory.get_resource_by_id("u1")
    assert renamed is not None
    metadata = {**METADATA, "workingMemory": "# Thread\n- **Topic**: trams", "added": [1, {}]}
    assert_same(renamed, attrs.evolve(stored, title="Renamed", metadata=metadata, updated_at=renamed.updated_at))
    last = saved[-1].created_at
    assert last is not None
    said = [attrs.evolve(saved[0], id=name, role=role, content=THEIRS) for name, role in (("m4", "user"), ("m5", "assistant"))]
    said = [attrs.evolve(m, created_at=last + later * clock.MILLISECOND) for later, m in enumerate(said, 1)]
    assert_same(messages, [saved[0], saved[2], *said])
    assert (gone, left) == (None, ())
    assert resource is not None
    assert (resource.working_memory, resource.metadata) == ("# User\n- **Name**: Ada, née Byron", {"z": 1})
    assert copy is not None
    assert_same(thread(copy), read["cloned"]["thread"])
    assert_same([attrs.evolve(m, id="") for m in copied], [attrs.evolve(m, id="", thread_id="copy") for m in [*saved, *said]])
