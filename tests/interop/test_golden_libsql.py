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


async def test_a_turn_is_read_from_what_typescript_wrote(memory: MemoryDomain, said: Mapping[str, Any]) -> None:
    """A Python agent goes on with a conversation that a TypeScript agent began."""
    turn = await memory.read_turn("thread-wm", resource_id="user-b", last=2, with_resource=True)
    expected: Sequence[Any] = said["messages.list.thread-wm.last2desc"]["messages"]
    assert [message(m) for m in turn.messages] == list(reversed(expected))
    assert turn.resource is not None
    assert turn.resource.working_memory == said["resource.user-b"]["workingMemory"]
