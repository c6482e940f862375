"""Semantic recall: what was said long ago is found by its meaning, whatever happens to messages, threads and the vector store."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, Mastra, Memory, MemoryOptions, SemanticRecall, ThreadNotFoundError
from mastra_core.storage.memory_store import InMemoryStore
from mastra_core.storage.records.kinds import Message
from tests.unit.agent.models import CountingStore
from tests.unit.memory.talking import FailingVector, Talking, WordEmbedder

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
INDEX = "memory_messages_7"


class World:
    """An agent that recalls, and everything it stands on."""

    def __init__(self, *, last_messages: int = 0, **recall: Any) -> None:
        self.store, self.vector, self.embedder, self.model = CountingStore(), FailingVector(), WordEmbedder(), Talking("Fine.")
        options = MemoryOptions(last_messages=last_messages, semantic_recall=SemanticRecall(**recall))
        self.memory = Memory(self.store, vector=self.vector, embedder=self.embedder, options=options)
        self.agent = Agent("a", model=self.model, memory=self.memory)

    async def say(self, *texts: str, **where: Any) -> None:
        for text in texts:
            await self.agent.generate(text, **(HERE | where))

    async def vectors(self) -> dict[str, Any]:
        """The metadata of every vector, by id."""
        if INDEX not in await self.vector.list_indexes():
            return {}
        found = await self.vector.query(INDEX, query_vector=[1.0] * 7, top_k=1000)
        return {match.id: match.metadata for match in found}


async def test_what_means_the_same_is_found_with_its_score_and_neighbours() -> None:
    """The fact itself and the message on each side of it go to the model; the result says why, by score."""
    world = World(top_k=1)
    await world.say("My cat is Tom", "I play piano", "I bake bread")
    result = await world.agent.generate("Which cat do I have?", **HERE)
    assert [recalled.message.content["content"] for recalled in result.similar] == ["My cat is Tom"]
    assert result.similar[0].score > 0.9
    assert world.model.said() == ["My cat is Tom", "Fine.", "Which cat do I have?"]
    assert result.missed == ()


async def test_a_message_that_is_read_anyway_is_not_shown_twice() -> None:
    """History and recall overlap."""
    world = World(last_messages=10, top_k=2)
    await world.say("My cat is Tom")
    result = await world.agent.generate("Which cat?", **HERE)
    assert world.model.said() == ["My cat is Tom", "Fine.", "Which cat?"]
    assert result.similar[0].message.content["content"] == "My cat is Tom"


async def test_resource_scope_finds_other_threads_and_says_so() -> None:
    """What was said in another thread of the user is told as such; another user's is never found."""
    world = World(top_k=1)
    await world.say("My cat is Kitty", thread="hers", resource="u2")
    await world.say("My cat is Tom", thread="old")
    await world.agent.generate("Which cat?", **HERE)
    assert "user: My cat is Tom" in world.model.system()
    assert "Kitty" not in world.model.system()
    assert world.model.said() == ["Which cat?"]


async def test_thread_scope_stays_in_the_thread() -> None:
    """Contract §5.6: the filter is the thread then."""
    world = World(top_k=3, scope="thread")
    await world.say("My cat is Tom", thread="old")
    result = await world.agent.generate("Which cat?", **HERE)
    assert result.similar == ()
    await world.say("My cat is Tom")
    result = await world.agent.generate("Which cat?", **HERE)
    assert {recalled.message.thread_id for recalled in result.similar} == {"t1"}


async def test_threshold_filter_range_and_index_name_are_obeyed() -> None:
    """Each option does what it says."""
    world = World(top_k=5, threshold=0.9, message_range={"before": 0, "after": 1}, index_name="mine", filter={"role": "user"})
    await world.say("My cat is Tom", "I play piano")
    assert await world.vector.list_indexes() == ["mine"]
    answers = {"semantic_recall": {"filter": {"role": "assistant"}, "threshold": 0.0}}
    result = await world.agent.generate("Which cat?", **HERE, options=answers | {"read_only": True})
    assert {recalled.message.role for recalled in result.similar} == {"assistant"}
    result = await world.agent.generate("Which cat?", **HERE)
    assert [recalled.message.content["content"] for recalled in result.similar] == ["My cat is Tom"]
    assert world.model.said() == ["My cat is Tom", "Fine.", "Which cat?"]


