"""MastraSpanExporter: finished OpenTelemetry spans into the observability domain of a store, in batches.

Knows OpenTelemetry's exporters, stores, and the event loop that a store belongs to. Must not know who makes spans. Needs mastra-core[otel].
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from mastra_core.errors import ConfigurationError, InvalidInputError, StorageError, StoreClosedError
from mastra_core.storage.records.span_kinds import Span
from mastra_core.storage.store import Store
from mastra_core.sync import background_loop
from mastra_core.telemetry.cleaning import Cleaner
from mastra_core.telemetry.mapping import Noted, Recorder
from mastra_core.telemetry.options import Observability

log = logging.getLogger("mastra_core.telemetry")

BATCH = 1000
"""Spans written together (contract §7.2)."""

TIMEOUT_SECONDS = 10.0
"""How long an export waits for the store; the write itself goes on."""


class MastraSpanExporter(SpanExporter):
    """Writes spans into a store: `provider.add_span_processor(BatchSpanProcessor(MastraSpanExporter(store)))`.

    What the store does not take, because it is down, waits here for the next export, the oldest being dropped when there are too many.
    A span that the store refuses is dropped alone. Nothing is raised into whoever ends a span.

    Args:
        storage: where spans go; its observability domain is used on the event loop that the store belongs to.
        options: what is kept of spans, and how many wait at most; `sampling` and `tracer_provider` are not the exporter's business.
        loop: the event loop to which the store will belong, if nothing has used it yet; None is the running one, else that of `.sync`.

    Attributes:
        stored: how many spans the store has taken.
        dropped: how many were lost.
        taken: how many were given to it, whatever became of them.
        running: gives the steps of a trace that go on. They are stored with what is exported of their trace, so that one can see them.
        counted: is told how many spans more were stored, and how many dropped.

    Raises:
        UnsupportedError: the store keeps no spans.
    """

    def __init__(self, storage: Store, *, options: Observability | None = None, loop: asyncio.AbstractEventLoop | None = None) -> None:
        given = options or Observability()
        self.stored = 0
        self.dropped = 0
        self.taken = 0
        self.loop = loop or _running_loop()
        self.running: Callable[[int], Iterable[Noted]] = lambda _: ()
        self.counted: Callable[[int, int], object] = lambda *_: None
        self._domain = storage.observability
        self._cleaner = Cleaner(
            redact_input=given.redact_input, redact_output=given.redact_output, max_attribute_bytes=given.max_attribute_bytes
        )
        self._limit = given.max_buffered_spans
        self._lock = threading.Lock()
        self._waiting: deque[Span] = deque()
        self._notes: dict[int, Noted] = {}
        self._writing: tuple[Future[bool], asyncio.AbstractEventLoop] | None = None
        self._down = False
        self._closed = False

    def note(self, span_id: int, *, noted: Noted) -> None:
        """Keep what a run noted of a span that is about to be exported."""
        self._notes[span_id] = noted

    def drop(self, span_id: int) -> None:
        """Count a span that was dropped before it came here."""
        self._notes.pop(span_id, None)
        self._count(dropped=1)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write *spans*, and those that wait; FAILURE if they have to wait (further). Called in an event loop, it is not waited for."""
        self.taken += len(spans)
        recorder = Recorder(self._cleaner)
        records = [recorder.record(span, noted=self._noted(span)) for span in spans]
        running = self._running({span.context.trace_id for span in spans if span.context}, recorder=recorder)
        with self._lock:
            self._waiting += (*running, *records)
            over = len(self._waiting) if self._closed else len(self._waiting) - self._limit
            lost = [self._waiting.popleft() for _ in range(over)]
        self._count(dropped=_ended(lost))
        return SpanExportResult.SUCCESS if self._written(TIMEOUT_SECONDS) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write the spans that wait; False if they still do."""
        return self._written(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Write the spans that wait, once more; those that the store does not take are dropped."""
        if self._closed:
            return
        self._written(TIMEOUT_SECONDS)
        with self._lock:
            self._closed = True
            lost = _ended(self._waiting)
            self._waiting.clear()
        self._count(dropped=lost)
        if self.dropped:
            log.warning("%d spans were dropped, %d of them at the end, since the store did not take them in time", self.dropped, lost)

    def _noted(self, span: ReadableSpan) -> Noted | None:
        return self._notes.pop(span.context.span_id, None) if span.context else None

    def _running(self, trace_ids: Iterable[int], *, recorder: Recorder) -> list[Span]:
        """Steps of these traces that go on and are not stored yet, as far as they have got."""
        found: list[Span] = []
        for noted in (one for trace_id in trace_ids for one in self.running(trace_id) if not one.shown):
            noted.shown = True
            try:
                found.append(recorder.running(noted))
            except RuntimeError:
                # What a step was given may be changed by who runs it, in another thread, while it is looked at: it is stored at its end.
                continue
        return found

    def _written(self, timeout_seconds: float) -> bool:
        """Whether nothing waits any more; does not wait for that in an event loop, which may be the one that writes."""
        with self._lock:
            if not self._waiting and self._writing is None:
                return True
            if self._writing is None or self._writing[0].done() or not self._writing[1].is_running():
                loop = self._domain.records.loop or self.loop or background_loop()
                if not loop.is_running() and loop is not background_loop():
                    return False
                self._writing = asyncio.run_coroutine_threadsafe(self._write(), loop), loop
            writing = self._writing[0]
        if _running_loop() is not None:
            return True
        try:
            error = writing.exception(timeout_seconds)
        except (TimeoutError, CancelledError):
            log.warning("spans wait, since the store has not taken them for %g s, or its event loop has ended", timeout_seconds)
            return False
        if error is not None:
            log.error("spans wait, since writing them failed in a way that nobody foresaw", exc_info=error)
        return error is None and writing.result()

    async def _write(self) -> bool:
        """Write what waits, untraced; whether all of it was taken."""
        untraced = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            while batch := self._next():
                try:
                    await self._save(batch)
                except BaseException:
                    self._put_back(batch)
                    raise
        except StorageError as error:
            if not self._down:
                log.warning("spans wait, since the store does not take them: %s", error)
            self._down = True
            return False
        finally:
            detach(untraced)
        if self._down:
            log.warning("the store takes spans again; %d were dropped meanwhile", self.dropped)
        self._down = False
        return True

    async def _save(self, batch: Sequence[Span]) -> None:
        """Write *batch*; of one that is refused each span alone, so that one bad span costs no others.

        Raises:
            StorageError: the store is down, or may take them later.
        """
        try:
            await self._domain.batch_create_spans(batch)
        except (StoreClosedError, ConfigurationError) as error:
            log.warning("%d spans were dropped, since this store will not take them: %s", len(batch), error)
            self._count(dropped=_ended(batch))
        except InvalidInputError as error:
            if len(batch) > 1:
                for span in batch:
                    await self._save([span])
                return
            log.warning("span %s was dropped, since the store refuses it: %s", batch[0].name, error)
            self._count(dropped=_ended(batch))
        else:
            self._count(stored=_ended(batch))

    def _next(self) -> list[Span]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not batch:
                # Under the lock: what comes now starts another write.
                self._writing = None
            return batch

    def _put_back(self, batch: Sequence[Span]) -> None:
        with self._lock:
            self._waiting.extendleft(reversed(batch))
            self._writing = None

    def _count(self, *, stored: int = 0, dropped: int = 0) -> None:
        with self._lock:
            self.stored += stored
            self.dropped += dropped
        self.counted(stored, dropped)


def _ended(spans: Iterable[Span]) -> int:
    """How many of the spans are whole: those that go on come again."""
    return sum(span.ended_at is not None for span in spans)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
