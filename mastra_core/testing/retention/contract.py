"""The whole contract of what a store forgets."""

from __future__ import annotations

from mastra_core.testing.retention.erasure import ErasureContract
from mastra_core.testing.retention.pruning import PruningContract


class RetentionContract(PruningContract, ErasureContract):
    """Pruning and erasure over all domains of one store. A subclass defines `open_store`; see `StoreUnderTest`."""
