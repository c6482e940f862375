"""What tests of traces share: the two ways in which spans of runs are made, on both of which every promise is kept, and a program's own."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mastra_core import Observability
from mastra_core.storage import Store
from mastra_core.telemetry.observer import Observer


@pytest.fixture(params=["spans of ours", "spans of a provider"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs in a program without OpenTelemetry of its own, and in one whose TracerProvider is joined unless the test names another."""
    if request.param == "spans of ours":
        yield
        return
    provider, begin = TracerProvider(shutdown_on_exit=False), Observer.__init__

    def joined(self: Observer, storage: Store, *, options: Observability) -> None:
        begin(self, storage, options=options if options.tracer_provider is not None else attrs.evolve(options, tracer_provider=provider))

    monkeypatch.setattr(Observer, "__init__", joined)
    yield
    provider.shutdown()


@pytest.fixture
def joined() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """A TracerProvider of the program's own, with another exporter."""
    provider, other = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(other))
    yield provider, other
    provider.shutdown()
