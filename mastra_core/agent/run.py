"""One run of an agent on the side of its memory: one read before the model is called, one write after it.

Knows the memory domain and the stored messages. Must not know how a model is called, nor streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.agent.call import Call, Remembered
from mastra_core.agent.messages import prompt, since_last_answer, text_content
from mastra_core.agent.model import Model, ModelReply, ModelRequest, Usage
from mastra_core.errors import InvalidInputError
from mastra_core.memory.memory import Memory
from mastra_core.memory.options import MemoryOptions
from mastra_core.storage.domains.memory import Turn
from mastra_core.storage.records.changes import Save
from mastra_core.storage.records.checks import check_change
from mastra_core.storage.records.kind import Kind, R
from mastra_core.storage.records.kinds import MESSAGES, THREADS, Message, Thread
from mastra_core.storage.records.wire import to_document

INTERRUPTED = "interrupted"
"""The finish reason of an answer that was not wanted to its end, and its mark in the stored `metadata`."""


@attrs.frozen(kw_only=True)
class Result:
    """What a run gave.

    Attributes:
        text: the answer.
        messages: the new messages of this run, the user's first; as stored, if they were stored.
        usage: what the model call took.
        finish_reason: why the answer ends: "stop", "length", …; "interrupted" when the stream was left early.
        thread_id: the thread, or None for a run that is not remembered.
        recalled: the messages read from memory, oldest first.
        tool_calls: empty, as agents have no tools yet.
        trace_id: None, as runs are not traced yet.
    """

    text: str
    messages: tuple[Message, ...]
    usage: Usage
    finish_reason: str
    thread_id: str | None = None
    recalled: tuple[Message, ...] = ()
    tool_calls: tuple[Any, ...] = ()
    trace_id: str | None = None


class Run:
    """One input and its answer; call `read` once, then `finish` once.

    Args:
        model: whose answer it is.
        instructions: the agent's.
        new: the input.
        call: where the run is remembered, and how.
        memory: where threads are; used only if `call.where` is given.

    Raises:
        ConfigurationError: there is no storage.
        InvalidInputError: the input, or the thread it would create, cannot be stored.
    """

    def __init__(self, *, model: Model, instructions: str, new: Sequence[Message], call: Call, memory: Memory | None) -> None:
        self.model = model
        self._instructions = instructions
        self._new = tuple(new)
        self._past: _Past | None = None
        if call.where is not None and memory is not None:
            self._past = _Past(memory, where=call.where, options=memory.options.under(call.options), early=call.save != "end")
            self._new = tuple(_placed(message, call.where) for message in self._new)
            self._past.check(self._new)
        else:
            self._new = tuple(_named(message) for message in self._new)

    async def read(self) -> ModelRequest:
        """Read what is remembered, and say what the model is asked; with save="input_first" the input is written too.

        Raises:
            OwnershipError: the thread belongs to another resource.
        """
        history: tuple[Message, ...] = ()
        if self._past is not None:
            history = await self._past.read()
            if self._past.thread_existed:
                self._new = since_last_answer(self._new)
            if self._past.early:
                self._new = await self._past.save(self._new)
        return ModelRequest(messages=prompt(instructions=self._instructions, history=history, new=self._new))

    async def finish(self, reply: ModelReply, *, began: datetime) -> Result:
        """Write the run, and give its result; an answer without text is not kept as a message.

        Args:
            reply: the answer, or the part of it that was produced: its finish reason is "interrupted" then.
            began: when the answer began.

        Raises:
            ThreadNotFoundError: the thread was deleted since it was read; nothing was written.
        """
        answer = self._answer(reply, began=began)
        past = self._past
        if past is None:
            messages = (*self._new, *answer)
        elif past.early:
            messages = (*self._new, *(await past.save(answer)))
        else:
            messages = await past.save((*self._new, *answer))
        return Result(
            text=reply.text,
            messages=tuple(message for message in messages if message.role != "system"),
            usage=reply.usage,
            finish_reason=reply.finish_reason,
            thread_id=None if past is None else past.where.thread_id,
            recalled=() if past is None else past.turn.messages,
        )

    def _answer(self, reply: ModelReply, *, began: datetime) -> tuple[Message, ...]:
        if not reply.text:
            return ()
        metadata = {"modelId": self.model.model_id, "provider": self.model.provider}
        marked = metadata | {INTERRUPTED: True} if reply.finish_reason == INTERRUPTED else metadata
        where = None if self._past is None else self._past.where
        answer = Message(id="", thread_id="", role="assistant", content=text_content(reply.text, at=began, metadata=marked))
        return (_named(answer) if where is None else _placed(answer, where),)


class _Past:
    """The thread of a run: read once, and written once or, *early*, twice."""

    def __init__(self, memory: Memory, *, where: Remembered, options: MemoryOptions, early: bool) -> None:
        self.where = where
        self.options = options
        self.early = early
        self.thread_existed = False
        self.turn = Turn(thread=None, messages=(), resource=None)
        self._domain = memory.require_domain()

    def check(self, messages: Sequence[Message]) -> None:
        """Refuse what cannot be stored now, before a model is called for it."""
        _check_storable(THREADS, self._thread())
        for message in messages:
            _check_storable(MESSAGES, message if message.created_at else attrs.evolve(message, created_at=clock.now()))

    async def read(self) -> tuple[Message, ...]:
        self.turn = await self._domain.read_turn(self.where.thread_id, resource_id=self.where.resource_id, last=self.options.last_messages)
        self.thread_existed = self.turn.thread is not None
        return self.turn.messages

    async def save(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """*messages* as stored, system messages as they are: those are never stored."""
        if self.options.read_only:
            return tuple(messages)
        said = [message for message in messages if message.role != "system"]
        stored = iter(await self._domain.save_turn(thread=self._thread(), messages=said, existed=self.thread_existed) if said else ())
        self.thread_existed = True
        return tuple(message if message.role == "system" else next(stored) for message in messages)

    def _thread(self) -> Thread:
        """The thread as it is created; one that is stored keeps its own title and metadata."""
        where, now = self.where, clock.now()
        return Thread(
            id=where.thread_id, resource_id=where.resource_id, title=where.title, metadata=where.metadata, created_at=now, updated_at=now
        )


def _check_storable(kind: Kind[R], record: R) -> None:
    check_change(Save(kind, record))
    to_document(kind, record)


def _placed(message: Message, where: Remembered) -> Message:
    if message.thread_id not in {"", where.thread_id}:
        msg = f"input: Message {message.id!r} is of thread {message.thread_id!r}, but the run is of thread {where.thread_id!r}"
        raise InvalidInputError(msg)
    named = _named(message, within=where.thread_id)
    return attrs.evolve(named, thread_id=where.thread_id, resource_id=message.resource_id or where.resource_id)


def _named(message: Message, *, within: str | None = None) -> Message:
    """*message* with an id; a new one tells the place of its thread."""
    return message if message.id else attrs.evolve(message, id=clock.new_id(within=within))
