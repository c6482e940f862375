"""The same small agent in both languages, on one file, and what the models of either were asked, in one form.

Knows how prompts of AI SDK models and our ModelRequest say the same. Must not know what a test expects.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs

from mastra_core import Agent, GenerateTitle, Memory, MemoryOptions, SemanticRecall, WorkingMemory
from mastra_core.agent.model import ModelMessage, ModelReply, ModelRequest
from mastra_core.storage import LibSQLStore, LibSQLVector
from mastra_core.storage.records.kinds import Message, Resource, Thread
from tests.interop.scripts import answer_of
from tests.unit.memory.talking import WORDS, Talking, WordEmbedder

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
INDEX = f"memory_messages_{WordEmbedder.dimension}"
WEATHER: dict[str, Any] = {"celsius": 12.5, "sky": None, "wind": []}
NEAR = 0.9
"""The score above which messages are recalled: those that have the same of WORDS as the question, and no others."""

Step = tuple[str, Any]
"""One thing in a prompt: who said what, a "call" of a tool, or the "result" of one."""


def get_weather(city: str) -> dict[str, Any] | None:
    """The weather of a city."""
    if city == "Nowhere":
        return None
    if city == "Atlantis":
        msg = "no such city"
        raise ValueError(msg)
    return {"city": city, **WEATHER}


@attrs.frozen
class Ours:
    """An agent of ours, its models, and where it remembers."""

    agent: Agent
    memory: Memory
    model: Talking
    titles: Talking
    store: LibSQLStore
    vector: LibSQLVector

    async def messages(self, thread_id: str = "t1") -> tuple[Message, ...]:
        return (await self.store.memory.list_messages(thread_id, per_page=None)).items

    async def thread(self, thread_id: str = "t1") -> Thread:
        found = await self.store.memory.get_thread_by_id(thread_id)
        assert found is not None
        return found

    async def resource(self) -> Resource:
        found = await self.store.memory.get_resource_by_id("u1")
        assert found is not None
        return found

    async def assert_embedded(self, *thread_ids: str) -> None:
        """Each message of these threads has one vector, and there are no others."""
        found = await self.vector.query(INDEX, query_vector=[1.0] * WordEmbedder.dimension, top_k=1000)
        stored = [one.id for thread_id in thread_ids for one in await self.messages(thread_id)]
        assert sorted(str(match.metadata["message_id"]) for match in found) == sorted(stored)


@asynccontextmanager
async def ours(
    url: str, *replies: ModelReply | str, last_messages: int = 10, working_memory: WorkingMemory | None = None, title: str = "Our title"
) -> AsyncIterator[Ours]:
    """Our agent on this file, whose model answers with *replies*; "" for *title* makes no titles."""
    model, titles = Talking(*replies), Talking(title)
    options = MemoryOptions(
        last_messages=last_messages,
        semantic_recall=SemanticRecall(top_k=3, message_range=0, threshold=NEAR),
        working_memory=working_memory or True,
        generate_title=GenerateTitle(model=titles) if title else False,
    )
    async with LibSQLStore(url=url) as store, LibSQLVector(url=url) as vector:
        memory = Memory(store, vector=vector, embedder=WordEmbedder(), options=options)
        agent = Agent("a", instructions="Be brief.", model=model, memory=memory, tools=[get_weather])
        yield Ours(agent, memory, model, titles, store, vector)
        await agent.drain()


Answer = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Of the model of TypeScript, to one request: a text, a `call`, or several of both."""


def turn(says: str | Sequence[Any], *answers: Answer, thread: str = "t1", resource: str = "u1") -> dict[str, Any]:
    """What is said to the agent of TypeScript (a text, or messages as AI SDK has them), and what its model answers to each request."""
    return {"thread": thread, "resource": resource, "says": says, "answers": [_contents(answer) for answer in answers]}


def _contents(answer: Answer) -> Sequence[Mapping[str, Any]]:
    if isinstance(answer, str):
        return [{"text": answer}]
    return [answer] if isinstance(answer, Mapping) else answer


def call(name: str, call_id: str, **arguments: Any) -> dict[str, Any]:
    """A call of a tool, as an answer of the model of TypeScript."""
    return {"call": name, "id": call_id, "args": arguments}


def theirs(
    url: str,
    *turns: Mapping[str, Any],
    last_messages: int = 10,
    working_memory: Mapping[str, Any] | None = None,
    title: str = "Their title",
    approval: bool = False,
    forget_thread: str = "",
    forget_message: str = "",
) -> Any:
    """What the agent of TypeScript on this file was asked in these *turns*, and what its Memory reads of t1 after them.

    Its options are those of `ours`. With *approval* its tool waits for a person. What it is to forget, it forgets after the turns.
    """
    options = {
        "lastMessages": last_messages,
        "semanticRecall": {"topK": 3, "messageRange": 0, "threshold": NEAR},
        "workingMemory": {"enabled": True, **(working_memory or {})},
    }
    plan = {"options": options, "title": title, "words": WORDS, "approval": approval, "turns": turns, "read": ["t1", "u1"]}
    plan |= {"forgetThread": forget_thread, "forgetMessage": forget_message}
    return answer_of("conversation.mjs", url, json.dumps(plan))


def their_steps(asked: Mapping[str, Any]) -> list[Step]:
    """What a model of TypeScript was asked, without system messages."""
    return [_their_step(one["role"], part) for one in asked["prompt"] if one["role"] != "system" for part in one["content"]]


def _their_step(role: str, part: Mapping[str, Any]) -> Step:
    if part["type"] == "tool-call":
        return "call", (part["toolCallId"], part["toolName"], part["input"])
    if part["type"] == "tool-result":
        return "result", (part["toolCallId"], part["output"]["value"])
    if part["type"] == "file":
        return "file", (part["mediaType"], part["data"])
    return (role, part["text"]) if part["type"] == "text" else (part["type"], part["text"])


def our_steps(request: ModelRequest) -> list[Step]:
    """What a model of ours was asked, without system messages."""
    return [step for one in request.messages if one.role != "system" for step in _our_step(one)]


def _our_step(one: ModelMessage) -> list[Step]:
    if one.role == "tool":
        return [("result", (one.tool_call_id, json.loads(one.text) if one.text.startswith("{") else one.text))]
    spoken: list[Step] = [(one.role, one.text)] if one.text else []
    files: list[Step] = [("file", (file.media_type, file.url)) for file in one.files]
    return [*spoken, *files, *(("call", (made.id, made.name, dict(made.arguments))) for made in one.tool_calls)]


def their_system(asked: Mapping[str, Any]) -> str:
    """The system messages that a model of TypeScript was given, together."""
    return "\n".join(one["content"] for one in asked["prompt"] if one["role"] == "system")


def in_mind(held: str) -> str:
    """What the system message of either language says when *held* is the working memory."""
    return f"<working_memory_data>\n{held}\n</working_memory_data>"
