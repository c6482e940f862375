"""Observer: steps of runs as OpenTelemetry spans, and from there into the store of a Mastra.

Knows OpenTelemetry's tracers and context. Must not know agents. Needs mastra-core[otel].
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Protocol, Self, cast

import attrs
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation import _SPAN_KEY

from mastra_core.errors import UnsupportedError
from mastra_core.storage.records.guard import Guard
from mastra_core.storage.records.records import Records
from mastra_core.storage.records.watching import Operation, Watcher
from mastra_core.storage.store import DOMAINS, Store
from mastra_core.storage.vectors.port import VectorStore
from mastra_core.storage.vectors.vectors import Vectors
from mastra_core.telemetry.exporter import MastraSpanExporter
from mastra_core.telemetry.mapping import Noted
from mastra_core.telemetry.operations import OperationSpans, StorageMetrics, conventional, metrics_of
from mastra_core.telemetry.options import Observability
from mastra_core.telemetry.own_spans import OwnTracer
from mastra_core.telemetry.sampling import Traces
from mastra_core.telemetry.tracing import UNTRACED, Entity, Step, Told

SCOPE = "mastra_core"
"""The name of our instrumentation."""

QUEUE = 8192
"""Spans that may wait for the exporter's thread; more are dropped, and counted."""


class Begin(Protocol):
    """Begins a span below the one in *context*: a tracer's start_span."""

    def __call__(self, name: str, context: Context, *, attributes: Mapping[str, str | int] | None = None) -> trace.Span: ...


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
        self.begin: Begin | None = None
        # Is given the span of each step that has ended; a provider that is joined gives them to the queue itself.
        self.hand_over: Callable[[Any], object] = lambda _: None
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
        attributes: dict[str, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        conventional: Mapping[str, str | int] | None = None,
    ) -> Step:
        """A step to be entered; see Tracing."""
        return SpanStep(
            observer=self, span_type=span_type, name=name, entity=entity, input=input, attributes=attributes or {},
            metadata=metadata or {}, conventional=conventional,
        )  # fmt: skip

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

    def begun(self) -> Begin:
        """What begins spans; made by the first step, since a program may set up OpenTelemetry after its Mastra."""
        with self._lock:
            if self.begin is None:
                self.begin = self._set_up()
            return self.begin

    def _set_up(self) -> Begin:
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
        self.hand_over = queue.take
        return OwnTracer(0.0 if disabled else self.options.sampling).start_span


@attrs.define(kw_only=True, eq=False)
class SpanStep(Noted, Step):
    """A step that is a span, from entering to leaving it, and what is noted of it: one object, since each one more is felt in every run.

    Attributes:
        observer: whose step it is.
        name: for people.
        conventional: facts for other exporters.
        trace: the number of its trace; id: that of its span.
        beside: the steps of the trace that go on; None if nothing of the trace is kept.
        kept: whether the span is kept.
        token: puts back the context around it.
    """

    traced = True

    observer: Observer
    name: str
    conventional: Mapping[str, str | int] | None
    trace: int = attrs.field(init=False)
    id: int = attrs.field(init=False)
    beside: dict[int, Noted] | None = attrs.field(init=False)
    kept: bool = attrs.field(init=False, default=False)
    token: Token[Context] = attrs.field(init=False)

    @property
    def trace_id(self) -> str | None:
        return f"{self.trace:032x}" if self.kept else None

    def gave(self, output: Told = None, **attributes: Any) -> None:
        if output is not None:
            self.output = output
        self.attributes |= attributes

    def failed(self, error: BaseException | str) -> None:
        self.error = error

    def __enter__(self) -> Self:
        """The step, begun."""
        observer, here = self.observer, otel_context.get_current()
        # Through the step, not the span, comes what is raised: its text may quote what was said, and other exporters would have it.
        span = (observer.begin or observer.begun())(self.name, here, attributes=self.conventional)
        self.trace, self.id, _, flags, _, _ = span.get_span_context()
        around: SpanStep | None = here.get(observer.key)  # type: ignore[assignment]  # nobody else has this key
        if around is None:
            self.root_entity = self.entity
            self.beside = observer.traces.begin(self.trace)
        else:
            self.beside = around.beside if around.trace == self.trace else None
            self.metadata = {**around.metadata, **self.metadata} if self.metadata else around.metadata
            self.entity = self.entity or around.entity
            self.parent_entity, self.root_entity = around.entity, around.root_entity
        self.span = span
        if self.beside is not None and flags & TraceFlags.SAMPLED and span.is_recording():
            self.kept = True
            self.beside[self.id] = self
        self.token = otel_context.attach(Context({**here, _SPAN_KEY: span, observer.key: self}))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The step ends; what is raised through it is its error."""
        otel_context.detach(self.token)
        # It waits for its export now, and need not keep the contexts around it.
        del self.token
        observer, span = self.observer, self.span
        if isinstance(error, asyncio.CancelledError):
            self.attributes["interrupted"] = True
        elif error is not None:
            self.error = error
        if self.beside is not None and self.kept:
            del self.beside[self.id]
            # What a provider gives to the queue is taken if its trace is still kept, and a note of any other would never be fetched.
            if not observer.shared or self.trace in observer.traces:
                observer.exporter.note(self.id, noted=self)
        if observer.shared:
            _tell_others(span, noted=self)
        span.end()
        if self.kept:
            observer.hand_over(span)


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

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Tell a foreign span in whose run it is: when it is exported, the run's own span may not have ended."""
        scope = span.instrumentation_scope
        around = None if scope is not None and scope.name == SCOPE else otel_context.get_value(self._key, parent_context)
        if isinstance(around, Noted):
            span.set_attributes(around.lineage())

    def on_end(self, span: ReadableSpan) -> None:
        """Take the span, unless it is of a trace without runs."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled and context.trace_id in self._traces:
            self.take(span)

    def take(self, span: ReadableSpan) -> None:
        """Take the span, whatever trace it is of."""
        with self._counting:
            # The processor itself would drop the oldest, and tell nobody how many.
            taken = not self._closed and self._given - self._exporter.taken < QUEUE
            self._given += taken
        if taken:
            # What its on_end does, once it knows that the span is sampled.
            self._batch_processor.emit(span)
        else:
            self._exporter.drop(span.context.span_id)

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
