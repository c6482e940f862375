"""The whole contract of a store's observability domain."""

from __future__ import annotations

from mastra_core.testing.observability.lists import TraceListContract
from mastra_core.testing.observability.saving import SpanContract
from mastra_core.testing.observability.traces import TraceContract


class ObservabilityContract(SpanContract, TraceContract, TraceListContract):
    """Spans and traces as users meet them. A subclass defines `open_store`; see `ObservabilityUnderTest`."""
