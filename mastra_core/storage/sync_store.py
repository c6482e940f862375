"""A store for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Literal, Self, overload

from mastra_core.storage.domains.sync_memory import MemoryDomainSync
from mastra_core.storage.domains.sync_observability import ObservabilityDomainSync
from mastra_core.storage.domains.sync_scores import ScoresDomainSync
from mastra_core.storage.domains.sync_workflows import WorkflowsDomainSync
from mastra_core.storage.store import Store
from mastra_core.sync import blocking, facade, run_blocking

DomainSync = MemoryDomainSync | WorkflowsDomainSync | ScoresDomainSync | ObservabilityDomainSync


@facade(Store)
class StoreSync:
    """A store, blocking; see Store for what each method promises."""

    def __init__(self, store: Store) -> None:
        self._async = store

    init = blocking(Store.init)
    close = blocking(Store.close)
    prune = blocking(Store.prune)
    erase = blocking(Store.erase)

    @cached_property
    def memory(self) -> MemoryDomainSync:
        """Threads and messages."""
        return MemoryDomainSync(self._async.memory)

    @cached_property
    def workflows(self) -> WorkflowsDomainSync:
        """Runs of workflows."""
        return WorkflowsDomainSync(self._async.workflows)

    @cached_property
    def scores(self) -> ScoresDomainSync:
        """What scorers gave."""
        return ScoresDomainSync(self._async.scores)

    @cached_property
    def observability(self) -> ObservabilityDomainSync:
        """Spans and traces."""
        return ObservabilityDomainSync(self._async.observability)

    @overload
    def get_store(self, name: Literal["memory"]) -> MemoryDomainSync | None: ...
    @overload
    def get_store(self, name: Literal["workflows"]) -> WorkflowsDomainSync | None: ...
    @overload
    def get_store(self, name: Literal["scores"]) -> ScoresDomainSync | None: ...
    @overload
    def get_store(self, name: Literal["observability"]) -> ObservabilityDomainSync | None: ...
    @overload
    def get_store(self, name: str) -> DomainSync | None: ...
    def get_store(self, name: str) -> DomainSync | None:
        """The blocking domain of this name, opened; None if this store has none such.

        Raises:
            UnsupportedError: there is no domain of this name at all.
        """
        domain: DomainSync | None = None if run_blocking(self._async.get_store(name)) is None else getattr(self, name)
        return domain

    def __enter__(self) -> Self:
        """The opened store."""
        self.init()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the store."""
        self.close()
