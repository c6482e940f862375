"""Search by looking at stored vectors one after another, as stores do beside or instead of an index of the server's.

A score is computed here from the stored vector, so that it means the same on every backend. Knows the vector port; must not know any
database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias, get_args

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean
from mastra_core.storage.records.kind import Json
from mastra_core.storage.vectors.conditions import met
from mastra_core.storage.vectors.engine import Search
from mastra_core.storage.vectors.floats import Packed, nearness
from mastra_core.storage.vectors.nearest import Nearest
from mastra_core.storage.vectors.port import Metric, VectorMatch

How: TypeAlias = Literal["auto", "native", "exact"]
"""How vectors are searched: along the server's search index, by looking at each of them, or the first where the server has it."""

SEARCHES: tuple[How, ...] = get_args(How)

EXACT_SEARCH_LIMIT = 10_000
"""How many vectors a search looks at one by one unless told otherwise: of 384 dimensions they are 15 to 50 MB."""

LOOKED_AT = 8
"""How many times top_k of the nearest are asked for where the database does not decide all of a filter."""

MOST = 10_000
"""Vectors that one search along an index is asked for at most."""

Stored: TypeAlias = tuple[str, Packed, Callable[[], Mapping[str, Json]]]
"""A stored vector: its id, its components, and what decodes its metadata, which most vectors are passed over without."""


class TooMany(Exception):
    """More vectors would have to be looked at than the store allows."""


class Look:
    """Looks at vectors for one search.

    Args:
        search: what is asked for.
        metric: what near means.
    """

    def __init__(self, search: Search, *, metric: Metric) -> None:
        self._search = search
        self._near = nearness(metric, search.vector)
        self._nearest = Nearest[tuple[str, float, Packed, Mapping[str, Json]]](search.top_k)

    def at(self, vectors: Iterable[Stored]) -> None:
        """Keep the near ones whose metadata meets the condition; each id may come once."""
        for name, vector, metadata in vectors:
            score = self._near(vector)
            if self._nearest.would_keep(score, name):
                held = metadata()
                if met(self._search.condition, held):
                    self._nearest.add(score, name, (name, score, vector, held))

    def best(self) -> list[VectorMatch]:
        """The matches, the nearest first."""
        with_vectors = self._search.include_vector
        return [
            VectorMatch(id=name, score=score, metadata=metadata, vector=tuple(vector) if with_vectors else None)
            for name, score, vector, metadata in self._nearest.best()
        ]


def check_search(search: object, *, limit: object, at: str) -> None:
    """Refuse options of searching that a store cannot have.

    Args:
        search: one of SEARCHES.
        limit: how many vectors a search may look at one by one.
        at: the store's class, for messages.

    Raises:
        ConfigurationError: there is no such search, or the limit is no whole number from 1.
    """
    if search not in SEARCHES:
        msg = f"{at}: search is one of {', '.join(map(repr, SEARCHES))}, found {search!r}{did_you_mean(search, SEARCHES)}"
        raise ConfigurationError(msg)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        msg = f"{at}: exact_search_limit is a whole number of vectors from 1, found {limit!r}"
        raise ConfigurationError(msg)
