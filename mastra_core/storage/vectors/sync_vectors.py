"""A vector store for code without an event loop: the same methods, which wait for the answer."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from mastra_core.storage.vectors.vectors import Vectors
from mastra_core.sync import blocking, facade


@facade(Vectors)
class VectorsSync:
    """A vector store, blocking; see VectorStore for what each method promises."""

    def __init__(self, vectors: Vectors) -> None:
        self._async = vectors

    init = blocking(Vectors.init)
    close = blocking(Vectors.close)
    create_index = blocking(Vectors.create_index)
    upsert = blocking(Vectors.upsert)
    query = blocking(Vectors.query)
    list_indexes = blocking(Vectors.list_indexes)
    describe_index = blocking(Vectors.describe_index)
    delete_index = blocking(Vectors.delete_index)
    update_vector = blocking(Vectors.update_vector)
    delete_vector = blocking(Vectors.delete_vector)
    delete_vectors = blocking(Vectors.delete_vectors)

    def __enter__(self) -> Self:
        """The opened store."""
        self.init()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the store."""
        self.close()
