"""Names the domain method on every error that leaves it, with the error id of TypeScript (contract §0.1), and tells who watches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from mastra_core.errors import StorageError, ThreadNotFoundError
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.watching import Operation, watched

P = ParamSpec("P")
T = TypeVar("T")


class _Domain(Protocol):
    domain: str
    records: Records
    product: str


D = TypeVar("D", bound=_Domain)
Method = Callable[Concatenate[D, P], Coroutine[Any, Any, T]]


def operation(method: Method[D, P, T]) -> Method[D, P, T]:
    """*method*, whose storage errors carry its name and, unless they have one, a code; the store's watchers are told of each call."""
    name = method.__name__

    async def told(self: D, args: Any, kwargs: Any) -> T:
        records = self.records
        with watched(records.watchers, Operation(domain=self.domain, name=name, store_id=records.store_id, product=self.product)):
            return await method(self, *args, **kwargs)

    @functools.wraps(method)
    async def named(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await (told(self, args, kwargs) if self.records.watchers else method(self, *args, **kwargs))
        except StorageError as error:
            error.operation = error.operation or name
            status = "NOT_FOUND" if isinstance(error, ThreadNotFoundError) else "FAILED"
            error.code = error.code or f"MASTRA_STORAGE_{self.product.upper()}_{name.upper()}_{status}"
            raise

    return named
