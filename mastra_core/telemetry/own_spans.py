"""Spans of ours for a program without OpenTelemetry of its own: what the store keeps of a step, and no more, in a third of the SDK's time.

Knows OpenTelemetry's context, in which they stand as any other span does. Must not know what is noted of steps, nor where spans go.
Needs mastra-core[otel].
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation import _SPAN_KEY

from mastra_core import clock
from mastra_core.telemetry.sampling import is_sampled

MAX_ATTRIBUTES = 128
"""What a program may set on one span, by OpenTelemetry's own limit; then the oldest is dropped."""

_RANDOM = TraceFlags.RANDOM_TRACE_ID
_KEPT, _PASSED_OVER = TraceFlags(TraceFlags.SAMPLED | _RANDOM), TraceFlags(_RANDOM)


class OwnTracer:
    """Begins spans below the one in the context, whoever made that; without one, a trace, if it is of the share that is kept.

    Args:
        sampling: the share of traces that are kept.
    """

    def __init__(self, sampling: float) -> None:
        self._sampling = sampling

    def start_span(self, name: str, context: Context, *, attributes: object = None) -> OwnSpan | NonRecordingSpan:
        """A span that has begun; one that records nothing if its trace is not kept.

        Args:
            name: for people.
            context: with the span around it, if any.
            attributes: what other exporters would get; here is none.
        """
        around = context.get(_SPAN_KEY)
        found = around.context if type(around) is OwnSpan else trace.get_current_span(context).get_span_context()
        # It is a tuple, whose parts by their names are a call each.
        trace_id, _, _, flags, state, is_valid = found
        begun = clock.nanoseconds()
        # Times are stored in milliseconds, and spans of one are listed by their ids, which begin with the rest. An id of zeros means none.
        span_id = begun % 1_000_000 << 44 | random.getrandbits(44) or 1
        if not is_valid:
            trace_id = random.getrandbits(128) or 1
            flags = _KEPT if is_sampled(trace_id, sampling=self._sampling) else _PASSED_OVER
        made = SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags, trace_state=state)
        if not flags & TraceFlags.SAMPLED:
            return NonRecordingSpan(made)
        return OwnSpan(name, context=made, parent=found if is_valid else None, begun=begun)


class OwnSpan(trace.Span):
    """A span as a program meets it in the context, and, by the names of the SDK's ReadableSpan, what is stored of it.

    Events, exceptions and a status that a program adds are not stored: the step itself says what failed.

    Attributes:
        context: its ids.
        parent: those of the span around it; None for the first of a trace.
        attributes: what a program has set on it; None if nothing.
        start_time: in nanoseconds since 1970; end_time: likewise, None while it goes on.
    """

    attributes: BoundedAttributes | None = None
    links: Sequence[Link] = ()
    end_time: int | None = None

    def __init__(self, name: str, *, context: SpanContext, parent: SpanContext | None, begun: int) -> None:
        self.name = name
        self.context = context
        self.parent = parent
        self.start_time = begun

    def get_span_context(self) -> SpanContext:
        return self.context

    def is_recording(self) -> bool:
        return self.end_time is None

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: Any) -> None:
        if self.end_time is not None:
            return
        if self.attributes is None:
            # The SDK's own, which copies what may be changed later, and is read in another thread.
            self.attributes = BoundedAttributes(MAX_ATTRIBUTES, immutable=False)
        self.attributes[key] = value

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        if self.end_time is None:
            self.links = (*self.links, Link(context, attributes))

    def update_name(self, name: str) -> None:
        if self.end_time is None:
            self.name = name

    def add_event(self, *_: Any, **__: Any) -> None:
        """Events are not stored."""

    def set_status(self, *_: Any, **__: Any) -> None:
        """The step says whether it failed."""

    def record_exception(self, *_: Any, **__: Any) -> None:
        """The step says what failed."""

    def end(self, end_time: int | None = None) -> None:
        if self.end_time is None:
            self.end_time = end_time or clock.nanoseconds()
