"""A database that the real TypeScript packages wrote is read as they read it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.domains.paging import Page
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.records.kinds import Message, Thread

GOLDEN = Path(__file__).parent / "golden" / "libsql"
THREADS = ("thread-plain", "thread-tool", "thread-wm", "thread-edge")
EVERY = {"per_page": None}


@pytest.fixture(scope="session")
def said() -> Mapping[str, Any]:
    """What the TypeScript API answered to each call, by the name of the call."""
    return json.loads((GOLDEN / "readback.json").read_text())["results"]


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[MemoryDomain]:
    """The memory domain over a copy of the golden database."""
    shutil.copy(GOLDEN / "golden.db", tmp_path / "golden.db")
    async with LibSQLStore(url=f"file:{tmp_path}/golden.db") as store:
        yield store.memory


def thread(record: Thread) -> dict[str, Any]:
    """A thread as TypeScript shows it."""
    return {
        "id": record.id, "resourceId": record.resource_id, "title": record.title, "metadata": record.metadata,
        "createdAt": clock.to_text(record.created_at), "updatedAt": clock.to_text(record.updated_at),
    }  # fmt: skip


def message(record: Message) -> dict[str, Any]:
    """A message as TypeScript shows it: it hides the type "v2"."""
    assert record.created_at is not None
    shown = {
        "id": record.id, "threadId": record.thread_id, "resourceId": record.resource_id, "role": record.role,
        "content": record.content, "createdAt": clock.to_text(record.created_at),
    }  # fmt: skip
    return shown if record.type == "v2" else {**shown, "type": record.type}


def threads(page: Page[Thread]) -> dict[str, Any]:
    """A page of threads as TypeScript shows it."""
    per_page = False if page.per_page is None else page.per_page
    return {"threads": [thread(t) for t in page], "total": page.total, "page": page.page, "perPage": per_page, "hasMore": page.has_more}


def messages(page: Page[Message]) -> dict[str, Any]:
    """A page of messages as TypeScript shows it."""
    per_page = False if page.per_page is None else page.per_page
    return {"messages": [message(m) for m in page], "total": page.total, "page": page.page, "perPage": per_page, "hasMore": page.has_more}


async def test_threads_read_back_as_typescript_reads_them(memory: MemoryDomain, said: Mapping[str, Any]) -> None:
    """Issue: "`golden/libsql/golden.db`: threads and messages read back equal to `readback.json`" (threads)."""
    for name, expected in said["threads.getById"].items():
        found = await memory.get_thread_by_id(name)
        assert found is not None
        assert thread(found) == expected
    assert await memory.get_thread_by_id("nope") is None
    assert threads(await memory.list_threads(per_page=None)) == said["threads.list.all"]
    for resource in ("user-a", "user-b", "user-c-edge", "nobody"):
        page = await memory.list_threads(filter={"resource_id": resource}, per_page=None)
        assert threads(page) == said[f"threads.list.resource={resource}"]
    first = await memory.list_threads(
        filter={"resource_id": "user-a"}, page=0, per_page=1, order_by={"field": "created_at", "direction": "ASC"}
    )
    assert threads(first) == said["threads.list.page0of1.createdAtASC"]
    second = await memory.list_threads(
        filter={"resource_id": "user-a"}, page=1, per_page=1, order_by={"field": "updated_at", "direction": "DESC"}
    )
    assert threads(second) == said["threads.list.page1of1.updatedAtDESC"]
    assert threads(await memory.list_threads(filter={"metadata": {"pinned": True}})) == said["threads.list.metadata"]


async def test_messages_read_back_as_typescript_reads_them(memory: MemoryDomain, said: Mapping[str, Any]) -> None:
    """Issue: "`golden/libsql/golden.db`: threads and messages read back equal to `readback.json`" (messages)."""
    for name in THREADS:
        assert messages(await memory.list_messages(name, per_page=None, include_total=True)) == said[f"messages.list.{name}.all"]
        newest = await memory.list_messages(name, per_page=2, order_by={"direction": "DESC"}, include_total=True)
        assert messages(newest) == said[f"messages.list.{name}.last2desc"]
    several = await memory.list_messages(["thread-plain", "thread-tool"], per_page=None, include_total=True)
    assert messages(several) == said["messages.list.multi"]
    assert (
        messages(await memory.list_messages("thread-plain", resource_id="user-b", per_page=None, include_total=True))
        == (said["messages.list.otherResource"])
    )


async def test_filters_and_windows_of_messages_answer_as_in_typescript(memory: MemoryDomain, said: Mapping[str, Any]) -> None:
    """Issue: "`golden/libsql/golden.db`: threads and messages read back equal to `readback.json`" (filters and windows)."""
    tagged = await memory.list_messages("thread-edge", filter={"metadata": {"tag": "b"}}, per_page=None, include_total=True)
    assert messages(tagged) == said["messages.list.edge.metadata"]
    start = clock.from_text("2025-01-02T03:04:05.680Z")
    span = {"date_range": {"start": start, "end": start + clock.MILLISECOND}}
    assert (
        messages(await memory.list_messages("thread-edge", filter=span, per_page=None, include_total=True))
        == (said["messages.list.edge.dateRange"])
    )
    window = [{"id": "edge-msg-2", "with_previous_messages": 1, "with_next_messages": 1}]
    assert messages(await memory.list_messages("thread-edge", per_page=0, include=window)) == said["messages.list.edge.include"]
    first = said["messages.list.thread-plain.all"]["messages"][0]["id"]
    window = [{"id": first, "with_next_messages": 2}]
    assert messages(await memory.list_messages("thread-plain", per_page=0, include=window)) == said["messages.list.plain.include.perPage0"]


async def test_a_turn_is_read_from_what_typescript_wrote(memory: MemoryDomain, said: Mapping[str, Any]) -> None:
    """A Python agent goes on with a conversation that a TypeScript agent began."""
    turn = await memory.read_turn("thread-wm", resource_id="user-b", last=2, with_resource=True)
    expected: Sequence[Any] = said["messages.list.thread-wm.last2desc"]["messages"]
    assert [message(m) for m in turn.messages] == list(reversed(expected))
    assert turn.resource is not None
    assert turn.resource.working_memory == said["resource.user-b"]["workingMemory"]
