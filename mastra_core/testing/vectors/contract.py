"""The whole contract of a vector store."""

from __future__ import annotations

from mastra_core.testing.vectors.filters import VectorFilterContract
from mastra_core.testing.vectors.indexes import VectorIndexContract
from mastra_core.testing.vectors.saving import VectorSavingContract
from mastra_core.testing.vectors.searching import VectorSearchContract


class VectorContract(VectorIndexContract, VectorSavingContract, VectorSearchContract, VectorFilterContract):
    """Vectors as those who search them meet them. A subclass defines `open_vectors`; see `VectorsUnderTest`."""
