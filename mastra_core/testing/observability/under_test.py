"""The observability domain under test: how its store is opened, and the spans that the contracts save."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest_asyncio

from mastra_core.storage.domains.observability import ObservabilityDomain, Trace
from mastra_core.storage.records.span_kinds import Span
from mastra_core.testing.contract import Contract
from mastra_core.testing.samples import T0, at


class HasObservability(Protocol):
    """A store with an observability domain."""

    @property
    def observability(self) -> ObservabilityDomain:
        """The domain."""
        ...


class ObservabilityUnderTest(Contract):
    """What a backend supplies, and the fixture made of it."""

    def open_store(self) -> AbstractAsyncContextManager[HasObservability]:
        """An async context manager: an object with `.observability` over an empty database of its own; nothing of it is left on exit."""
        msg = f"{type(self).__name__} must define open_store(self): an async context manager that gives an object with .observability"
        raise NotImplementedError(msg)

    @pytest_asyncio.fixture
    async def spans(self) -> AsyncIterator[ObservabilityDomain]:
        """The observability domain of a fresh store."""
        async with self.open_store() as store:
            await store.observability.records.open()
            self.capabilities = store.observability.records.engine.capabilities
            try:
                yield store.observability
            finally:
                await store.observability.records.close()

    async def has(self, spans: ObservabilityDomain, trace_id: str, expected: Sequence[Span]) -> None:
        """Assert that the trace has exactly these spans, in this order; patiently where lists may lag."""

        async def look() -> Sequence[Span]:
            return spans_of(await spans.get_trace(trace_id))

        await self.shows(look, expected)

    async def lists(self, spans: ObservabilityDomain, expected: str | Sequence[str], **options: Any) -> None:
        """Assert that the list has the traces of these ids, in this order; patiently where it may lag. A text has an id a letter."""

        async def look() -> Sequence[str]:
            return [root.trace_id for root in await spans.list_traces(**options)]

        await self.shows(look, list(expected))


def a_span(trace_id: str = "t", span_id: str = "r", **given: Any) -> Span:
    """A span, the root of its trace unless given a parent, and made at T0.

    *started* (0) and *ended* (none) are milliseconds after T0; anything else is an attribute.
    """
    started, ended = given.pop("started", 0), given.pop("ended", None)
    times = {"started_at": at(started), "ended_at": None if ended is None else at(ended), "created_at": T0}
    return Span(trace_id=trace_id, span_id=span_id, **{"name": f"I am {span_id}", "span_type": "generic"} | times | given)


def a_child(trace_id: str, span_id: str = "c", *, parent: str = "r", **given: Any) -> Span:
    """A span below another, a millisecond later unless told."""
    return a_span(trace_id, span_id, **{"started": 1, "parent_span_id": parent} | given)


def spans_of(trace: Trace | None) -> tuple[Span, ...]:
    """The spans of a trace that may not be there."""
    return () if trace is None else trace.spans
