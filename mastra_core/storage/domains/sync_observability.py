"""The observability domain for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from mastra_core.storage.domains.observability import ObservabilityDomain, ObservabilityStrategy
from mastra_core.sync import blocking, facade


@facade(ObservabilityDomain)
class ObservabilityDomainSync:
    """Spans and traces of one store, blocking; see ObservabilityDomain for what each method promises."""

    def __init__(self, domain: ObservabilityDomain) -> None:
        self._async = domain

    @property
    def observability_strategy(self) -> ObservabilityStrategy:
        """How an exporter should save spans."""
        return self._async.observability_strategy

    create_span = blocking(ObservabilityDomain.create_span)
    batch_create_spans = blocking(ObservabilityDomain.batch_create_spans)
    update_span = blocking(ObservabilityDomain.update_span)
    batch_update_spans = blocking(ObservabilityDomain.batch_update_spans)
    get_span = blocking(ObservabilityDomain.get_span)
    get_spans = blocking(ObservabilityDomain.get_spans)
    get_root_span = blocking(ObservabilityDomain.get_root_span)
    get_trace = blocking(ObservabilityDomain.get_trace)
    get_trace_light = blocking(ObservabilityDomain.get_trace_light)
    get_branch = blocking(ObservabilityDomain.get_branch)
    list_traces = blocking(ObservabilityDomain.list_traces)
    batch_delete_traces = blocking(ObservabilityDomain.batch_delete_traces)
    dangerously_clear_all = blocking(ObservabilityDomain.dangerously_clear_all)
