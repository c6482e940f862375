"""One run of an agent: one read before the model is asked, steps of asking and calling tools, one write at the end.

Knows what is remembered and what is asked. Must not know streams.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.agent.answer import Answer, pending_calls
from mastra_core.agent.call import Call
from mastra_core.agent.events import AnswerRefused, ApprovalNeeded, Event, StepFinished, ToolCalled, ToolReturned
from mastra_core.agent.messages import since_last_answer, text_of
from mastra_core.agent.model import Model, ModelMessage, ModelReply, ModelRequest, ToolCall, Usage
from mastra_core.agent.past import Past, with_id
from mastra_core.agent.prompting import cut_history, opened, prompt
from mastra_core.agent.task import Task, can_call_tools, instructed
from mastra_core.agent.titles import make_title
from mastra_core.agent.tools import RunContext, Tool, ToolResult, call_all
from mastra_core.agent.tracing import RunTrace, answered, used
from mastra_core.errors import ConfigurationError, InvalidInputError, ModelError, StorageError
from mastra_core.memory.memory import Memory
from mastra_core.memory.recall import Recalled
from mastra_core.storage.records.kinds import Message
from mastra_core.telemetry.tracing import OFF, UNTRACED, Step

log = logging.getLogger("mastra_core.agent")

INTERRUPTED = "interrupted"
"""The finish reason of an answer that was not wanted to its end, and its mark in the stored `metadata`."""

APPROVAL = "approval"
"""The finish reason of a run that waits for a person to allow a call."""

Ask = Callable[[ModelRequest], Awaitable[ModelReply]]
"""Asks the model, and puts what it says into the answer as it comes."""


@attrs.frozen(kw_only=True)
class Result:
    """What a run gave.

    Attributes:
        text: the answer, over all steps.
        messages: the new messages of this run, the user's first; as stored, if they were stored.
        usage: what all calls of the model took.
        finish_reason: why the answer ends: "stop", "length", …; "interrupted" when the stream was left early, "approval" when a call
            waits for a person, "tool_calls" when `max_steps` was reached.
        model: who answered, "provider/model"; of several models, the last that did.
        thread_id: the thread, or None for a run that is not remembered.
        recalled: the newest messages of the thread, as read from memory, oldest first.
        similar: the messages found by their meaning, nearest first, each with its score; empty unless semantic recall is on.
        missed: what semantic recall could not do, because its vector store or embedder failed; the run went on without.
        tool_calls: every call that was made, with its result, in the order in which they ended.
        waiting: the calls that wait for a person; go on with `agent.resume(approvals={call.id: True})`.
        output: the answer as a value of the type asked for with `output=`; else None.
        trace_id: by which `storage.observability.get_trace` finds the run's trace, once it is stored; None if the run is not traced.
    """

    text: str
    messages: tuple[Message, ...]
    usage: Usage
    finish_reason: str
    model: str = ""
    thread_id: str | None = None
    recalled: tuple[Message, ...] = ()
    similar: tuple[Recalled, ...] = ()
    missed: tuple[str, ...] = ()
    tool_calls: tuple[ToolResult, ...] = ()
    waiting: tuple[ToolCall, ...] = ()
    output: Any = None
    trace_id: str | None = None


class Run:
    """One input and its answer; call `read` once, then `produce`, then `finish` once.

    Args:
        task: what it works with.
        new: the input.
        call: where the run is remembered, and how.
        memory: where threads are; used only if `call.where` is given.
        approvals: of a run that goes on: by call, True, False or why not.
        title_model: which names the thread; None is the task's.
        background: starts what is done after the answer; without it no title is made.
        trace: makes the steps of the run's trace; None traces nothing.

    Raises:
        ConfigurationError: there is no storage, or a tool requires approval and nothing of the run is saved that could wait for it.
        InvalidInputError: the input, or the thread it would create, cannot be stored.
    """

    def __init__(
        self,
        *,
        task: Task,
        new: Sequence[Message],
        call: Call,
        memory: Memory | None,
        approvals: Mapping[str, bool | str] | None = None,
        title_model: Model | None = None,
        background: Callable[[Coroutine[Any, Any, None]], object] | None = None,
        trace: RunTrace | None = None,
    ) -> None:
        self._trace = trace or RunTrace(OFF, task=task, where=call.where, name="")
        self._step = UNTRACED
        self._title_model = title_model
        self._background = background
        self.task = task
        self.answer = Answer(f"{task.model.provider}/{task.model.model_id}")
        self._save = call.save
        self._approvals = approvals
        self._decided: tuple[ToolCall, ...] = ()
        self._answer_message = Message(id="", thread_id="", role="assistant")
        self._output: Any = None
        self._correction: tuple[ModelMessage, ...] = ()
        self._prompt: tuple[ModelMessage, ...] = ()
        self._past: Past | None = None
        self._tools: Mapping[str, Tool] = task.tools
        if call.where is not None and memory is not None:
            options = memory.options.under(call.options)
            self._past = Past(memory, where=call.where, options=options, writable=can_call_tools(task.model))
            self._new = tuple(self._past.placed(message) for message in new)
            self._past.check(self._new)
        else:
            self._new = tuple(with_id(message) for message in new)
        self._check_can_wait()

    def traced(self) -> Step:
        """The step of the whole run, to be entered around `read` to `finish`."""
        self._step = self._trace.run(self._new)
        return self._step

    async def read(self) -> None:
        """Read what is remembered; with save="input_first" or "step" the input is written too.

        A run that goes on claims the waiting calls here, before anything of it can be cancelled.

        Raises:
            OwnershipError: the thread belongs to another resource.
            ConflictError: the calls that waited for approval do not wait any more.
        """
        history: tuple[Message, ...] = ()
        if self._past is not None:
            question = next((text for message in reversed(self._new) if message.role == "user" and (text := text_of(message))), "")
            with self._trace.recall(self._new, options=self._past.options) as step:
                await self._past.read(question=question, at_least=0 if self._approvals is None else 1)
                step.gave(messageCount=len(self._past.turn.messages))
            history = cut_history(self._past.history(), max_tokens=self._past.options.max_tokens)
            if self._past.thread_existed and self._approvals is None:
                self._new = since_last_answer(self._new)
            if self._save != "end" and self._new:
                self._new = await self._write(self._new)
        if self._approvals is not None:
            history = self._take_up(history)
            await self._claim(self._approvals)
        system = list(await instructed(self.task.instructions, self._context()))
        if self._past is not None:
            system += self._past.blocks()
            tool = self._past.tool()
            self._tools = self._tools if tool is None else {tool.name: tool, **self._tools}
        self._prompt = prompt(system=system, history=history, new=self._new)

    async def produce(self, ask: Ask, *, emit: Callable[[Event], None]) -> None:
        """Ask the model and call the tools it wants, until it wants none, a person must decide, or `max_steps` is reached.

        Raises:
            ModelError: the model failed, or its answer is not of the type asked for, also when it is told so and asked again.
        """
        if self._approvals is not None:
            await self._carry_out(self._approvals, emit=emit)
        with self._trace.generation(self.answer.model, messages=self._prompt, tools=self._tools) as generation:
            done = await self._ask_on(ask, emit=emit)
            answer = self.answer
            generation.gave({"text": answer.text}, usage=used(answer.usage), finishReason=answer.finish_reason)
        if done:
            return
        if self.task.output is not None and not self.answer.waiting:
            msg = f"{self.answer.model}: max_steps={self.task.max_steps} was reached before there was an answer; raise max_steps"
            raise ModelError(msg)

    async def _ask_on(self, ask: Ask, *, emit: Callable[[Event], None]) -> bool:
        """Ask, and call tools, until the model wants none; False if a person must decide, or `max_steps` is reached."""
        for step in range(self.task.max_steps):
            if self.answer.waiting:
                break
            self.answer.begin_step()
            request = self._request(first=step == 0)
            with self._trace.asking(step, request=request) as asking:
                reply = await ask(request)
                self.answer.usage += reply.usage
                self.answer.finish_reason = reply.finish_reason
                answered(asking, reply, text=self.answer.last_text, goes_on=bool(reply.tool_calls))
                emit(StepFinished(step, reply.finish_reason, reply.usage))
                if reply.tool_calls:
                    # Some providers say "stop" then.
                    self.answer.finish_reason = "tool_calls"
                    await self._call(reply.tool_calls, emit=emit)
            if reply.tool_calls:
                if self._save == "step":
                    await self._save_answer()
            elif self._read_output(last=step + 1 == self.task.max_steps, emit=emit):
                return True
        return False

    async def finish(self, *, interrupted: bool = False) -> Result:
        """Write the run, and give its result; an answer with nothing in it is not kept as a message.

        Args:
            interrupted: the answer was not wanted to its end.

        Raises:
            ThreadNotFoundError: the thread was deleted since it was read; nothing was written.
        """
        messages = await self._save_answer(interrupted=interrupted)
        answer, past = self.answer, self._past
        if past is not None:
            await past.remember(messages)
        result = Result(
            text=answer.text,
            messages=tuple(message for message in messages if message.role != "system"),
            usage=answer.usage,
            finish_reason=INTERRUPTED if interrupted else APPROVAL if answer.waiting else answer.finish_reason,
            model=answer.model,
            thread_id=None if past is None else past.where.thread_id,
            recalled=() if past is None else past.turn.messages,
            similar=() if past is None else past.similar,
            missed=() if past is None else tuple(past.missed),
            tool_calls=tuple(answer.results),
            waiting=tuple(answer.waiting),
            output=self._output,
            trace_id=self._step.trace_id,
        )
        self._step.gave({"text": result.text, "files": []}, finishReason=result.finish_reason)
        if self._background is not None and not interrupted and past is not None and past.untitled(len(result.messages)):
            self._background(self._give_title(result))
        return result

    async def _give_title(self, result: Result) -> None:
        """Have a model name the thread; what goes wrong is logged, since the run is over."""
        past = self._past
        assert past is not None
        assert past.options.generate_title is not None
        model = self._title_model or self.task.model
        try:
            messages = (*past.turn.messages, *result.messages)
            with self._trace.title(f"{model.provider}/{model.model_id}", messages=messages) as step:
                title = await make_title(model, messages, feature=past.options.generate_title)
                step.gave({"text": title})
            if title:
                await past.give_title(title)
        except (ModelError, StorageError) as error:
            log.warning("thread %s: it got no title: %s", past.where.thread_id, error)

    async def _save_answer(self, *, interrupted: bool = False) -> tuple[Message, ...]:
        """Write what is not yet written, in one batch, and give the messages of the run."""
        message = self._message(interrupted=interrupted)
        if self._past is None:
            return (*self._new, *message)
        unsaved = self._new if self._save == "end" else ()
        saved = await self._write((*unsaved, *message)) if unsaved or message else ()
        if message:
            self._answer_message = saved[-1]
        if unsaved:
            self._new = saved[: len(unsaved)]
        return (*self._new, *saved[len(unsaved) :])

    async def _write(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        assert self._past is not None
        with self._trace.save(messages):
            return await self._past.save(messages)

    def _message(self, *, interrupted: bool) -> tuple[Message, ...]:
        content = self.answer.content(interrupted=interrupted)
        if content is None:
            return ()
        message = attrs.evolve(self._answer_message, content=content)
        self._answer_message = with_id(message) if self._past is None else self._past.placed(message)
        return (self._answer_message,)

    def _request(self, *, first: bool) -> ModelRequest:
        task = self.task
        return ModelRequest(
            messages=opened((*self._prompt, *self.answer.messages(), *self._correction)),
            tools=tuple(tool.spec for tool in self._tools.values()),
            tool_choice=task.tool_choice if (first and self._approvals is None) or task.tool_choice == "none" else "auto",
            output=None if task.output is None else task.output.spec,
            temperature=task.temperature,
            max_output_tokens=task.max_output_tokens,
        )

    async def _call(self, calls: Sequence[ToolCall], *, emit: Callable[[Event], None]) -> None:
        """Call the tools that may be called, and note those that wait for a person."""
        now: list[ToolCall] = []
        for given in calls:
            # Some providers give no id, or the same to every call.
            known = given.id and not self.answer.has_call(given.id)
            call = given if known else attrs.evolve(given, id=f"call_{clock.new_id().replace('-', '')}")
            tool = self._tools.get(call.name)
            self.answer.call(call, stored=tool is None or tool.stored)
            if tool is not None and tool.requires_approval and not call.malformed:
                self.answer.ask_approval(call)
                emit(ApprovalNeeded(call))
            else:
                now.append(call)
                emit(ToolCalled(call))
        await self._run_tools(now, emit=emit)

    async def _run_tools(self, calls: Sequence[ToolCall], *, emit: Callable[[Event], None]) -> None:
        def returned(result: ToolResult) -> None:
            self.answer.settle(result)
            emit(ToolReturned(result))

        def traced(call: ToolCall) -> Step:
            return self._trace.tool(call, tool=self._tools.get(call.name))

        await call_all(calls, tools=self._tools, context=self._context(), returned=returned, traced=traced)

    def _take_up(self, history: tuple[Message, ...]) -> tuple[Message, ...]:
        """Go on with the newest message of *history*, which has calls that wait; the history before it."""
        newest = self._past.turn.messages[-1] if self._past is not None and self._past.turn.messages else None
        waiting = pending_calls(newest) if newest is not None else ()
        decided = self._approvals or {}
        if newest is None or not waiting or {call.id for call in waiting} != set(decided):
            found = [call.id for call in waiting]
            msg = f"approvals: the thread's newest message waits for {found or 'no call'}, found decisions on {list(decided)}; decide each"
            raise ConfigurationError(msg)
        self._answer_message = newest
        self.answer.take_up(newest)
        return tuple(message for message in history if message.id != newest.id)

    def _check_can_wait(self) -> None:
        waits = [tool.name for tool in self._tools.values() if tool.requires_approval] if self.task.tool_choice != "none" else []
        if (waits or self._approvals is not None) and (self._past is None or self._past.options.read_only):
            found = "without a thread" if self._past is None else "with read_only=True"
            msg = (
                f"agent {self.task.agent_id!r}: a run {found} cannot wait for approval, as {waits or 'resume'} may have to; "
                "pass thread= and resource= and let the run be saved, or leave those tools out with tools="
            )
            raise ConfigurationError(msg)

    def _read_output(self, *, last: bool, emit: Callable[[Event], None]) -> bool:
        """Read the answer into the type asked for; False if it is none, so that the model is told and asked again, once."""
        output, answer = self.task.output, self.answer
        if output is None:
            return True
        try:
            self._output = output.read(answer.last_text)
        except InvalidInputError as error:
            cut = "; it was cut off, raise max_output_tokens" if answer.finish_reason == "length" else ""
            why = f"the answer is no {output.spec.name}: {error}{cut}"
            if self._correction or last:
                said = answer.last_text
                msg = f"{answer.model}: {why}; it was {said if len(said) <= 200 else f'{said[:199]}…'!r}"
                raise ModelError(msg) from error
            said = answer.take_back()
            told = f"Your answer could not be used: {why}. Answer again, with nothing but JSON of the form asked for."
            spoken = (ModelMessage(role="assistant", text=said),) if said else ()
            self._correction = (*spoken, ModelMessage(role="user", text=told))
            emit(AnswerRefused(why))
            return False
        return True

    async def _claim(self, approvals: Mapping[str, bool | str]) -> None:
        """Store the decisions, so that nobody else carries them out."""
        assert self._past is not None
        self._decided = tuple(self.answer.waiting)
        self.answer.decide(approvals)
        (decided,) = self._message(interrupted=False)
        await self._past.claim(decided)

    async def _carry_out(self, approvals: Mapping[str, bool | str], *, emit: Callable[[Event], None]) -> None:
        allowed = [call for call in self._decided if approvals[call.id] is True]
        for call in self._decided:
            decision = approvals[call.id]
            if decision is not True:
                denied = ToolResult(call=call, error=decision if isinstance(decision, str) else "", denied=True)
                self.answer.settle(denied)
                emit(ToolReturned(denied))
        for call in allowed:
            emit(ToolCalled(call))
        await self._run_tools(allowed, emit=emit)

    def _context(self) -> RunContext:
        where = None if self._past is None else self._past.where
        return RunContext(
            agent_id=self.task.agent_id,
            thread_id=None if where is None else where.thread_id,
            resource_id=None if where is None else where.resource_id,
        )
