"""Opens an engine once, keeps it to one event loop and process, retries what may be retried, translates what comes out.

Knows how engines open, close and fail; must not know what they are asked for.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from mastra_core.errors import ConfigurationError, StorageError, StoreClosedError
from mastra_core.storage.records.engine import Fault
from mastra_core.storage.records.watching import UNDER_WAY, Watcher

T = TypeVar("T")

RETRY_DELAYS_SECONDS = (0.02, 0.1, 0.5)
"""Pauses before a failed operation is tried again, each made up to twice as long by chance."""


class Openable(Protocol):
    """What an engine of any port has; see RecordEngine and VectorEngine."""

    driver_errors: tuple[type[BaseException], ...]

    async def open(self) -> None:
        """Connect; again if it failed."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and release what open() took."""
        ...

    def diagnose(self, error: BaseException) -> Fault | None:
        """What one of driver_errors means."""
        ...


E = TypeVar("E", bound=Openable)


class Guard(Generic[E]):
    """One engine, opened on first use; every failure of *run* leaves as an error of `mastra_core.errors`.

    Attributes:
        watchers: who is told of the operations of the domains, or the vector store, over it.
    """

    def __init__(self, engine: E, *, store_id: str) -> None:
        self.engine = engine
        self.store_id = store_id
        self.watchers: tuple[Watcher, ...] = ()
        self._opening: asyncio.Task[None] | None = None
        self._owner: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._ready = False
        self._closed = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that used it first, to which it belongs; None before that."""
        return None if self._owner is None else self._owner[1]

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """What *call* gives, with the engine open; called again where its failure allows that.

        Raises:
            StorageError: it failed; of the class that the engine's diagnosis says.
        """
        await self.open()
        if self.watchers and (operation := UNDER_WAY.get()) is not None:
            operation.batches += 1
        return await self._tried(call)

    async def open(self) -> None:
        """Open the engine, once, also under concurrent first calls; a failure is not remembered.

        Raises:
            StoreClosedError: close() was called.
            ConfigurationError: used from another event loop, or after a fork.
        """
        if self._ready and self._owner == (os.getpid(), asyncio.get_running_loop()):
            return
        self._check_owner()
        while not self._ready:
            self._check_owner()
            if self._opening is None:
                self._opening = asyncio.ensure_future(self._open_engine())
            task = self._opening
            try:
                await asyncio.shield(task)
            finally:
                if task.done() and self._opening is task:
                    self._opening = None

    async def close(self) -> None:
        """Finish what was accepted and release the engine; idempotent. Later calls raise StoreClosedError."""
        if self._closed:
            return
        if self._owner is not None:
            self._check_owner()
        self._closed = True
        self._ready = False
        if self._opening is not None:
            await asyncio.wait([self._opening])
        # Also when it was never opened: a client that was asked of it may have been used without any call here.
        await self.engine.close()

    async def _open_engine(self) -> None:
        try:
            await self._tried(self.engine.open)
        except BaseException:
            await self.engine.close()
            raise
        self._ready = not self._closed

    def _check_owner(self) -> None:
        if self._closed:
            msg = f"the store {self.store_id!r} is closed; open a new one to go on"
            raise StoreClosedError(msg, store_id=self.store_id)
        here = (os.getpid(), asyncio.get_running_loop())
        if self._owner is None:
            self._owner = here
        elif self._owner[0] != here[0]:
            msg = f"the store {self.store_id!r} was opened before a fork, in process {self._owner[0]}; open it in process {here[0]} itself"
            raise ConfigurationError(msg)
        elif self._owner[1] is not here[1]:
            msg = (
                f"the store {self.store_id!r} belongs to the event loop that used it first, and this is another one; "
                "make one store a loop, call it from its own loop, or use its .sync methods everywhere"
            )
            raise ConfigurationError(msg)

    async def _tried(self, call: Callable[[], Awaitable[T]]) -> T:
        for delay in (*RETRY_DELAYS_SECONDS, None):
            try:
                return await call()
            except self.engine.driver_errors as error:
                fault = self.engine.diagnose(error)
                if fault is None:
                    raise
                if delay is None or not fault.retry:
                    raise fault.error(fault.message, store_id=self.store_id) from error
                if (operation := UNDER_WAY.get()) is not None:
                    operation.retries += 1
                await asyncio.sleep(delay * (1 + random.random()))  # spreads retries, guards no secret
            except StorageError as error:
                error.store_id = error.store_id or self.store_id
                raise
        raise AssertionError

    def _translated(self, error: BaseException) -> BaseException:
        fault = self.engine.diagnose(error)
        return error if fault is None else fault.error(fault.message, store_id=self.store_id)
