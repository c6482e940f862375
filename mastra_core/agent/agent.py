"""Agent: instructions, a model and a memory, and the calls that bring them together.

Knows models by their protocol, and memory. Must not know any provider, plugin or engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from mastra_core import clock
from mastra_core.agent.call import Call, CallOptions, ThreadDict, read_call
from mastra_core.agent.messages import Input, read_input
from mastra_core.agent.model import Model
from mastra_core.agent.resolving import resolve_model
from mastra_core.agent.run import Result, Run
from mastra_core.agent.stream import AgentStream
from mastra_core.errors import ConfigurationError
from mastra_core.memory.memory import Memory

if TYPE_CHECKING:
    from mastra_core.agent.chat import Chat
    from mastra_core.agent.sync_agent import AgentSync


class Agent:
    """A language model with instructions, that remembers what is said in threads.

    Args:
        id: its name in logs and for `Mastra.get_agent_by_id`.
        name: for people; its id if not given.
        instructions: the system prompt; never stored.
        model: "provider/model", looked up on first use, or a Model.
        memory: where its threads are; None remembers nothing.

    Raises:
        ConfigurationError: an argument cannot be that.
    """

    def __init__(self, id: str, *, name: str = "", instructions: str = "", model: str | Model, memory: Memory | None = None) -> None:
        _check_text(id, at="Agent: id", needed=True)
        _check_text(name, at=f"Agent {id!r}: name")
        _check_text(instructions, at=f"Agent {id!r}: instructions")
        _check_model(model, at=f"Agent {id!r}: model")
        _check_memory(memory, at=f"Agent {id!r}: memory")
        self.id = id
        self.name = name or id
        self.instructions = instructions
        self.model = model
        self.memory = memory
        self._resolved: Model | None = None if isinstance(model, str) else model
        # The event loop alone keeps only weak references to tasks.
        self._background: set[asyncio.Task[Result]] = set()

    @cached_property
    def sync(self) -> AgentSync:
        """This agent for code without an event loop: `agent.sync.generate(…)`."""
        from mastra_core.agent.sync_agent import AgentSync

        return AgentSync(self)

    async def generate(self, input: Input, **call: Unpack[CallOptions]) -> Result:
        """The whole answer to *input*, once it is saved.

        What is remembered costs one read before the model is called and one write after it. If the model fails, nothing is saved
        (with save="input_first": the user's message).

        Args:
            input: a text of the user, a `{"role", "content"}` dictionary, a Message, or a list of these. In a thread that exists
                already, what stands before the last assistant message is taken for an echo of the thread and left out.
            **call: `thread` and `resource`, or neither; `options`, `save`: see CallOptions.

        Raises:
            ConfigurationError: an option cannot be that, or there is no memory or storage for the thread.
            InvalidInputError: *input* cannot be that, or cannot be stored; the model was not called.
            OwnershipError: the thread belongs to another resource.
            ModelError: the model failed.
            StorageError: the thread could not be read, or the run not saved.
        """
        run = self._run(input, call)
        reply = await run.model.complete(await run.read())
        return await run.finish(reply, began=clock.now())

    def stream(self, input: Input, **call: Unpack[CallOptions]) -> AgentStream:
        """The answer to *input* in pieces: `async with agent.stream(…) as stream`, or `stream = await agent.stream(…)`.

        Arguments and errors as `generate`; those of input and options are raised at once.
        """
        return AgentStream(self._run(input, call), spawn=self._spawn)

    def chat(self, *, thread: str | ThreadDict, resource: str) -> Chat:
        """This agent in one thread: `chat.generate(…)` and `chat.stream(…)` need no thread and resource.

        Raises:
            ConfigurationError: either cannot be that, or the agent has no memory.
        """
        from mastra_core.agent.chat import Chat

        if self._check_call({"thread": thread, "resource": resource}).where is None:
            msg = "A resourceId and a threadId must be provided when using Memory; pass chat(thread=…, resource=…)"
            raise ConfigurationError(msg)
        return Chat(self, thread=thread, resource=resource)

    def generate_sync(self, input: Input, **call: Unpack[CallOptions]) -> Result:
        """`generate` for code without an event loop."""
        return self.sync.generate(input, **call)

    def stream_sync(self, input: Input, **call: Unpack[CallOptions]) -> Iterator[str]:
        """The pieces of the answer's text for code without an event loop; leaving the loop early cancels the model as `stream` does."""
        return self.sync.stream_text(input, **call)

    async def stream_text(self, input: Input, **call: Unpack[CallOptions]) -> AsyncIterator[str]:
        """The pieces of the answer's text; closing the iterator early cancels the model as leaving `stream` does."""
        async with self.stream(input, **call) as stream:
            async for piece in stream.text_stream:
                yield piece

    async def drain(self) -> None:
        """Wait until every stream, also those that nobody reads to the end, is produced and saved. Their errors are not raised here."""
        while self._background:
            await asyncio.wait(self._background)

    async def close(self) -> None:
        """Drain, then release what the model holds. The storage is left to its Mastra, or to whoever made it."""
        await self.drain()
        if self._resolved is not None:
            await close_model(self._resolved)

    def _run(self, input: Input, given: CallOptions) -> Run:
        call = self._check_call(given)
        new = read_input(input, now=clock.now())
        if self._resolved is None:
            assert isinstance(self.model, str)
            self._resolved = resolve_model(self.model)
        return Run(model=self._resolved, instructions=self.instructions, new=new, call=call, memory=self.memory)

    def _check_call(self, given: CallOptions) -> Call:
        call = read_call(given)
        if call.where is not None and self.memory is None:
            msg = (
                f"agent {self.id!r} has no memory, so it cannot remember thread {call.where.thread_id!r}; "
                "give it one: Agent(…, memory=Memory()), or leave thread and resource out"
            )
            raise ConfigurationError(msg)
        return call

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def __repr__(self) -> str:
        """The id, and the model's name."""
        model = self.model if isinstance(self.model, str) else f"{self.model.provider}/{self.model.model_id}"
        return f"<Agent {self.id!r} {model}>"


async def close_model(model: Model) -> None:
    """Release what *model* holds, if it says that it holds something."""
    close = getattr(model, "close", None)
    if close is not None:
        await close()


def _check_text(value: object, *, at: str, needed: bool = False) -> None:
    if not isinstance(value, str):
        msg = f"{at} must be a string, found {type(value).__name__}"
        raise ConfigurationError(msg)
    if needed and not value.strip():
        msg = f"{at} must be a non-empty string, found {value!r}"
        raise ConfigurationError(msg)


def _check_memory(memory: object, *, at: str) -> None:
    if memory is not None and not isinstance(memory, Memory):
        msg = f"{at} must be a Memory, found a {type(memory).__name__}; a store goes into it: Memory(storage=…)"
        raise ConfigurationError(msg)


def _check_model(model: object, *, at: str) -> None:
    missing = [name for name in ("provider", "model_id", "complete", "stream") if not hasattr(model, name)]
    if not isinstance(model, str) and missing:
        msg = f"{at} must be 'provider/model' or a Model, found a {type(model).__name__} without {', '.join(missing)}"
        raise ConfigurationError(msg)
