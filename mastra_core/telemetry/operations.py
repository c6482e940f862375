"""What operations of stores tell OpenTelemetry: a step of the run each (by option), and metrics, by the names of its conventions.

Knows operations and OpenTelemetry's meters. Must not know what is stored: nothing of it is told. Needs mastra-core[otel].
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from mastra_core.storage.records.watching import Operation
from mastra_core.telemetry.pools import pools_of
from mastra_core.telemetry.tracing import Step

SYSTEMS = {"libsql": "sqlite", "pg": "postgresql", "dynamodb": "aws.dynamodb"}
"""Products whose name in OpenTelemetry's conventions is another one."""

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
"""The bounds that the conventions advise for durations of database operations."""


def conventional(operation: Operation) -> dict[str, str | int]:
    """What the conventions call *operation*: "memory.save_turn" of "sqlite"."""
    return {
        "db.system.name": SYSTEMS.get(operation.product, operation.product),
        "db.operation.name": f"{operation.domain}.{operation.name}",
        "mastra.store.id": operation.store_id,
    }


class OperationSpans:
    """Makes a step of every operation within a run.

    Args:
        step: gives the step to be entered for an operation; one that keeps nothing where nobody runs.
    """

    def __init__(self, step: Callable[[Operation], Step]) -> None:
        self._step = step

    def watch(self, operation: Operation) -> AbstractContextManager[object]:
        return _Told(self._step(operation), operation)


class _Told:
    """A step that learns, when its operation ends, what that took."""

    def __init__(self, step: Step, operation: Operation) -> None:
        self._step = step
        self._operation = operation

    def __enter__(self) -> Self:
        self._step.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._step.gave(batches=self._operation.batches, retries=self._operation.retries, **self._operation.spent)
        self._step.__exit__(kind, error, trace)


class StorageMetrics:
    """Counts and measures: operations of stores, and the spans that they take.

    * `db.client.operation.duration`: seconds of each operation; its count is how many there were. `error.type` where it failed.
    * `mastra.storage.batches`: batches given to engines. `mastra.storage.retries`: those that were given again.
    * `mastra.storage.spent`: what databases charge for, such as read units; `mastra.storage.unit` says of what.
    * `otel.sdk.exporter.span.exported`: spans stored; with `error.type` "dropped", spans lost.

    Args:
        provider: gives the meter.

    Attributes:
        pools: tells of connections.
    """

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("mastra_core")
        self.pools = pools_of(provider)
        self.duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of operations of stores.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self.batches = meter.create_counter("mastra.storage.batches", unit="{batch}", description="Batches given to storage engines.")
        self.retries = meter.create_counter("mastra.storage.retries", unit="{retry}", description="Batches given again after a failure.")
        self.spent = meter.create_counter("mastra.storage.spent", description="What databases charge for, in their own units.")
        self._spans = meter.create_counter("otel.sdk.exporter.span.exported", unit="{span}", description="Spans stored, or dropped.")

    def watch(self, operation: Operation) -> AbstractContextManager[object]:
        return _Measured(self, operation)

    def spans(self, *, stored: int, dropped: int) -> None:
        """Count spans that a store has taken, and spans that were lost."""
        component = {"otel.component.type": "mastra_span_exporter"}
        if stored:
            self._spans.add(stored, component)
        if dropped:
            self._spans.add(dropped, {**component, "error.type": "dropped"})


class _Measured:
    """An operation with a clock."""

    def __init__(self, metrics: StorageMetrics, operation: Operation) -> None:
        self._metrics = metrics
        self._operation = operation

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        took, metrics, operation = time.perf_counter() - self._began, self._metrics, self._operation
        named = conventional(operation)
        metrics.duration.record(took, named if kind is None else {**named, "error.type": kind.__name__})
        if operation.batches:
            metrics.batches.add(operation.batches, named)
        if operation.retries:
            metrics.retries.add(operation.retries, named)
        for unit, amount in operation.spent.items():
            metrics.spent.add(amount, {**named, "mastra.storage.unit": unit})


def metrics_of(given: MeterProvider | None) -> StorageMetrics | None:
    """Metrics that go to the provider given, else to the global one; None if there is none."""
    provider = given or metrics.get_meter_provider()
    # OpenTelemetry's stand-in for a provider that nobody has set counts nothing, and cannot be flushed.
    return StorageMetrics(provider) if given is not None or hasattr(provider, "force_flush") else None
