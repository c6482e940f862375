"""What a vector store is to those who use one, and what it answers with. Must not know any database, agent or filter's parts.

Method names and arguments are those of the TypeScript packages in snake case, keyword-only past the first (contract §8.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import attrs

from mastra_core.storage.records.kind import Json

Metric = Literal["cosine", "euclidean", "dotproduct"]
"""How near two vectors are: the cosine of their angle, 1 / (1 + their distance), or their dot product."""

METRICS: tuple[Metric, ...] = get_args(Metric)

Filter = Mapping[str, Any]
"""A condition on metadata in the language of contract §8.2, such as `{"thread_id": "t", "age": {"$gte": 18}}`."""


@attrs.frozen(kw_only=True)
class VectorMatch:
    """One vector found.

    Attributes:
        id: its id.
        score: how near it is to the vector asked for; higher is nearer. Cosine: -1 to 1; euclidean: 0 to 1; dotproduct: any number.
        metadata: what was stored beside it.
        vector: its components, as 32-bit floats keep them; None unless they were asked for.
    """

    id: str
    score: float
    metadata: Mapping[str, Json]
    vector: tuple[float, ...] | None = None


@attrs.frozen(kw_only=True)
class IndexDescription:
    """What an index is.

    Attributes:
        dimension: how many components each of its vectors has.
        count: how many vectors it holds.
        metric: what its scores mean.
    """

    dimension: int
    count: int
    metric: Metric


@runtime_checkable
class VectorStore(Protocol):
    """Vectors with metadata, in named indexes.

    A vector is a sequence of finite numbers, kept as 32-bit floats. Metadata is a JSON object. Every method opens the store if need be.

    Attributes:
        id: the store's name in errors and logs.
        index_separator: what joins the words of an index name that Memory makes, such as `memory_messages_384`.

    Every method raises:
        InvalidInputError: a name, vector, filter or other value was refused; nothing was sent.
        IndexNotFoundError: there is no such index (create_index, list_indexes and delete_index do not raise it).
        StorageUnavailableError: the database did not answer.
        StoredDataError: what is stored cannot be decoded.
    """

    id: str
    index_separator: str

    async def init(self) -> None:
        """Open the database. Optional: first use does it."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and release the database; idempotent."""
        ...

    async def create_index(
        self, index_name: str, *, dimension: int, metric: Metric = "cosine", metadata_indexes: Sequence[str] = ()
    ) -> None:
        """Have an index for vectors of *dimension* components; nothing happens if it is there already.

        Args:
            index_name: letters, digits and underscores, not a digit first, at most 63.
            dimension: from 1.
            metric: what the scores of queries mean.
            metadata_indexes: metadata fields, dotted if nested, that filters will often ask for by equality.

        Raises:
            InvalidInputError: it is there with another dimension or metric.
        """
        ...

    async def upsert(
        self,
        index_name: str,
        *,
        vectors: Sequence[Sequence[float]],
        metadata: Sequence[Filter | None] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Save all *vectors* or none, and answer with their ids; a stored one of the same id is replaced, metadata and all.

        Args:
            index_name: of an index that exists.
            vectors: one or more, each of the index's dimension.
            metadata: one object for each vector, or None: {} for each.
            ids: one for each vector, no two alike; or None: new ones.
        """
        ...

    async def query(
        self, index_name: str, *, query_vector: Sequence[float], top_k: int = 10, filter: Filter | None = None, include_vector: bool = False
    ) -> list[VectorMatch]:
        """The *top_k* nearest vectors whose metadata meets *filter*, by descending score, then by id; fewer only when no more meet it."""
        ...

    async def list_indexes(self) -> list[str]:
        """The names of the indexes, sorted."""
        ...

    async def describe_index(self, index_name: str) -> IndexDescription:
        """Dimension, metric and count."""
        ...

    async def delete_index(self, index_name: str) -> None:
        """Remove an index and all its vectors; nothing happens if there is none."""
        ...

    async def update_vector(
        self,
        index_name: str,
        *,
        id: str | None = None,
        filter: Filter | None = None,
        vector: Sequence[float] | None = None,
        metadata: Filter | None = None,
    ) -> int:
        """Replace the vector, the metadata or both of the vector *id*, or of all that meet *filter*; how many there were."""
        ...

    async def delete_vector(self, index_name: str, *, id: str) -> None:
        """Remove one vector; nothing happens if there is none of this id."""
        ...

    async def delete_vectors(self, index_name: str, *, ids: Sequence[str] | None = None, filter: Filter | None = None) -> int:
        """Remove the vectors of these ids, or all that meet *filter*; how many there were."""
        ...
