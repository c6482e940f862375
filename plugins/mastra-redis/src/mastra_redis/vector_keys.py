"""Where vectors lie in Redis, and by what marks a filter finds them without a look at each. Must not know the driver or a script.

The layout is ours: there is no vector store in `@mastra/redis` (contract §3.5). The name of an index stands in braces, so that on a cluster
all that belongs to it lies in one slot. A key carries the index's generation, so that what is left of a removed index is never taken for
part of the next of its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from mastra_core.errors import StoredDataError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.vectors.conditions import At, Condition, Equals, Every, HoldsAll, OneOf, Path, Some, found
from mastra_core.storage.vectors.port import METRICS, Metric

IDS, ASIDE = "ids", "aside"
"""The sorted sets of all ids of an index, and of those whose vectors no search index can hold."""

MARKED = "m:"
"""What the name of the sorted set of a mark begins with."""

Clause = frozenset[str]
"""Marks of which a vector that meets a filter has one."""


@attrs.frozen(kw_only=True)
class Index:
    """An index as its hash describes it.

    Attributes:
        name: the caller's name of it.
        meta: the key of the hash.
        root: what all its other keys begin with; also what its search index is called.
        dimension: how many components each vector has.
        metric: what near means.
        generation: tells it from others that had its name.
        fields: the metadata fields that every vector saved from now on is marked by, as stored: dotted, with a space between.
        ready: those of them by which all vectors are marked.
    """

    name: str
    meta: str
    root: str
    dimension: int
    metric: Metric
    generation: str
    fields: str
    ready: str

    def marks(self, metadata: Mapping[str, Json]) -> str:
        """The marks of a vector with this *metadata*, with a space between."""
        return " ".join(dict.fromkeys(_marks(metadata, paths(self.fields))))

    def vector_key(self, id: str) -> str:
        """The key of the vector *id*."""
        return f"{self.root}v:{id}"


@attrs.frozen
class VectorKeys:
    """The keys of one database's indexes, each beginning with *prefix*."""

    prefix: str

    @property
    def registry(self) -> str:
        """The set of the names of all indexes."""
        return f"{self.prefix}mastra_vectors:indexes"

    def meta(self, name: str) -> str:
        """The hash that describes an index."""
        return f"{self._of(name)}index"

    def removed(self, name: str) -> str:
        """The set of generations that were removed and of which keys may be left."""
        return f"{self._of(name)}removed"

    def root(self, name: str, generation: str) -> str:
        """What all other keys of an index begin with."""
        return f"{self._of(name)}{generation}:"

    def index(self, name: str, stored: Mapping[str, str]) -> Index:
        """The index that its hash describes.

        Raises:
            StoredDataError: the hash is none of ours.
        """
        dimension, metric, generation = (stored.get(field, "") for field in ("dimension", "metric", "generation"))
        if not dimension.isdecimal() or not generation or metric not in METRICS:
            msg = (
                f"Redis: {self.meta(name)!r} should describe a vector index and holds {dict(stored)!r}. Mend it, or delete_index({name!r})"
            )
            raise StoredDataError(msg)
        return Index(
            name=name,
            meta=self.meta(name),
            root=self.root(name, generation),
            dimension=int(dimension),
            metric=metric,
            generation=generation,
            fields=stored.get("fields", ""),
            ready=stored.get("ready", ""),
        )

    def _of(self, name: str) -> str:
        return f"{self.prefix}mastra_vectors:{{{name}}}:"


def paths(fields: str) -> list[Path]:
    """The stored text of *fields* as paths."""
    return [tuple(field.split(".")) for field in fields.split()]


def joined(fields: Iterable[Path]) -> str:
    """Paths as they are stored."""
    return " ".join(".".join(path) for path in fields)


def clauses(condition: Condition, ready: str) -> list[Clause]:
    """What the marks of the fields *ready* tell of *condition*: a vector that meets it has a mark of each clause; [] when nothing."""
    known = frozenset(paths(ready))
    return list(_clauses(condition, known))


def _clauses(condition: Condition, known: frozenset[Path]) -> Iterator[Clause]:
    match condition:
        case Every(conditions):
            for one in conditions:
                yield from _clauses(one, known)
        case Some(conditions) if conditions:
            each = [next(_clauses(one, known), None) for one in conditions]
            told = [one for one in each if one is not None]
            if len(told) == len(each):
                yield Clause().union(*told)
        case At(path, Equals(value)) if path in known and _is_told(value):
            yield Clause([_mark(path, value)])
        case At(path, OneOf(values)) if path in known and all(map(_is_told, values)):
            yield Clause(_mark(path, value) for value in values)
        case At(path, HoldsAll(values)) if path in known:
            yield from (Clause([_mark(path, value)]) for value in values if _is_told(value))


def _marks(metadata: Mapping[str, Json], fields: Sequence[Path]) -> Iterator[str]:
    """A mark for each plain value in each of *fields*; of a list, for each element, since `$in` finds those too."""
    for path in fields:
        value = found(metadata, path)
        yield from (_mark(path, one) for one in (value if isinstance(value, list | tuple) else [value]) if _is_told(one))


def _is_told(value: Any) -> bool:
    """Whether a value has a mark. None has not: a filter for None finds what lacks the field too."""
    return isinstance(value, bool | int | float | str)


def _mark(path: Path, value: Any) -> str:
    """The mark of a field's value: equal for equal values, and hexadecimal, which needs no escape in any query."""
    match value:
        case bool():
            told = f"b{value}"
        case int():
            told = f"n{value:x}"
        case float():
            told = f"n{int(value):x}" if value.is_integer() else f"f{value!r}"
        case _:
            told = f"s{value}"
    whole = f"{'.'.join(path)} {told}".encode("utf-8", "surrogatepass")
    return hashlib.sha1(whole, usedforsecurity=False).hexdigest()[:20]
