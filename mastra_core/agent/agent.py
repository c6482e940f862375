"""Agent: instructions, a model, tools and a memory, and the calls that bring them together.

Knows models by their protocol, and memory. Must not know any provider, plugin or engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, Unpack
from weakref import WeakSet

from mastra_core import clock
from mastra_core.agent.call import Call, CallOptions, ThreadDict, read_call
from mastra_core.agent.messages import Input, read_input
from mastra_core.agent.model import Model, ModelReply, ModelRequest
from mastra_core.agent.output import Output
from mastra_core.agent.resolving import resolve_model, resolve_models
from mastra_core.agent.run import Result, Run
from mastra_core.agent.stream import AgentStream
from mastra_core.agent.task import MAX_STEPS, Instructions, Task, check_instructions
from mastra_core.agent.tools import Tool, read_tools
from mastra_core.agent.tracing import RunTrace
from mastra_core.errors import ConfigurationError
from mastra_core.memory.memory import Memory
from mastra_core.memory.sources import close_held
from mastra_core.storage.records.kinds import Message
from mastra_core.telemetry.tracing import OFF, Tracing

if TYPE_CHECKING:
    from mastra_core.agent.chat import Chat
    from mastra_core.agent.sync_agent import AgentSync

T = TypeVar("T")


class Agent:
    """A language model with instructions, that remembers what is said in threads.

    Args:
        id: its name in logs and for `Mastra.get_agent_by_id`.
        name: for people; its id if not given.
        instructions: the system prompt: a text, several, or a function of a RunContext that gives either; never stored.
        model: "provider/model", looked up on first use, or a Model; or a list of these: the next one is asked when one fails before it
            has said anything, with a warning the first time. `result.model` says which one answered.
        memory: where its threads are; None remembers nothing.
        tools: functions that the model may call, or what `tool` made of them.
        max_steps: how many times the model is asked in one run at most; each asking may call tools.

    Raises:
        ConfigurationError: an argument cannot be that.
    """

    def __init__(
        self,
        id: str,
        *,
        name: str = "",
        instructions: Instructions = "",
        model: str | Model | Sequence[str | Model],
        memory: Memory | None = None,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        max_steps: int = MAX_STEPS,
    ) -> None:
        _check_text(id, at="Agent: id", needed=True)
        _check_text(name, at=f"Agent {id!r}: name")
        check_instructions(instructions, at=f"Agent {id!r}: instructions")
        _check_model(model, at=f"Agent {id!r}: model")
        _check_memory(memory, at=f"Agent {id!r}: memory")
        self.id = id
        self.name = name or id
        self.instructions = instructions
        self.model = model
        self.memory = memory
        self.tools = read_tools(tools, at=f"Agent {id!r}: tools")
        self.max_steps = max_steps
        # Set by the Mastra that observes it.
        self.tracing: Tracing = OFF
        self._resolved: Model | None = None if isinstance(model, str | Sequence) else model
        # Models that titles name.
        self._named: dict[str, Model] = {}
        # The event loop alone keeps only weak references to tasks.
        self._background: set[asyncio.Task[Any]] = set()
        self._streams: WeakSet[AgentStream] = WeakSet()

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
            input: a text of the user, a `{"role", "content"}` dictionary as chat APIs have them (with images and files), a Message, or a
                list of these. In a thread that exists already, what stands before the last assistant message is taken for an echo of the
                thread and left out.
            **call: `thread` and `resource`, or neither; `options`, `save`, `tools`, `output` and more: see CallOptions.

        Raises:
            ConfigurationError: an option cannot be that, or there is no memory or storage for the thread.
            InvalidInputError: *input* cannot be that, or cannot be stored; the model was not called.
            OwnershipError: the thread belongs to another resource.
            ModelError: the model failed, or its answer is not of the type asked for with `output`.
            StorageError: the thread could not be read, or the run not saved.
        """
        return await _whole(self._run(read_input(input, now=clock.now()), call))

    async def resume(self, *, approvals: Mapping[str, bool | str], **call: Unpack[CallOptions]) -> Result:
        """Go on with a run that waits for a person to allow calls of tools, in this process or another.

        Args:
            approvals: for each waiting call (`result.waiting`) by its id: True makes it, False or a text that says why not refuses it;
                the model is told, and goes on.
            **call: as `generate`; `thread` and `resource` are needed, since what waits is in the thread.

        Raises:
            ConfigurationError: no call waits in the thread, or not exactly these.
            ConflictError: somebody else has decided in the meantime.
            Others as `generate`.
        """
        return await _whole(self._resumed(approvals, call))

    def resume_stream(self, *, approvals: Mapping[str, bool | str], **call: Unpack[CallOptions]) -> AgentStream:
        """`resume` in pieces, as `stream` gives them; leaving early keeps the decisions and what was produced."""
        return self._streamed(self._resumed(approvals, call))

    def stream(self, input: Input, **call: Unpack[CallOptions]) -> AgentStream:
        """The answer to *input* in pieces: `async with agent.stream(…) as stream`, or `stream = await agent.stream(…)`.

        Arguments and errors as `generate`; those of input and options are raised at once.
        """
        return self._streamed(self._run(read_input(input, now=clock.now()), call))

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
        """Wait until every stream, also those that nobody reads to the end, is produced and saved, and every title is made.

        Their errors are not raised here.
        """
        for stream in list(self._streams):
            stream.let_go()
        while self._background:
            await asyncio.wait(self._background)

    async def close(self) -> None:
        """Drain, then release what the model holds. The storage is left to its Mastra, or to whoever made it."""
        await self.drain()
        for model in (self._resolved, *self._named.values()):
            if model is not None:
                await close_held(model)

    def _run(self, new: tuple[Message, ...], given: CallOptions, *, approvals: Mapping[str, bool | str] | None = None) -> Run:
        call = self._check_call(given)
        if approvals is not None and call.where is None:
            msg = "what waits for approval is in a thread; pass both thread= and resource="
            raise ConfigurationError(msg)
        if self._resolved is None:
            self._resolved = resolve_models(self.model)
        task = self._task(self._resolved, given)
        task.check()
        return Run(
            task=task,
            new=new,
            call=call,
            memory=self.memory,
            approvals=approvals,
            title_model=self._title_model(call),
            background=self._spawn,
            trace=None if self.tracing is OFF else RunTrace(self.tracing, task=task, where=call.where, name=self.name),
        )

    def _resumed(self, approvals: Mapping[str, bool | str], given: CallOptions) -> Run:
        decided: object = approvals
        if not isinstance(decided, Mapping) or not all(isinstance(decision, bool | str) for decision in decided.values()):
            msg = f'approvals must be a dictionary such as {{"call_1": True, "call_2": "not today"}}, found {approvals!r}'
            raise ConfigurationError(msg)
        return self._run((), given, approvals=approvals)

    def _streamed(self, run: Run) -> AgentStream:
        stream = AgentStream(run, spawn=self._spawn)
        self._streams.add(stream)
        return stream

    def _title_model(self, call: Call) -> Model | None:
        """The model that names threads, if it is not the agent's; found before the answer, so that a wrong name is told."""
        feature = None if self.memory is None else self.memory.options.under(call.options).generate_title
        if feature is None or not isinstance(feature.model, str):
            return None if feature is None else feature.model
        if feature.model not in self._named:
            self._named[feature.model] = resolve_model(feature.model)
        return self._named[feature.model]

    def _task(self, model: Model, given: CallOptions) -> Task:
        at, instructions, tools, steps = f"agent {self.id!r}", given.get("instructions"), given.get("tools"), given.get("max_steps")
        if instructions is not None:
            check_instructions(instructions, at=f"{at}: instructions")
        return Task(
            agent_id=self.id,
            model=model,
            instructions=self.instructions if instructions is None else instructions,
            tools=self.tools if tools is None else read_tools(tools, at=f"{at}: tools"),
            max_steps=self.max_steps if steps is None else steps,
            tool_choice=given.get("tool_choice", "auto"),
            output=None if given.get("output") is None else Output(given["output"], at=f"{at}: output"),
            temperature=given.get("temperature"),
            max_output_tokens=given.get("max_output_tokens"),
        )

    def _check_call(self, given: CallOptions) -> Call:
        call = read_call(given)
        if call.where is not None and self.memory is None:
            msg = (
                f"agent {self.id!r} has no memory, so it cannot remember thread {call.where.thread_id!r}; "
                "give it one: Agent(…, memory=Memory()), or leave thread and resource out"
            )
            raise ConfigurationError(msg)
        return call

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def __repr__(self) -> str:
        """The id, and the model's name."""
        models = self.model if isinstance(self.model, Sequence) and not isinstance(self.model, str) else [self.model]
        names = [model if isinstance(model, str) else f"{model.provider}/{model.model_id}" for model in models]
        return f"<Agent {self.id!r} {', '.join(names)}>"


async def _whole(run: Run) -> Result:
    """The run from its read to its write, with whole answers of the model."""

    async def ask(request: ModelRequest) -> ModelReply:
        reply = await run.task.model.complete(request)
        if reply.answered_by:
            run.answer.answered_by(reply.answered_by)
        run.answer.think(reply.reasoning)
        run.answer.say(reply.text)
        return reply

    with run.traced():
        await run.read()
        await run.produce(ask, emit=lambda _: None)
        return await run.finish()


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
    if isinstance(model, Sequence) and not isinstance(model, str):
        if not model:
            msg = f"{at} is an empty list; name a model: ['openai/gpt-5.1', 'local/smollm2-135m']"
            raise ConfigurationError(msg)
        for index, one in enumerate(model):
            _check_model(one, at=f"{at}[{index}]")
        return
    missing = [name for name in ("provider", "model_id", "complete", "stream") if not hasattr(model, name)]
    if not isinstance(model, str) and missing:
        msg = f"{at} must be 'provider/model' or a Model, found a {type(model).__name__} without {', '.join(missing)}"
        raise ConfigurationError(msg)
