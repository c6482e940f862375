"""Erasure over everything that a program uses: its storage, its agents' own stores, and vectors."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, Mastra, Memory, StorageError
from mastra_core.storage import InMemoryStore, Message
from mastra_core.storage.erasing import Erased
from mastra_core.storage.records.changes import Delete
from mastra_core.storage.records.kinds import THREADS
from mastra_core.storage.vectors.inmemory import InMemoryVector
from mastra_core.testing.retention.under_test import keep, run, score, trace
from tests.unit.agent.models import ScriptedModel


async def filled(vector: InMemoryVector, *told: dict[str, str]) -> InMemoryVector:
    for name in ("memory_messages", "other"):
        await vector.create_index(name, dimension=2)
        await vector.upsert(name, vectors=[[1.0, 0.0]] * len(told), metadata=list(told))
    return vector


async def test_a_resource_is_erased_from_every_store_and_vector_store_at_once() -> None:
    """An agent's own store has the thread, the instance's the traces and scores that name it alone: all of it goes, and is counted once."""
    shared, own = InMemoryStore(id="shared"), InMemoryStore(id="own")
    told = {"thread_id": "t", "resource_id": "ada"}
    vector = await filled(InMemoryVector(), told, {"thread_id": "t", "resource_id": "someone"}, {"thread_id": "x", "resource_id": "bob"})
    agents = {
        "own": Agent("own", model=ScriptedModel(), memory=Memory(storage=own)),
        "shared": Agent("shared", model=ScriptedModel(), memory=Memory()),
    }
    async with Mastra(storage=shared, vector=vector, agents=agents) as mastra:
        await keep(own, "t", "m1", "m2")
        await keep(shared, "u", "m3")
        await keep(shared, "x", "m4", owner="bob")
        await score(shared, "s", thread_id="t")
        await trace(shared, "trace", thread_id="t")
        await run(shared, "r", resource_id="ada")
        assert await mastra.erase(resource_id="ada") == Erased(threads=2, messages=3, vectors=4, runs=1, scores=1, spans=3)
        assert await mastra.erase(resource_id="ada") == Erased()
        assert (await vector.describe_index("other")).count == 1
        assert (await mastra.erase(thread_id="x")).total == 4


@pytest.mark.parametrize(
    "given, text",
    [
        ({}, "found none"),
        ({"resource_id": "r", "thread_id": "t"}, r"found \['resource_id', 'thread_id'\]"),
        ({"resource_id": None}, "none"),
    ],
)
async def test_exactly_one_thing_is_erased(given: dict[str, Any], text: str) -> None:
    """A call that forgot to say whom erases nothing."""
    async with Mastra(storage=InMemoryStore()) as mastra:
        with pytest.raises(ConfigurationError, match=rf"erase takes exactly one of .*{text}"):
            await mastra.erase(**given)


@pytest.mark.parametrize("bad", ["", "a\0", 7])
async def test_an_id_that_names_nothing_is_refused(bad: Any) -> None:
    """Before anything is erased."""
    async with Mastra(storage=InMemoryStore()) as mastra:
        with pytest.raises(ValueError, match="resource_id"):
            await mastra.erase(resource_id=bad)


async def test_a_failure_in_the_middle_says_what_is_erased_and_calling_again_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is gone when the scores cannot be reached; the error has the counts, and the next call does the rest."""
    store = InMemoryStore()
    await keep(store, "t", "m1", "m2")
    await score(store, "s", resource_id="ada")
    purge, calls = store.records.purge, iter(range(100))

    async def broken(query: Any, *, limit: int = 1000) -> int:
        if query.kind.name == "mastra_scorers" and next(calls) == 0:
            msg = "the network is gone"
            raise StorageError(msg)
        return await purge(query, limit=limit)

    monkeypatch.setattr(store.records, "purge", broken)
    async with Mastra(storage=store) as mastra:
        with pytest.raises(StorageError, match="the network is gone") as caught:
            await mastra.erase(resource_id="ada")
        assert "threads=1, messages=2" in caught.value.__notes__[0]
        assert "call erase again" in caught.value.__notes__[0]
        assert await mastra.erase(resource_id="ada") == Erased(scores=1)


async def test_a_save_between_looking_and_removing_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrowest race: a run saves after the thread's messages were read and before the thread goes; its message goes as well."""
    store = InMemoryStore()
    await keep(store, "t", "m1")
    apply, saved = store.records.apply, iter([False])

    async def late(*changes: Any, atomic: bool = True) -> list[Any]:
        if isinstance(changes[0], Delete) and changes[0].kind is THREADS and next(saved, True) is False:
            await store.memory.save_messages([Message(id="late", thread_id="t", resource_id="someone")])
        return await apply(*changes, atomic=atomic)

    monkeypatch.setattr(store.records, "apply", late)
    assert await store.erase(resource_id="ada") == Erased(threads=1, messages=2)
    assert await store.erase(thread_id="t") == Erased()


def test_erasure_works_without_an_event_loop() -> None:
    """`mastra.sync.erase(…)`."""
    with Mastra(storage=InMemoryStore()).sync as mastra:
        assert mastra.erase(resource_id="nobody").total == 0
