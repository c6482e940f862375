"""Observer: steps of runs as OpenTelemetry spans, and from there into the store of a Mastra.

Knows OpenTelemetry's tracers and context. Must not know agents. Needs mastra-core[otel].
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Status, StatusCode

from mastra_core.storage.store import Store
from mastra_core.telemetry.exporter import MastraSpanExporter
from mastra_core.telemetry.mapping import Noted
from mastra_core.telemetry.options import Observability
from mastra_core.telemetry.tracing import Entity, Step, Told

SCOPE = "mastra_core"
"""The name of our instrumentation."""

QUEUE = 8192
"""Spans that may wait for the exporter's thread; more are dropped, and counted."""

TRACES = 10_000
"""Traces whose foreign spans are still waited for."""


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
        self._queue: SpanQueue | None = None
        self._own: TracerProvider | None = None
        self._tracer: trace.Tracer | None = None
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

    async def flush(self) -> bool:
        """Store every span that has ended; False if the store does not take them now."""
        if self._queue is None:
            return True
        await asyncio.to_thread(self._queue.force_flush)
        return await asyncio.to_thread(self.exporter.force_flush)

    async def close(self) -> None:
        """Store every span that has ended, and trace no more. The store is left open; idempotent."""
        closing = self._own or self._queue
        if closing is not None:
            # A thread waits for the exporter's, which needs this event loop to write.
            await asyncio.to_thread(closing.shutdown)

    @property
    def tracer(self) -> trace.Tracer:
        """The tracer, made by the first step: a program may set up OpenTelemetry after its Mastra."""
        with self._lock:
            if self._tracer is None:
                self._tracer = self._begun()
            return self._tracer

    def _begun(self) -> trace.Tracer:
        # A store belongs to the loop of the runs, also when the first to use it is the exporter.
        self.exporter.loop = asyncio.get_running_loop()
        self._queue = SpanQueue(self.exporter, traces=self.traces, key=self.key)
        given = self.options.tracer_provider or trace.get_tracer_provider()
        if not hasattr(given, "add_span_processor"):
            given = self._own = TracerProvider(sampler=ParentBased(TraceIdRatioBased(self.options.sampling)))
        cast("TracerProvider", given).add_span_processor(self._queue)
        return cast("TracerProvider", given).get_tracer(SCOPE)


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
        around: Noted | None = cast("Noted | None", otel_context.get_value(observer.key))
        # Through the step, not the span, comes what is raised: its text may quote what was said, and other exporters would have it.
        self._span = observer.tracer.start_span(self._name, attributes=self._conventional)
        told = self._span.get_span_context()
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
        within = otel_context.set_value(observer.key, noted, trace.set_span_in_context(self._span))
        self._token = otel_context.attach(within)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The step ends; what is raised through it is its error."""
        otel_context.detach(self._token)
        noted, span = self._noted, self._span
        if isinstance(error, asyncio.CancelledError):
            noted.attributes["interrupted"] = True
        elif error is not None:
            noted.error = error
        if noted.error is not None:
            named = "error" if isinstance(noted.error, str) else type(noted.error).__name__
            span.set_attribute("error.type", named)
            span.set_status(Status(StatusCode.ERROR))
        usage = noted.attributes.get("usage")
        if usage is not None and noted.span_type == "model_step":
            span.set_attributes({"gen_ai.usage.input_tokens": usage["inputTokens"], "gen_ai.usage.output_tokens": usage["outputTokens"]})
            span.set_attribute("gen_ai.response.finish_reasons", [noted.attributes["finishReason"]])
        if self.trace_id is not None and span.get_span_context().trace_id in self._observer.traces:
            self._observer.exporter.note(span.get_span_context().span_id, noted=noted)
        span.end()


class Traces:
    """The traces in which runs of one Mastra are, as far as they are sampled; the newest of them.

    Args:
        sampling: the share of traces that are kept.
    """

    def __init__(self, sampling: float) -> None:
        # By the same bits as OpenTelemetry's own sampler, so that both choose the same traces.
        self._bound = round(sampling * 2**64)
        self._begun: dict[int, None] = {}
        self._lock = threading.Lock()

    def begin(self, trace_id: int) -> None:
        """Keep the spans of this trace from now on, if it is sampled."""
        if trace_id & (2**64 - 1) >= self._bound:
            return
        with self._lock:
            self._begun[trace_id] = None
            if len(self._begun) > TRACES:
                del self._begun[next(iter(self._begun))]

    def __contains__(self, trace_id: int) -> bool:
        """Whether its spans are kept."""
        return trace_id in self._begun


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
        if context is None or not context.trace_flags.sampled or context.trace_id not in self._traces:
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
