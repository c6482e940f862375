"""Semantic recall on MongoDBVector: an agent finds what was said long ago by its meaning, on a server with and without search indexes."""

from __future__ import annotations

from typing import Any

from mastra_core import Agent, Memory, MemoryOptions, SemanticRecall
from mastra_core.storage import InMemoryStore
from mastra_mongodb import MongoDBVector
from tests.unit.memory.talking import Talking, WordEmbedder

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}


async def test_what_was_said_is_found_by_its_meaning_and_forgotten_with_its_thread(mongodb_url: str) -> None:
    """The index makes itself, another user's words are not found, and a removed thread leaves no vectors."""
    await remember_and_forget(mongodb_url)


async def test_it_is_along_a_search_index_too(mongodb_search_url: str) -> None:
    """The same on a server that searches by itself."""
    await remember_and_forget(mongodb_search_url)


async def remember_and_forget(url: str) -> None:
    """What both tests promise."""
    async with MongoDBVector(uri=url) as vector:
        options = MemoryOptions(last_messages=0, semantic_recall=SemanticRecall(top_k=1, message_range=0))
        memory = Memory(InMemoryStore(), vector=vector, embedder=WordEmbedder(), options=options)
        model = Talking("Fine.")
        agent = Agent("a", model=model, memory=memory)
        await agent.generate("My cat is Kitty", thread="hers", resource="u2")
        for text in ("My cat is Tom", "I play piano", "I bake bread"):
            await agent.generate(text, thread="old", resource="u1")
        result = await agent.generate("Which cat do I have?", **HERE)
        assert [recalled.message.content["content"] for recalled in result.similar] == ["My cat is Tom"]
        assert result.similar[0].score > 0.9
        (index,) = await vector.list_indexes()
        assert index == "memory_messages_7"
        of_old = {"thread_id": "old"}
        (said, *_) = await vector.query(index, query_vector=[1.0] * 7, top_k=100, filter=of_old)
        assert set(said.metadata) == {"message_id", "thread_id", "resource_id", "role", "content", "created_at"}
        await memory.delete_thread("old")
        assert await vector.query(index, query_vector=[1.0] * 7, top_k=100, filter=of_old) == []
        assert (await agent.generate("Which cat do I have?", thread="t2", resource="u1")).similar[0].message.thread_id == "t1"
