"""Two commands that need a model: a conversation in the terminal, and making up for vectors that are missing.

Knows agents and memories by their public faces; must not know any backend or provider.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from mastra_core.agent.agent import Agent
from mastra_core.agent.chat import Chat
from mastra_core.cli import output
from mastra_core.cli.commands import Url, app
from mastra_core.errors import ModelError
from mastra_core.memory.memory import Memory
from mastra_core.memory.options import MemoryOptions

COMMANDS = "/recall TEXT finds by meaning, /threads lists yours, /thread ID goes to another, /exit ends"
LISTED = 20

Vector = Annotated[str | None, typer.Option(help="URL of the vector store; the storage's if not given.")]
Embedder = Annotated[str | None, typer.Option(help="What makes vectors, such as local/all-minilm-l6-v2.")]


@app.command()
def chat(
    *,
    model: Annotated[str, typer.Option(help="Provider and model.")] = "local/smollm2-135m",
    storage: Annotated[str, typer.Option(help="URL of the storage.")] = "file:./mastra.db",
    thread: Annotated[str, typer.Option(help="The thread to go on with, or to begin.")] = "chat",
    resource: Annotated[str, typer.Option(help="Who you are.")] = "me",
    instructions: Annotated[str, typer.Option(help="What the model is told first.")] = "",
    embedder: Embedder = None,
    vector: Vector = None,
) -> None:
    """Talk with a model that remembers; ends with /exit or the end of the input."""
    asyncio.run(
        _chat(
            Agent("chat", model=model, instructions=instructions, memory=_memory(storage, vector=vector, embedder=embedder)),
            thread=thread,
            resource=resource,
        )
    )


@app.command()
def reindex(url: Url, *, embedder: Annotated[str, typer.Option(help="What makes vectors.")], vector: Vector = None) -> None:
    """Embed every stored message that has no vector; can be stopped and begun again."""
    embedded = asyncio.run(_reindex(_memory(url, vector=vector, embedder=embedder)))
    output.note(f"{embedded} messages embedded; every message that says something has its vector now")


def _memory(storage: str, *, vector: str | None, embedder: str | None) -> Memory:
    options = MemoryOptions(semantic_recall=embedder is not None)
    return Memory(storage, vector=(vector or storage) if embedder is not None else None, embedder=embedder, options=options)


async def _reindex(memory: Memory) -> int:
    def progress(seen: int, embedded: int) -> None:
        output.note(f"{seen} messages looked at, {embedded} embedded")

    try:
        return await memory.reindex(on_progress=progress)
    finally:
        await memory.close()


async def _chat(agent: Agent, *, thread: str, resource: str) -> None:
    conversation = agent.chat(thread=thread, resource=resource)
    assert agent.memory is not None
    output.note(f"thread {thread!r} of {resource!r}. {COMMANDS}")
    try:
        while (said := await asyncio.to_thread(_ask)) is not None:
            words = said.split(maxsplit=1)
            if said == "/exit":
                break
            if words and words[0] == "/thread" and len(words) > 1:
                conversation = agent.chat(thread=words[1], resource=resource)
                output.note(f"thread {words[1]!r}")
            elif words and words[0].startswith("/"):
                await _look(agent.memory, words, conversation)
            elif words:
                await _answer(conversation, said)
    finally:
        await agent.close()
        await agent.memory.close()


def _ask() -> str | None:
    """The next line that the user types; None at the end."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


async def _answer(conversation: Chat, said: str) -> None:
    try:
        async with conversation.stream(said) as stream:
            async for piece in stream.text_stream:
                sys.stdout.write(output.plain(piece))
                sys.stdout.flush()
    except ModelError as error:
        # The next question may go better.
        output.note(f"mastra: {error}")
    sys.stdout.write("\n")
    sys.stdout.flush()


async def _look(memory: Memory, words: list[str], conversation: Chat) -> None:
    if words[0] == "/threads":
        page = await memory.list_threads(filter={"resource_id": conversation.resource}, per_page=LISTED, include_total=False)
        output.table(("thread", "title", "updated"), [(one.id, one.title, output.moment(one.updated_at)) for one in page])
    elif words[0] == "/recall" and len(words) > 1 and memory.options.semantic_recall is None:
        output.note("nothing is found by meaning without vectors; begin with --embedder local/all-minilm-l6-v2")
    elif words[0] == "/recall" and len(words) > 1:
        thread = conversation.thread if isinstance(conversation.thread, str) else conversation.thread["id"]
        page_found = await memory.recall(thread_id=thread, resource_id=conversation.resource, vector_search_string=words[1], per_page=0)
        for message in page_found:
            output.message(message)
    else:
        output.note(COMMANDS)
