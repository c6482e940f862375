"""Names the domain method on every error that leaves it, and gives the error id of the TypeScript packages (contract §0.1)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from mastra_core.errors import StorageError, ThreadNotFoundError

P = ParamSpec("P")
T = TypeVar("T")


class _Domain(Protocol):
    product: str


D = TypeVar("D", bound=_Domain)
Method = Callable[Concatenate[D, P], Coroutine[Any, Any, T]]


def operation(method: Method[D, P, T]) -> Method[D, P, T]:
    """*method*, whose storage errors carry its name and, unless they have one, a code."""
    name = method.__name__

    @functools.wraps(method)
    async def named(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(self, *args, **kwargs)
        except StorageError as error:
            error.operation = error.operation or name
            status = "NOT_FOUND" if isinstance(error, ThreadNotFoundError) else "FAILED"
            error.code = error.code or f"MASTRA_STORAGE_{self.product.upper()}_{name.upper()}_{status}"
            raise

    return named
