"""Observer: steps of runs as OpenTelemetry spans, and from there into the store of a Mastra.

Knows OpenTelemetry's tracers and context. Must not know agents. Needs mastra-core[otel].
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

from mastra_core.errors import UnsupportedError
from mastra_core.storage.records.guard import Guard
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.watching import Operation, Watcher
from mastra_core.storage.store import DOMAINS, Store
from mastra_core.storage.vectors.port import VectorStore
from mastra_core.storage.vectors.vectors import Vectors
from mastra_core.telemetry.exporter import MastraSpanExporter
from mastra_core.telemetry.mapping import Noted, Opened
from mastra_core.telemetry.operations import OperationSpans, StorageMetrics, conventional, metrics_of
from mastra_core.telemetry.options import Observability
from mastra_core.telemetry.own_spans import OwnSpan, OwnTracer
from mastra_core.telemetry.sampling import Traces
from mastra_core.telemetry.tracing import UNTRACED, Entity, Step, Told

SCOPE = "mastra_core"
"""The name of our instrumentation."""

QUEUE = 8192
"""Spans that may wait for the exporter's thread; more are dropped, and counted."""


class Begin(Protocol):
    """Begins a span below the one in *context*: a tracer's start_span."""

    def __call__(self, name: str, context: otel_context.Context, /, *, attributes: Mapping[str, str | int] | None = None) -> trace.Span: ...


