"""The vector port of a backend: what `Vectors` asks one database for, once everything has been checked.

A backend implements this protocol and nothing else; names, vectors, metadata and filters that reach it are good. Knows no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from mastra_core.storage.records.engine import Fault
from mastra_core.storage.vectors.checks import Row, Target
from mastra_core.storage.vectors.conditions import Condition, Path
from mastra_core.storage.vectors.floats import Packed
from mastra_core.storage.vectors.port import IndexDescription, Metric, VectorMatch


class NoIndex(Exception):
    """There is no index of the name asked for; `Vectors` makes an IndexNotFoundError of it, which says what there is."""


@attrs.frozen(kw_only=True)
class Search:
    """What a query asks for.

    Attributes:
        vector: what to be near to.
        top_k: how many matches at most, from 1.
        condition: what their metadata must meet.
        include_vector: whether matches carry their vectors.
    """

    vector: Packed
    top_k: int
    condition: Condition
    include_vector: bool


class VectorEngine(Protocol):
    """One database of vectors.

    Methods with an index name, but for create_index and delete_index, raise NoIndex when there is none; those with vectors call
    `checks.check_fits` with the index's dimension before they write. Index names are compared by case.

    Attributes:
        driver_errors: the exceptions that `diagnose` understands.
    """

    driver_errors: tuple[type[BaseException], ...]

    async def open(self) -> None:
        """Connect; called once, before anything else, and again if it failed."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then release what open() took; callable after a failed open()."""
        ...

    async def create_index(self, name: str, *, dimension: int, metric: Metric, metadata_indexes: Sequence[Path]) -> None:
        """Make the index unless it is there, and what is missing of *metadata_indexes*; safe when many do so at once.

        Raises:
            InvalidInputError: it is there with another dimension or metric (`checks.check_same_index`), or something else has its name.
        """
        ...

    async def list_indexes(self) -> list[str]:
        """The names of all indexes, in any order."""
        ...

    async def describe_index(self, name: str) -> IndexDescription:
        """Dimension, metric and count."""
        ...

    async def delete_index(self, name: str) -> None:
        """Remove the index if it is there."""
        ...

    async def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Write all *rows* or none; the ids differ from one another."""
        ...

    async def query(self, name: str, search: Search) -> list[VectorMatch]:
        """The nearest vectors that meet the condition, by descending score, then by id in order of code points.

        Never fewer than top_k when so many meet the condition. A store that searches along an approximate index may miss some of the
        nearest, and its class says so.
        """
        ...

    async def update(self, name: str, target: Target, *, vector: Packed | None, metadata: str | None) -> int:
        """Replace what is not None, in all vectors meant or in none; how many there were."""
        ...

    async def delete(self, name: str, target: Target) -> int:
        """Remove the vectors meant; how many there were."""
        ...

    def diagnose(self, error: BaseException) -> Fault | None:
        """What one of driver_errors means; None leaves it as it is (a bug of ours, to be seen)."""
        ...
