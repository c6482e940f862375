"""Semantic recall on RedisVector: an agent finds what was said long ago by its meaning, on a server with and without search."""

from __future__ import annotations

from mastra_core import Agent, Memory, MemoryOptions, SemanticRecall
from mastra_core.storage import InMemoryStore
from mastra_redis import RedisVector
from tests.unit.memory.talking import Talking, WordEmbedder


async def test_what_was_said_is_found_by_its_meaning_and_forgotten_with_its_thread(redis_url):
    """The index makes itself, another user's words are not found, and a removed thread leaves no vectors."""
    await remember_and_forget(redis_url)


async def test_it_is_along_a_search_index_too(redis_search_url):
    """The same on a server that searches by itself."""
    await remember_and_forget(redis_search_url)


async def test_it_is_on_a_cluster_too(redis_cluster_url):
    """The same where the index lies in one slot."""
    await remember_and_forget(redis_cluster_url.replace("redis://", "redis+cluster://"))


async def remember_and_forget(url):
    """What the tests promise."""
    async with RedisVector(connection_string=url) as vector:
        options = MemoryOptions(last_messages=0, semantic_recall=SemanticRecall(top_k=1, message_range=0))
        memory = Memory(InMemoryStore(), vector=vector, embedder=WordEmbedder(), options=options)
        agent = Agent("a", model=Talking("Fine."), memory=memory)
        await agent.generate("My cat is Kitty", thread="hers", resource="u2")
        for text in ("My cat is Tom", "I play piano", "I bake bread"):
            await agent.generate(text, thread="old", resource="u1")
        result = await agent.generate("Which cat do I have?", thread="t1", resource="u1")
        assert [recalled.message.content["content"] for recalled in result.similar] == ["My cat is Tom"]
        assert result.similar[0].score > 0.9
        (index,) = await vector.list_indexes()
        of_old = {"thread_id": "old"}
        assert await vector.query(index, query_vector=[1.0] * 7, top_k=100, filter=of_old) != []
        await memory.delete_thread("old")
        assert await vector.query(index, query_vector=[1.0] * 7, top_k=100, filter=of_old) == []
        assert (await agent.generate("Which cat do I have?", thread="t2", resource="u1")).similar[0].message.thread_id == "t1"
