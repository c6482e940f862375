"""Who is told of the operations of stores while they go on, such as what counts or traces them. Nobody is, unless somebody asks.

Knows operations by their names. Must not know what they are asked for, nor OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import Protocol

import attrs


@attrs.define(kw_only=True)
class Operation:
    """One call of a domain or of a vector store, from its beginning to its end.

    Attributes:
        domain: "memory", "workflows", "scores", "observability", or "vectors".
        name: of the method, such as "save_turn".
        store_id: the store's name in errors and logs.
        product: the backend's name, such as "libsql".
        batches: how many batches the engine was given so far; each is as few round trips as the database allows, one as a rule.
        retries: how often a batch was given again because the database failed.
        spent: what the engine says that its database charges for, such as "read_units", by name.
    """

    domain: str
    name: str
    store_id: str
    product: str
    batches: int = 0
    retries: int = 0
    spent: dict[str, float] = attrs.field(factory=dict)


class Watcher(Protocol):
    """Is told of every operation of the stores that it was given to."""

    def watch(self, operation: Operation) -> AbstractContextManager[object]:
        """What is entered before *operation* begins, and left with its error, if any, when it ends."""
        ...


UNDER_WAY: ContextVar[Operation | None] = ContextVar("mastra-operation", default=None)
"""The innermost watched operation of this task; the guard counts in it."""


def spent(name: str, amount: float) -> None:
    """Add to what the operation under way took of something that the database charges for; engines call it, watched or not."""
    if (operation := UNDER_WAY.get()) is not None:
        operation.spent[name] = operation.spent.get(name, 0) + amount


@contextmanager
def watched(watchers: Sequence[Watcher], operation: Operation) -> Iterator[None]:
    """Within it *operation* goes on, and *watchers* have been told."""
    token = UNDER_WAY.set(operation)
    try:
        with ExitStack() as told:
            for watcher in watchers:
                told.enter_context(watcher.watch(operation))
            yield
    finally:
        UNDER_WAY.reset(token)
