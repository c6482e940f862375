"""How an index keeps and finds its vectors: kinds of nearest-neighbour index, column types, and what pgvector calls them.

Knows pgvector's names and limits; opens no connection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import attrs
from attrs import Attribute

from mastra_core.errors import InvalidInputError
from mastra_core.storage.vectors.port import Metric

VectorType = Literal["vector", "halfvec"]
"""What a component is kept as: 32 bits, or 16, which takes half the room and holds three to four digits."""

MAX_DIMENSION = 16_000
"""What both column types take."""

INDEXED_DIMENSION: Mapping[VectorType, int] = {"vector": 2_000, "halfvec": 4_000}
"""What hnsw and ivfflat take of each type."""

OPERATORS: Mapping[Metric, str] = {"cosine": "<=>", "euclidean": "<->", "dotproduct": "<#>"}

_CLASSES: Mapping[Metric, str] = {"cosine": "cosine_ops", "euclidean": "l2_ops", "dotproduct": "ip_ops"}


def _between(low: int, high: int) -> Callable[[Any, Attribute[int], int], None]:
    def check(owner: Any, field: Attribute[int], value: int) -> None:
        if type(value) is not int or not low <= value <= high:
            msg = f"{type(owner).__name__}: {field.name} is a whole number from {low} to {high}, found {value!r}"
            raise ValueError(msg)

    return check


@attrs.frozen(kw_only=True)
class Hnsw:
    """A graph of near vectors: quick, finds nearly all of the nearest, grows with every upsert. What an index is unless told otherwise.

    Attributes:
        m: links of a vector, 2 to 100; more find more, and take more room.
        ef_construction: candidates looked at for them, at least twice m, to 1000; more find more, and make upserts slower.

    Raises:
        ValueError: a number is out of its range.
    """

    m: int = attrs.field(default=16, validator=_between(2, 100))
    ef_construction: int = attrs.field(default=64, validator=_between(4, 1000))

    def __attrs_post_init__(self) -> None:
        """Refuse what pgvector would."""
        if self.ef_construction < 2 * self.m:
            msg = f"Hnsw: ef_construction must be at least twice m, found {self.ef_construction} and {self.m}"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class IvfFlat:
    """Vectors in lists around centres, which are chosen when the index is made: `REINDEX` it once the vectors are there.

    Attributes:
        lists: how many, 1 to 32768; about a thousandth of the number of vectors.

    Raises:
        ValueError: the number is out of its range.
    """

    lists: int = attrs.field(default=100, validator=_between(1, 32_768))


@attrs.frozen
class Flat:
    """No index: every search looks at all vectors that the filter leaves, and is exact."""


Kind: TypeAlias = Hnsw | IvfFlat | Flat


@attrs.frozen(kw_only=True)
class Layout:
    """The kind of an index and the type of its column."""

    kind: Kind = attrs.field(factory=Hnsw, validator=attrs.validators.instance_of((Hnsw, IvfFlat, Flat)))
    vector_type: VectorType = attrs.field(default="vector", validator=attrs.validators.in_(("vector", "halfvec")))


@attrs.frozen(kw_only=True)
class Nearness:
    """A nearest-neighbour index of a table, as it was made or found.

    Attributes:
        kind: its kind.
        vector_type: what it compares; halfvec over a vector column is an index of the expression `embedding::halfvec(N)`.
    """

    kind: Hnsw | IvfFlat
    vector_type: VectorType


def indexed(layout: Layout, dimension: int) -> Nearness | None:
    """The index for vectors of *dimension*: of 16-bit copies where pgvector can index no wider ones, none where not even those."""
    if isinstance(layout.kind, Flat):
        return None
    for vector_type, limit in INDEXED_DIMENSION.items():
        if dimension <= limit and layout.vector_type in {vector_type, "vector"}:
            return Nearness(kind=layout.kind, vector_type=vector_type)
    return None


def operator_class(vector_type: VectorType, metric: Metric) -> str:
    """pgvector's name of the order that an index keeps, such as vector_cosine_ops."""
    return f"{vector_type}_{_CLASSES[metric]}"


def metric_of(operator_class: str) -> Metric | None:
    """The metric of an operator class; None for one that is none of ours."""
    wanted = operator_class.partition("_")[2]
    return next((metric for metric, name in _CLASSES.items() if name == wanted), None)


def check_dimension(name: str, dimension: int) -> None:
    """Refuse vectors that are too long for PostgreSQL.

    Raises:
        InvalidInputError: they are.
    """
    if dimension > MAX_DIMENSION:
        msg = f"the index {name!r}: pgvector keeps vectors of at most {MAX_DIMENSION} dimensions, found {dimension}"
        raise InvalidInputError(msg)


def with_clause(kind: Hnsw | IvfFlat) -> str:
    """The storage parameters of an index."""
    if isinstance(kind, IvfFlat):
        return f"WITH (lists = {kind.lists})"
    return f"WITH (m = {kind.m}, ef_construction = {kind.ef_construction})"


def settings(kind: Hnsw | IvfFlat, *, limit: int, iterative: bool) -> dict[str, str]:
    """What a search sets for its own transaction, so that the index is asked well, and again while a filter leaves too few."""
    # Helpers would be started for the look at every vector, which most searches never come to, and cost more than the search.
    found = {"max_parallel_workers_per_gather": "0"}
    if isinstance(kind, IvfFlat):
        found |= {"ivfflat.probes": str(max(1, math.isqrt(kind.lists)))}
        return {**found, "ivfflat.iterative_scan": "relaxed_order"} if iterative else found
    found |= {"hnsw.ef_search": str(max(100, min(limit, 1000)))}
    return {**found, "hnsw.iterative_scan": "strict_order"} if iterative else found
