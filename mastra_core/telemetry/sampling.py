"""Which traces are kept, and what goes on in them.

Must not know who makes steps, nor where they go.
"""

from __future__ import annotations

import threading

from mastra_core.telemetry.mapping import Opened

TRACES = 10_000
"""Traces whose foreign spans are still waited for."""


class Traces:
    """The traces in which runs of one Mastra are, as far as they are sampled; the newest of them.

    Args:
        sampling: the share of traces that are kept.
    """

    def __init__(self, sampling: float) -> None:
        self._sampling = sampling
        self._begun: dict[int, dict[int, Opened]] = {}
        self._lock = threading.Lock()

    def begin(self, trace_id: int) -> None:
        """Keep the spans of this trace from now on, if it is sampled."""
        if not is_sampled(trace_id, sampling=self._sampling):
            return
        with self._lock:
            self._begun.setdefault(trace_id, {})
            if len(self._begun) > TRACES:
                del self._begun[next(iter(self._begun))]

    def open(self, trace_id: int, span_id: int, opened: Opened) -> None:
        """Know of a step of the trace that goes on."""
        if (steps := self._begun.get(trace_id)) is not None:
            steps[span_id] = opened

    def end(self, trace_id: int, span_id: int) -> bool:
        """Forget the step, which has ended; whether the trace's spans are still kept."""
        if (steps := self._begun.get(trace_id)) is None:
            return False
        steps.pop(span_id, None)
        return True

    def running(self, trace_id: int) -> list[Opened]:
        """The steps of the trace that go on, in the order in which they began."""
        return list(self._begun.get(trace_id, {}).values())

    def __contains__(self, trace_id: int) -> bool:
        """Whether its spans are kept."""
        return trace_id in self._begun


def is_sampled(trace_id: int, *, sampling: float) -> bool:
    """Whether a trace is of the share that is kept: by the bits that OpenTelemetry's own sampler takes, so that both choose the same."""
    return trace_id & (2**64 - 1) < round(sampling * 2**64)
