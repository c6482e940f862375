"""Blocking calls of async methods, on one background event loop of the process: `x.sync.method()` runs the same coroutine.

A facade is written as `get_thread = blocking(Async.get_thread)`, one line a method, in a class marked `@facade(Async)` that keeps the
async object as `self._async`. Knows event loops and threads; must not know what it runs.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, Concatenate, ParamSpec, TypeVar

from mastra_core.errors import ConfigurationError

A = TypeVar("A")
F = TypeVar("F", bound=type)
P = ParamSpec("P")
R = TypeVar("R")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_loops_of_parents: list[asyncio.AbstractEventLoop] = []


def facade(async_class: type) -> Callable[[F], F]:
    """Mark a class as the blocking face of *async_class*, kept as `self._async`, so that tests can compare the two."""

    def mark(sync_class: F) -> F:
        sync_class.__async_class__ = async_class  # type: ignore[attr-defined]  # a mark for tests, no part of the interface
        return sync_class

    return mark


def blocking(method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[Any, P], R]:
    """The method of a facade that calls *method* of its async object and waits for the answer.

    The method it makes raises ConfigurationError inside a running event loop, where waiting would block that loop.
    """

    @functools.wraps(method)
    def wait(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        # By name, so that what a subclass overrides is called.
        coroutine: Coroutine[Any, Any, R] = getattr(self._async, method.__name__)(*args, **kwargs)
        return run_blocking(coroutine)

    return wait


def blocking_iterator(
    method: Callable[Concatenate[A, P], AsyncIterator[R]], *, ahead: int = 1
) -> Callable[Concatenate[Any, P], Iterator[R]]:
    """The method of a facade that iterates over what *method* of its async object yields.

    Args:
        method: an async generator method.
        ahead: how many items are taken from it at once; 1 gives each as soon as it comes, more cost less a piece.

    The method it makes raises ConfigurationError inside a running event loop. Leaving its loop early closes the async generator.
    """

    @functools.wraps(method)
    def iterate(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        _refuse_in_loop(method.__qualname__)
        return _drain(getattr(self._async, method.__name__)(*args, **kwargs), ahead)

    return iterate


def run_blocking(coroutine: Coroutine[Any, Any, R]) -> R:
    """The answer of *coroutine*, run on the background loop; an interrupt cancels it.

    Raises:
        ConfigurationError: called inside a running event loop.
    """
    try:
        _refuse_in_loop(str(getattr(coroutine, "__qualname__", coroutine)))
    except ConfigurationError:
        coroutine.close()
        raise
    future: Future[R] | None = None
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, _running_loop())
        return future.result()
    except BaseException:
        if future is not None:
            future.cancel()
        raise


def background_loop() -> asyncio.AbstractEventLoop:
    """The loop on which blocking calls run, started by the first who asks."""
    return _running_loop()


def _drain(source: AsyncGenerator[R, None], ahead: int) -> Iterator[R]:
    async def some() -> list[R]:
        found: list[R] = []
        async for item in source:
            found.append(item)
            if len(found) >= ahead:
                break
        return found

    try:
        while found := run_blocking(some()):
            yield from found
    finally:
        # Not waited for: a generator may be finalised in any thread, and when the interpreter ends.
        asyncio.run_coroutine_threadsafe(_close(source), _running_loop())


async def _close(source: AsyncGenerator[Any, None]) -> None:
    await source.aclose()


def _refuse_in_loop(name: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    msg = (
        f"{name} was called through .sync inside a running event loop, which it would block; "
        f"leave out .sync and await it (`await ….{name.rpartition('.')[2]}(…)`), or call it from a thread of its own"
    )
    raise ConfigurationError(msg)


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop  # noqa: PLW0603  # one loop a process is the point of this module
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="mastra-sync", daemon=True).start()
        return _loop


def _forget_loop_of_parent() -> None:
    global _loop, _lock  # noqa: PLW0603  # a forked child has the parent's variables and none of its threads
    _lock = threading.Lock()
    if _loop is not None:
        # Kept alive: its finalisation would unregister file descriptors from the epoll object shared with the parent.
        _loops_of_parents.append(_loop)
        _loop = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_loop_of_parent)
