"""Recorder: what the steps of one run share is made once, and is never another run's."""

from __future__ import annotations

import attrs
import pytest
from opentelemetry.context import Context

from mastra_core.storage.records.span_kinds import Span
from mastra_core.telemetry.cleaning import Cleaner
from mastra_core.telemetry.mapping import Noted, Recorder
from mastra_core.telemetry.own_spans import OwnTracer


def test_runs_that_are_exported_together_keep_their_own_ids() -> None:
    """However many runs end within one export, each step is found by its own run and thread."""
    recorder, tracer = Recorder(Cleaner()), OwnTracer(1.0)
    found = []
    for number in range(100):
        span = tracer.start_span("step", Context())
        # Nobody holds this any more when the next one is made, which may get its place in memory.
        noted = Noted(span_type="generic", metadata={"runId": f"r{number}", "threadId": f"t{number}"})
        record = recorder.record(span, noted=noted)  # type: ignore[arg-type]  # a span of ours has what is read of the SDK's
        found.append((record.run_id, record.thread_id, record.metadata))
    assert found == [(f"r{n}", f"t{n}", {"runId": f"r{n}", "threadId": f"t{n}"}) for n in range(100)]


def test_what_is_recorded_is_a_span_like_any_other() -> None:
    """A store may keep what it is given: nobody changes it later, and it equals what another backend gives back."""
    record = Recorder(Cleaner()).record(OwnTracer(1.0).start_span("step", Context()), noted=Noted(span_type="generic"))  # type: ignore[arg-type]
    assert type(record) is Span
    assert record == attrs.evolve(record)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        record.name = "another"  # type: ignore[misc]
