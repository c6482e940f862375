"""A database that the real TypeScript packages wrote is read as they read it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mastra_core.storage.domains.memory import MemoryDomain
from mastra_core.storage.libsql.store import LibSQLStore
from tests.interop.shapes import message

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


async def test_a_turn_is_read_from_what_typescript_wrote(memory: MemoryDomain, said: Mapping[str, Any]) -> None:
    """A Python agent goes on with a conversation that a TypeScript agent began."""
    turn = await memory.read_turn("thread-wm", resource_id="user-b", last=2, with_resource=True)
    expected: Sequence[Any] = said["messages.list.thread-wm.last2desc"]["messages"]
    assert [message(m) for m in turn.messages] == list(reversed(expected))
    assert turn.resource is not None
    assert turn.resource.working_memory == said["resource.user-b"]["workingMemory"]
