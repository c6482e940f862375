"""What a whole turn of an agent costs on the embedded default, with each feature on and off, counted by SQLite's own trace.

Issue 4: "Budgets of `semantics.md` §4 with each feature on and off, on libSQL, counted."
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mastra_core import Agent, Memory
from mastra_core.storage.libsql.store import LibSQLStore
from mastra_core.storage.libsql.vectors import LibSQLVector
from tests.tracing import Trace
from tests.unit.memory.talking import Talking, WordEmbedder, calls, says

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
READ, WRITE = 1, 1
"""Hops of a turn without features: one for the read, one for the write (semantics §4)."""

FEATURES: dict[str, tuple[dict[str, Any], int, int, int]] = {
    # Options; hops, statements that read, and statements that write besides BEGIN and COMMIT.
    "nothing": ({}, READ + WRITE, 2, 2),
    "working memory of the resource": ({"working_memory": True}, READ + WRITE, 3, 2),
    "working memory of the thread": ({"working_memory": {"scope": "thread"}}, READ + WRITE, 2, 2),
    "a title that is there": ({"generate_title": True}, READ + WRITE, 2, 2),
    "a token budget": ({"max_tokens": 100}, READ + WRITE, 2, 2),
    "read only": ({"read_only": True}, READ, 2, 0),
}


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Trace:
    """Everything SQLite runs from here on."""
    return Trace.installed(monkeypatch)


@pytest.fixture
async def store(tmp_path: Path, trace: Trace) -> AsyncIterator[LibSQLStore]:
    """A store in a fresh file."""
    async with LibSQLStore(url=f"file:{tmp_path}/budget.db") as store:
        yield store


def counted(statements: list[str]) -> tuple[int, int]:
    """How many statements read, and how many write; transactions are not counted."""
    inner = [sql for sql in statements if not sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]
    reads = [sql for sql in inner if sql.lstrip().startswith("SELECT")]
    return len(reads), len(inner) - len(reads)


@pytest.mark.parametrize("feature", FEATURES)
async def test_a_turn_costs_what_it_may_with_each_feature(store: LibSQLStore, trace: Trace, feature: str) -> None:
    """Must hold: "Budgets of `semantics.md` §4 with each feature on and off, on libSQL, counted".

    What is off costs nothing; the working memory rides on the read; a title that is there is not made again.
    """
    options, hops, reads, writes = FEATURES[feature]
    agent = Agent("a", model=Talking("Fine."), memory=Memory(store, options=options))
    await Agent("a", model=Talking("Fine."), memory=Memory(store)).generate("Hi", thread={"id": "t1", "title": "T"}, resource="u1")
    # Each reader thread opens its connection at its first work.
    for _ in range(8):
        await store.records.ping()
    trace.clear()
    await agent.generate("Hi again", **HERE)
    await agent.drain()
    found_hops, statements = trace.taken()
    assert (found_hops, *counted(statements)) == (hops, reads, writes), statements


async def test_a_title_costs_one_write_once(store: LibSQLStore, trace: Trace) -> None:
    """Must hold: "Budgets of `semantics.md` §4 with each feature on": "title + 1 write, once"."""
    agent = Agent("a", model=Talking("Fine."), memory=Memory(store, options={"generate_title": True}))
    trace.clear()
    await agent.generate("Hi", **HERE)
    first, _ = trace.taken()
    await agent.drain()
    title, statements = trace.taken()
    assert (first, title, counted(statements)[1]) == (READ + WRITE, 1, 1)


async def test_changing_the_working_memory_costs_one_write(store: LibSQLStore, trace: Trace) -> None:
    """The tool's update is a transaction of its own: what the model was told is kept is kept."""
    model = Talking(calls("updateWorkingMemory", memory="# Ada"), says("Fine."))
    agent = Agent("a", model=model, memory=Memory(store, options={"working_memory": True}))
    trace.clear()
    await agent.generate("I am Ada", **HERE)
    assert trace.taken()[0] == READ + WRITE + 1


async def test_recall_costs_a_search_a_read_and_a_write_of_vectors(store: LibSQLStore, trace: Trace, tmp_path: Path) -> None:
    """Must hold: "Budgets of `semantics.md` §4 with each feature on".

    Here: "semantic recall + 1 vector query + 1 read + 1 vector write (after the answer)".
    """
    async with LibSQLVector(url=f"file:{tmp_path}/vectors.db") as vector:
        options = {"semantic_recall": {"top_k": 2}, "last_messages": 1}
        agent = Agent("a", model=Talking("Fine."), memory=Memory(store, vector=vector, embedder=WordEmbedder(), options=options))
        for text in ("My cat is Tom", "I play piano"):
            await agent.generate(text, **HERE)
        trace.clear()
        result = await agent.generate("Which cat?", **HERE)
        assert result.similar
        assert trace.taken()[0] == READ + WRITE + 3
