"""An answer while it is being produced: one task takes it from the model and saves it, readers follow at their own pace.

Knows asyncio and one run. Must not know stores or agents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from mastra_core import clock
from mastra_core.agent.model import ModelReply, ModelRequest, Usage
from mastra_core.agent.run import INTERRUPTED, Result, Run

Spawn = Callable[[Coroutine[Any, Any, Result]], "asyncio.Task[Result]"]
"""Starts a task and keeps it alive until it is done."""


class AgentStream:
    """The answer to one input, in pieces: `async with agent.stream(…) as stream`, or `stream = await agent.stream(…)`.

    Both wait until the thread is read, so errors of thread and owner show there. Leaving the block early cancels the model and
    saves the user's message with the part produced, whose stored `metadata` then says `"interrupted": true`. A stream that is never
    read to its end is produced and saved all the same; `drain()` of the agent or the Mastra waits for it.
    """

    def __init__(self, run: Run, *, spawn: Spawn) -> None:
        self._run = run
        self._spawn = spawn
        self._pump: asyncio.Task[Result] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._pieces: list[str] = []
        self._finish_reason = "unknown"
        self._usage = Usage()
        self._began: datetime | None = None
        self._news = asyncio.Event()
        # Whether whoever holds the stream knows how it ended.
        self._told = False

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """The pieces of the text, from the first, as they come; ends when the run is saved.

        Raises:
            ModelError: the model failed; what it gave before is yielded first.
            StorageError: the run could not be saved.
        """
        return self._follow()

    async def result(self) -> Result:
        """What `generate` gives, once the answer is complete and saved; after leaving early, of the part produced.

        Raises:
            ModelError: the model failed.
            StorageError: the run could not be saved.
        """
        await self._started()
        assert self._pump is not None
        await asyncio.wait({self._pump})
        return self._outcome(self._pump)

    async def cancel(self) -> None:
        """Stop the model, and save the user's message and the part produced; nothing happens when the answer is complete."""
        if self._pump is None:
            return
        while self._reading is None and not self._pump.done():
            await self._something_new()
        if self._reading is not None:
            self._reading.cancel()
        # Not awaited directly, so that cancelling the caller does not lose the save.
        await asyncio.wait({self._pump})

    def __await__(self) -> Generator[Any, None, Self]:
        """The stream, started."""
        return self._started().__await__()

    async def __aenter__(self) -> Self:
        """The stream, started."""
        return await self._started()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cancel what is not yet produced, and wait until the rest is saved."""
        await self.cancel()
        if error is None and self._pump is not None and not self._told:
            self._outcome(self._pump)

    async def _started(self) -> Self:
        if self._pump is None:
            self._pump = self._spawn(self._produce())
            self._pump.add_done_callback(self._tell)
        pump = self._pump
        try:
            while self._reading is None and not pump.done():
                await self._something_new()
        except asyncio.CancelledError:
            # Nobody will hold this stream, and nothing was produced yet.
            pump.cancel()
            raise
        if self._reading is None:
            self._outcome(pump)
        return self

    async def _produce(self) -> Result:
        request = await self._run.read()
        self._reading = asyncio.create_task(self._read(request))
        self._tell()
        try:
            await asyncio.wait({self._reading})
        finally:
            # This task is cancelled when its caller gives up at the start, or with the event loop; the model must not go on alone.
            self._reading.cancel()
        if self._reading.cancelled():
            self._finish_reason = INTERRUPTED
        else:
            self._reading.result()
        reply = ModelReply(text="".join(self._pieces), finish_reason=self._finish_reason, usage=self._usage)
        return await self._run.finish(reply, began=self._began or clock.now())

    async def _read(self, request: ModelRequest) -> None:
        deltas = self._run.model.stream(request)
        try:
            async for delta in deltas:
                if delta.text:
                    self._began = self._began or clock.now()
                    self._pieces.append(delta.text)
                    self._tell()
                self._finish_reason = delta.finish_reason or self._finish_reason
                self._usage = delta.usage or self._usage
        finally:
            # The protocol promises an iterator; a generator also wants to be closed.
            close = getattr(deltas, "aclose", None)
            if close is not None:
                await close()

    async def _follow(self) -> AsyncIterator[str]:
        await self._started()
        assert self._pump is not None
        position = 0
        while True:
            while position < len(self._pieces):
                position += 1
                yield self._pieces[position - 1]
            if self._pump.done():
                self._outcome(self._pump)
                return
            await self._something_new()

    def _outcome(self, pump: asyncio.Task[Result]) -> Result:
        self._told = True
        return pump.result()

    async def _something_new(self) -> None:
        await self._news.wait()

    def _tell(self, _: object = None) -> None:
        # Whoever waits now wakes up; whoever comes later waits for the next news.
        news, self._news = self._news, asyncio.Event()
        news.set()