async def test_a_vector_is_what_typescript_writes() -> None:
    """Contract §5.6: index name by dimension, vector id = message id, metadata of the agent path."""
    world = World()
    await world.say("My cat is Tom")
    user, answer = await world.store.memory.list_messages("t1")
    assert await world.vectors() == {
        message.id: {
            "message_id": message.id,
            "thread_id": "t1",
            "resource_id": "u1",
            "role": message.role,
            "content": message.content["content"],
            "created_at": message.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        for message in (user, answer)
        if message.created_at is not None
    }


async def test_a_turn_costs_one_query_one_read_and_one_vector_write() -> None:
    """Semantics §4: + 1 vector query + 1 read + 1 vector write; one embedding a message, the question's is used again."""
    world = World(last_messages=10)
    await world.say("My cat is Tom")
    world.store.batches(), world.vector.calls(), world.embedder.asked.clear()
    await world.say("Which cat?")
    assert world.store.batches() == ["fetch", "fetch", "apply"]
    assert world.vector.calls() == ["query", "upsert"]
    # "Fine." was embedded with the turn before.
    assert world.embedder.asked == [["Which cat?"]]


async def test_switched_off_it_costs_nothing() -> None:
    """A vector store and an embedder alone do not switch it on."""
    store, vector, embedder = CountingStore(), FailingVector(), WordEmbedder()
    await Agent("a", model=Talking(), memory=Memory(store, vector=vector, embedder=embedder)).generate("Hi", **HERE)
    assert (store.batches(), vector.calls(), embedder.asked) == (["fetch", "apply"], [], [])


@pytest.mark.parametrize("broken", ["vector", "embedder"])
async def test_a_vector_store_that_is_down_does_not_fail_the_run(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer comes and is saved; that something was missed is logged, counted and in the result; reindex makes up for it."""
    world = World()
    await world.say("My cat is Tom")
    getattr(world, broken).down = True
    with caplog.at_level(logging.WARNING, logger="mastra_core.memory"):
        result = await world.agent.generate("I moved to Lisbon", **HERE)
    assert result.text == "Fine."
    assert [what.split(":")[0] for what in result.missed] == [
        "nothing could be recalled by meaning",
        "2 messages were saved without vectors; make up for it with",
    ]
    assert world.memory.missed == 2
    assert len(caplog.records) == 2
    assert len((await world.store.memory.list_messages("t1")).items) == 4
    getattr(world, broken).down = False
    seen: list[tuple[int, int]] = []
    assert await world.memory.reindex(on_progress=lambda looked, embedded: seen.append((looked, embedded))) == 2
    assert seen == [(4, 2)]
    assert len(await world.vectors()) == 4
    assert await world.memory.reindex() == 0


async def test_vectors_follow_updates_deletes_and_clones_of_messages() -> None:
    """Issue 4: no vector of what is gone, none of what it was before, and a clone is found too."""
    world = World(top_k=1)
    await world.say("My cat is Tom", "I play piano")
    cat, _, piano, _ = await world.store.memory.list_messages("t1")
    content = {"format": 2, "parts": [{"type": "text", "text": "My dog is Rex"}], "content": "My dog is Rex"}
    await world.memory.update_messages([{"id": cat.id, "content": content}])
    assert (await world.vectors())[cat.id]["content"] == "My dog is Rex"
    await world.memory.delete_messages([piano.id])
    assert piano.id not in await world.vectors()
    clone = await world.memory.clone_thread("t1", new_thread_id="t2")
    assert clone.count == 3
    assert {metadata["thread_id"] for metadata in (await world.vectors()).values()} == {"t1", "t2"}
    await world.memory.delete_thread("t1")
    assert {metadata["thread_id"] for metadata in (await world.vectors()).values()} == {"t2"}


async def test_saved_messages_are_found_too() -> None:
    """Messages that did not come from a run: imported history."""
    world = World(top_k=1)
    await world.memory.create_thread(thread_id="t1", resource_id="u1")
    content = {"format": 2, "parts": [{"type": "text", "text": "My cat is Tom"}]}
    await world.memory.save_messages([Message(id="m1", thread_id="t1", resource_id="u1", content=content)])
    result = await world.agent.generate("Which cat?", **HERE)
    assert [recalled.message.id for recalled in result.similar] == ["m1"]


async def test_recall_without_a_run_searches_too() -> None:
    """`memory.recall(vector_search_string=…)`, as in the seeds."""
    world = World(top_k=1, message_range=0)
    await world.say("My cat is Tom", "I play piano", "I bake bread")
    page = await world.memory.recall(thread_id="t1", resource_id="u1", vector_search_string="cat", per_page=0)
    assert [message.content["content"] for message in page] == ["My cat is Tom"]
    elsewhere = await world.memory.recall(thread_id="not begun", resource_id="u1", vector_search_string="cat", per_page=0)
    assert [message.content["content"] for message in elsewhere] == ["My cat is Tom"]
    with pytest.raises(ThreadNotFoundError):
        await world.memory.recall(thread_id="not begun", resource_id="u1")
    with pytest.raises(ConfigurationError, match="no resourceId was provided"):
        await world.memory.recall(thread_id="t1", vector_search_string="cat")


async def test_without_vector_store_or_embedder_it_is_refused_at_once() -> None:
    """The message says what to give, before the model is asked."""
    model = Talking()
    for given, missing in (({}, "requires a vector store"), ({"vector": FailingVector()}, "requires an embedder")):
        agent = Agent("a", model=model, memory=Memory(InMemoryStore(), options={"semantic_recall": True}, **given))
        with pytest.raises(ConfigurationError, match=missing):
            await agent.generate("Hi", **HERE)
    assert model.requests == []


async def test_an_agent_uses_those_of_its_mastra_unless_its_memory_has_its_own() -> None:
    """`Mastra(vector=…, embedder=…)`; `Memory(vector=…)` wins."""
    shared, own = FailingVector(), FailingVector()
    embedder = WordEmbedder()
    options = MemoryOptions(semantic_recall=True)
    agents = {
        "a": Agent("a", model=Talking(), memory=Memory(options=options)),
        "b": Agent("b", model=Talking(), memory=Memory(vector=own, options=options)),
    }
    async with Mastra(storage=InMemoryStore(), vector=shared, embedder=embedder, agents=agents) as mastra:
        await mastra.get_agent("a").generate("Hi", thread="ta", resource="u1")
        await mastra.get_agent("b").generate("Hi", thread="tb", resource="u1")
        assert (shared.calls(), own.calls()) == (["query", "upsert", "upsert"], ["query", "upsert", "upsert"])
