"""What vector indexes there are, as documents: the registry's, and search indexes' definitions (contract §8.5). Opens no connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from mastra_core.errors import InvalidInputError, StoredDataError, UnsupportedError
from mastra_core.storage.vectors.checks import check_same_index
from mastra_core.storage.vectors.port import METRICS, Metric
from mastra_mongodb.vector_documents import Document

_SIMILARITIES: Mapping[Metric, str] = {"cosine": "cosine", "euclidean": "euclidean", "dotproduct": "dotProduct"}
_METRICS: Mapping[str, Metric] = {similarity: metric for metric, similarity in _SIMILARITIES.items()}

ALWAYS_FILTERS = ("_id", "document")
"""The fields beside metadata that every search index can be narrowed by."""


@attrs.frozen
class Index:
    """One vector index.

    Attributes:
        name: what users call it.
        collection: where its documents are.
        search_index: the name of its search index, on a server that has such.
        text_search_index: the name of its full-text index, which TypeScript makes beside; None for none.
        dimension: of its vectors.
        metric: what near means.
        own: whether the collection is Mastra's; otherwise it is somebody's who had one, and is never dropped.
        writable: whether vectors may be saved, changed and removed.
        embeds_itself: whether MongoDB makes the vectors.
    """

    name: str
    collection: str
    search_index: str
    text_search_index: str | None
    dimension: int
    metric: Metric
    own: bool = True
    writable: bool = True
    embeds_itself: bool = False

    def check_usable(self) -> None:
        """Refuse an index that cannot be searched here.

        Raises:
            UnsupportedError: MongoDB makes the vectors itself.
            StoredDataError: the registry says no dimension, or a metric that there is not.
        """
        if self.embeds_itself:
            msg = (
                f"the index {self.name!r} was made with autoEmbed, so MongoDB embeds its texts itself; MongoDBVector of Python saves and "
                "asks for vectors. Use an index of its own beside it"
            )
            raise UnsupportedError(msg)
        if self.dimension < 1 or self.metric not in METRICS:
            msg = (
                f"the index {self.name!r}: its registry document has the dimension {self.dimension} and the metric {self.metric!r}, which "
                f"is no index; mend it in the collection of vector indexes, or delete_index({self.name!r})"
            )
            raise StoredDataError(msg)

    def check_writable(self) -> None:
        """Refuse to write to a collection that was given for reading.

        Raises:
            InvalidInputError: it was.
        """
        if not self.writable:
            msg = (
                f'Index "{self.name}" targets the bring-your-own collection "{self.collection}", which is read-only by default: it was '
                "registered without allowWrites. To allow writes, opt in where it was made: createIndex({ …, allowWrites: true })"
            )
            raise InvalidInputError(msg, code="READ_ONLY_INDEX")


@attrs.frozen
class SearchIndex:
    """A search index as the server describes it.

    Attributes:
        name: its name.
        status: such as "READY" or "BUILDING".
        queryable: whether a search finds anything in it.
        path: the dotted name of the vector; "" for a full-text index.
        dimension: of its vectors; 0 for a full-text index.
        metric: what near means; None for a full-text index.
        filters: the fields that a search can be narrowed by.
        trouble: what the server says of a failure.
    """

    name: str
    status: str
    queryable: bool
    path: str = ""
    dimension: int = 0
    metric: Metric | None = None
    filters: frozenset[str] = frozenset()
    trouble: str = ""

    def check_is(self, index: Index, *, path: str) -> None:
        """Refuse to take it for the search index of *index* when it is of another kind.

        Raises:
            InvalidInputError: another dimension, metric, or field of vectors.
        """
        if self.metric is not None:
            check_same_index(
                index.name, dimension=index.dimension, metric=index.metric, held_dimension=self.dimension, held_metric=self.metric
            )
        if self.path != path:
            msg = (
                f"the search index {self.name!r} looks at vectors in the field {self.path!r}, and this store at {path!r}: "
                f"open it with MongoDBVector(embedding_field_path={self.path!r})"
            )
            raise InvalidInputError(msg)


def search_index_name(name: str) -> str:
    """What the search index of the index *name* is called unless something else is registered."""
    return f"{name}_vector_index"


def entry(name: str, *, dimension: int, metric: Metric) -> dict[str, Any]:
    """The registry's document of a new index, without its `_id`."""
    return {
        "indexName": name,
        "collectionName": name,
        "searchIndexName": search_index_name(name),
        "isByo": False,
        "allowWrites": True,
        "textSearchIndexName": f"{name}_search_index",
        "dimension": dimension,
        "metric": metric,
        # What is undefined in TypeScript is written as null.
        "autoEmbed": None,
    }


def index_of(document: Document) -> Index:
    """The index that a registry document means; with the dimension 0 where older releases did not write it."""
    name, own = str(document["_id"]), not document.get("isByo")
    dimension = document.get("dimension")
    return Index(
        name=name,
        collection=document.get("collectionName") or name,
        search_index=document.get("searchIndexName") or search_index_name(name),
        text_search_index=document.get("textSearchIndexName"),
        dimension=int(dimension) if isinstance(dimension, int | float) else 0,
        metric=document.get("metric") or "cosine",
        own=own,
        writable=own or bool(document.get("allowWrites")),
        embeds_itself=bool(document.get("autoEmbed")),
    )


def search_index_of(described: Document) -> SearchIndex:
    """What `$listSearchIndexes` says of one."""
    definition = described.get("latestDefinition") or described.get("definition") or {}
    fields = [field for field in definition.get("fields") or () if isinstance(field, Mapping)]
    vector: Mapping[str, Any] = next((field for field in fields if field.get("type") == "vector"), {})
    status = str(described.get("status") or "")
    return SearchIndex(
        name=str(described["name"]),
        status=status,
        queryable=bool(described.get("queryable", status == "READY")),
        path=str(vector.get("path", "")),
        dimension=int(vector.get("numDimensions", 0)),
        metric=_METRICS.get(str(vector.get("similarity"))),
        filters=frozenset(str(field["path"]) for field in fields if field.get("type") == "filter"),
        trouble=str(described.get("message") or ""),
    )


def vector_definition(index: Index, *, path: str, filters: Collection[str]) -> dict[str, Any]:
    """The definition of the search index of *index*, which a search can narrow by *filters*, its id and its text."""
    vector = {"type": "vector", "path": path, "numDimensions": index.dimension, "similarity": _SIMILARITIES[index.metric]}
    return {
        "fields": [vector, *({"type": "filter", "path": name} for name in (*ALWAYS_FILTERS, *sorted(set(filters) - set(ALWAYS_FILTERS))))]
    }