class Observer:
    """Traces the runs of one Mastra; begins with the first step. Other spans of the same traces are stored too.

    Args:
        storage: where spans go.
        options: what is kept of them.

    Raises:
        UnsupportedError: the storage keeps no spans.
    """

    def __init__(self, storage: Store, *, options: Observability) -> None:
        self.options = options
        self.exporter = MastraSpanExporter(storage, options=options)
        self.key = otel_context.create_key("mastra-step")
        self.traces = Traces(options.sampling)
        self.exporter.running = self.traces.running
        self._guards: tuple[Guard[Any], ...] = ()
        self._records: tuple[Records, ...] = ()
        self._watchers: list[Watcher] = []
        self._metrics: StorageMetrics | None = None
        self._queue: SpanQueue | None = None
        # Whether others may get our spans: only for them are facts put in by OpenTelemetry's names too.
        self.shared = True
        self._begin: Begin | None = None
        self._lock = threading.Lock()

    @property
    def stored(self) -> int:
        """How many spans the store has taken."""
        return self.exporter.stored

    @property
    def dropped(self) -> int:
        """How many spans were lost because the store was down, or refused them."""
        return self.exporter.dropped

    def step(
        self,
        span_type: str,
        name: str,
        *,
        entity: Entity | None = None,
        input: Told = None,
        attributes: Mapping[str, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        conventional: Mapping[str, str | int] | None = None,
    ) -> Step:
        """A step to be entered; see Tracing."""
        noted = Noted(span_type=span_type, entity=entity, metadata=metadata or {}, attributes=dict(attributes or {}), input=input)
        return SpanStep(self, name=name, noted=noted, conventional=conventional)

    def watch(self, stores: Iterable[Store], *, vectors: Iterable[VectorStore]) -> None:
        """Trace and measure the operations of these stores, as far as the options and OpenTelemetry's set-up ask for it."""
        guards = {id(guard): guard for store in stores for guard in _guards_of(store)}
        guards |= {id(one.guard): one.guard for one in vectors if isinstance(one, Vectors)}
        self._guards = tuple(guards.values())
        self._records = tuple(guard for guard in self._guards if isinstance(guard, Records))
        if self.options.storage_operations:
            self._add_watcher(OperationSpans(self._operation))
        self._measure()

    def _operation(self, operation: Operation) -> Step:
        """The step of an operation within a run; what the exporter does is within none."""
        if otel_context.get_value(self.key) is None or otel_context.get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return UNTRACED
        return self.step(
            "rag_vector_operation" if operation.domain == "vectors" else "generic",
            f"storage: {operation.domain}.{operation.name}",
            attributes={"operation": operation.name, "store": operation.store_id},
            conventional=conventional(operation),
        )

    def _measure(self) -> None:
        if self._metrics is None and (found := metrics_of(self.options.meter_provider)) is not None:
            self._metrics = found
            self.exporter.counted = lambda stored, dropped: found.spans(stored=stored, dropped=dropped)
            self._add_watcher(found)
            found.pools.add(self._records)

    def _add_watcher(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)
        for guard in self._guards:
            guard.watchers += (watcher,)

    async def flush(self) -> bool:
        """Store every span that has ended; False if the store does not take them now."""
        if self._queue is None:
            return True
        await asyncio.to_thread(self._queue.force_flush)
        return await asyncio.to_thread(self.exporter.force_flush)

    async def close(self) -> None:
        """Store every span that has ended, and trace no more. The store is left open; idempotent."""
        if self._queue is not None:
            # A thread waits for the exporter's, which needs this event loop to write.
            await asyncio.to_thread(self._queue.shutdown)
            atexit.unregister(self._queue.shutdown)
        for guard in self._guards:
            guard.watchers = tuple(watcher for watcher in guard.watchers if watcher not in self._watchers)
        if self._metrics is not None:
            told, self._records = self._records, ()
            self._metrics.pools.remove(told)

    @property
    def begin(self) -> Begin:
        """Begins spans; made by the first step, since a program may set up OpenTelemetry after its Mastra."""
        if self._begin is not None:
            return self._begin
        with self._lock:
            if self._begin is None:
                self._begin = self._begun()
            return self._begin

    def _begun(self) -> Begin:
        self._measure()
        # A store belongs to the loop of the runs, also when the first to use it is the exporter.
        self.exporter.loop = asyncio.get_running_loop()
        self._queue = queue = SpanQueue(self.exporter, traces=self.traces, key=self.key)
        given = self.options.tracer_provider or trace.get_tracer_provider()
        if hasattr(given, "add_span_processor"):
            cast("TracerProvider", given).add_span_processor(queue)
            return cast("TracerProvider", given).get_tracer(SCOPE).start_span
        self.shared = False
        # What a provider does, if its program ends without closing it.
        atexit.register(queue.shutdown)
        disabled = os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"
        return OwnTracer(0.0 if disabled else self.options.sampling, ended=queue.take_own).start_span


class SpanStep(Step):
    """A step that is a span, from entering to leaving it."""

    traced = True

    def __init__(self, observer: Observer, *, name: str, noted: Noted, conventional: Mapping[str, str | int] | None) -> None:
        self._observer = observer
        self._name = name
        self._noted = noted
        self._conventional = conventional

    def gave(self, output: Told = None, **attributes: Any) -> None:
        if output is not None:
            self._noted.output = output
        self._noted.attributes |= attributes

    def failed(self, error: BaseException | str) -> None:
        self._noted.error = error

    def __enter__(self) -> Self:
        """The step, begun."""
        observer, noted = self._observer, self._noted
        begin, here = observer.begin, otel_context.get_current()
        around: Noted | None = cast("Noted | None", here.get(observer.key))
        # Through the step, not the span, comes what is raised: its text may quote what was said, and other exporters would have it.
        self._span = begin(self._name, here, attributes=self._conventional) if observer.shared else begin(self._name, here)
        self._told = told = self._span.get_span_context()
        trace_id = told.trace_id
        if around is None:
            noted.root_entity = noted.entity
            observer.traces.begin(trace_id)
        else:
            noted.metadata = {**around.metadata, **noted.metadata} if noted.metadata else around.metadata
            noted.entity = noted.entity or around.entity
            noted.parent_entity, noted.root_entity = around.entity, around.root_entity
        kept = self._span.is_recording() and told.trace_flags.sampled and trace_id in observer.traces
        self.trace_id = f"{trace_id:032x}" if kept else None
        if kept:
            observer.traces.open(trace_id, told.span_id, Opened(span=cast("ReadableSpan", self._span), noted=noted))
        within = trace.set_span_in_context(self._span, otel_context.set_value(observer.key, noted, here))
        self._token = otel_context.attach(within)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The step ends; what is raised through it is its error."""
        otel_context.detach(self._token)
        noted, observer = self._noted, self._observer
        if isinstance(error, asyncio.CancelledError):
            noted.attributes["interrupted"] = True
        elif error is not None:
            noted.error = error
        if observer.shared:
            _tell_others(self._span, noted=noted)
        told = self._told
        if self.trace_id is not None and observer.traces.end(told.trace_id, told.span_id):
            observer.exporter.note(told.span_id, noted=noted)
        self._span.end()


def _tell_others(span: trace.Span, *, noted: Noted) -> None:
    """Put into *span* what other exporters may know of how its step ended, by the names of OpenTelemetry's conventions."""
    if noted.error is not None:
        span.set_attribute("error.type", "error" if isinstance(noted.error, str) else type(noted.error).__name__)
        span.set_status(Status(StatusCode.ERROR))
    usage = noted.attributes.get("usage")
    if usage is not None and noted.span_type == "model_step":
        span.set_attributes(
            {
                "gen_ai.usage.input_tokens": usage["inputTokens"],
                "gen_ai.usage.output_tokens": usage["outputTokens"],
                "gen_ai.response.finish_reasons": [noted.attributes["finishReason"]],
            }
        )


class SpanQueue(BatchSpanProcessor):
    """Hands ended spans of some traces to the exporter's thread; what is too much is counted.

    Args:
        exporter: which takes them.
        traces: whose spans are taken: an exporter whose database client is traced would otherwise export what its own writes cause.
        key: of the step in the context.
    """

    def __init__(self, exporter: MastraSpanExporter, *, traces: Traces, key: str) -> None:
        super().__init__(exporter, max_queue_size=QUEUE, max_export_batch_size=min(QUEUE, 512))
        self._given = 0
        self._counting = threading.Lock()
        self._exporter = exporter
        self._traces = traces
        self._key = key
        self._closed = False

    def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
        """Tell a foreign span in whose run it is: when it is exported, the run's own span may not have ended."""
        scope = span.instrumentation_scope
        around = None if scope is not None and scope.name == SCOPE else otel_context.get_value(self._key, parent_context)
        if isinstance(around, Noted):
            span.set_attributes(around.lineage())

    def on_end(self, span: ReadableSpan) -> None:
        """Take the span, unless it is of a trace without runs."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self._take(span, context)

    def take_own(self, span: OwnSpan) -> None:
        """Take a span that no provider knows of, unless it is of a trace without runs."""
        self._take(cast("ReadableSpan", span), span.context)

    def _take(self, span: ReadableSpan, context: trace.SpanContext) -> None:
        if context.trace_id not in self._traces:
            return
        with self._counting:
            # The processor itself would drop the oldest, and tell nobody how many.
            taken = not self._closed and self._given - self._exporter.taken < QUEUE
            self._given += taken
        if taken:
            super().on_end(span)
        else:
            self._exporter.drop(context.span_id)

    def shutdown(self) -> None:
        """Export what waits, and take no more."""
        self._closed = True
        super().shutdown()  # type: ignore[no-untyped-call]  # the SDK's has no annotation


def _guards_of(store: Store) -> Iterable[Guard[Any]]:
    """The guards of the domains that *store* keeps."""
    for name in DOMAINS:
        try:
            yield getattr(store, name).records
        except UnsupportedError:
            continue
