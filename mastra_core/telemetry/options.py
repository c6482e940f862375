"""How runs are observed. Knows names and values of options; must not know OpenTelemetry, nor anything that makes or keeps spans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kind import Json

Redact = Callable[[Json], Json]
"""Gives what may be kept of a value."""

MAX_ATTRIBUTE_BYTES = 128 * 1024
"""As TypeScript's limit of a text (contract §7.3); here of a whole field."""


@attrs.frozen(kw_only=True)
class Observability:
    """What is kept of runs, in the storage's observability domain: `Mastra(observability=Observability(…))`.

    Attributes:
        sampling: the share of runs that are traced, from 0.0 to 1.0. A run within a trace follows that trace's choice.
        redact_input: is given what a step got (a prompt, a tool's arguments, instructions), as JSON, and gives what is kept of it.
        redact_output: likewise, of what a step gave (an answer, a tool's result, a title) and of the texts of errors. It runs after the
            step, in a thread of its own; if it raises, a marker is kept instead of the value.
        max_attribute_bytes: how much of the texts of one field (input, output, attributes, metadata) is kept, in bytes of UTF-8; what
            is cut off ends in "…[truncated]".
        max_buffered_spans: how many spans wait at most while the store is down; then the oldest are dropped, and counted.
        tracer_provider: the OpenTelemetry TracerProvider to join; None joins the global one if there is one, else spans go to the
            storage alone.
        storage_operations: whether each call of a store or a vector store within a run is a step of its trace too, with its name, how
            many batches it took, how many retries and what the database charges for it; nothing that is stored is in it. It costs a few
            spans a run more.
        meter_provider: the OpenTelemetry MeterProvider that gets the metrics of storage; None joins the global one if there is one, else
            nothing is measured.

    Raises:
        ConfigurationError: an option cannot be that.
    """

    sampling: float = 1.0
    redact_input: Redact | None = None
    redact_output: Redact | None = None
    max_attribute_bytes: int = MAX_ATTRIBUTE_BYTES
    max_buffered_spans: int = 10_000
    tracer_provider: Any = None
    storage_operations: bool = False
    meter_provider: Any = None

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be, where it is written."""
        share: object = self.sampling
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            msg = f"Observability: sampling must be a number from 0.0 (none) to 1.0 (all), found {share!r}"
            raise ConfigurationError(msg)
        for name in ("max_attribute_bytes", "max_buffered_spans"):
            found: object = getattr(self, name)
            if isinstance(found, bool) or not isinstance(found, int) or found < 1:
                msg = f"Observability: {name} must be a whole number >= 1, found {found!r}"
                raise ConfigurationError(msg)
        for name in ("redact_input", "redact_output"):
            function: object = getattr(self, name)
            if function is not None and not callable(function):
                msg = f"Observability: {name} must be a function of a value, found {function!r}"
                raise ConfigurationError(msg)
        told: object = self.storage_operations
        if not isinstance(told, bool):
            msg = f"Observability: storage_operations must be True or False, found {told!r}"
            raise ConfigurationError(msg)
        if self.meter_provider is not None and not hasattr(self.meter_provider, "get_meter"):
            msg = f"Observability: meter_provider must be an OpenTelemetry MeterProvider, found a {type(self.meter_provider).__name__}"
            raise ConfigurationError(msg)
