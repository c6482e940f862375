"""Which traces are kept, and what goes on in them.

Must not know who makes steps, nor where they go.
"""

from __future__ import annotations

import threading

from mastra_core.telemetry.mapping import Noted

TRACES = 10_000
"""Traces whose foreign spans are still waited for."""


class Traces:
    """The traces in which runs of one Mastra are, as far as they are sampled; the newest of them.

    Args:
        sampling: the share of traces that are kept.
    """

    def __init__(self, sampling: float) -> None:
        self._sampling = sampling
        self._begun: dict[int, dict[int, Noted]] = {}
        self._lock = threading.Lock()

    def begin(self, trace_id: int) -> dict[int, Noted] | None:
        """Keep the spans of this trace from now on, if it is sampled.

        Gives the place for its steps that go on, by their spans' ids; None if the trace is not kept.
        """
        if not is_sampled(trace_id, sampling=self._sampling):
            return None
        with self._lock:
            steps = self._begun.setdefault(trace_id, {})
            if len(self._begun) > TRACES:
                del self._begun[next(iter(self._begun))]
            return steps

    def running(self, trace_id: int) -> list[Noted]:
        """The steps of the trace that go on, in the order in which they began."""
        return list(self._begun.get(trace_id, {}).values())

    def __contains__(self, trace_id: int) -> bool:
        """Whether its spans are kept."""
        return trace_id in self._begun


def is_sampled(trace_id: int, *, sampling: float) -> bool:
    """Whether a trace is of the share that is kept: by the bits that OpenTelemetry's own sampler takes, so that both choose the same."""
    return sampling >= 1 or trace_id & (2**64 - 1) < round(sampling * 2**64)
