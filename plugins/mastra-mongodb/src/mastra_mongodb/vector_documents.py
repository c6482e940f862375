"""Vectors as MongoDB keeps them: `{_id, embedding, metadata}` (contract §8.5), to BSON and back. Knows BSON; opens no connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from bson.binary import VECTOR_SUBTYPE, Binary, BinaryVectorDtype
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from mastra_core.errors import InvalidInputError, StoredDataError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import decode_json, undecodable
from mastra_core.storage.vectors.checks import Row, check_vector
from mastra_core.storage.vectors.conditions import MISSING, found
from mastra_core.storage.vectors.floats import Packed
from mastra_mongodb.wire import as_bson, as_json, encoded_small

Document: TypeAlias = Mapping[str, Any]

SENTINEL = "__index_metadata__"
"""The id of a document in which older releases of the TypeScript package described the index; no vector."""

_NUMBER_BYTES = 16
"""Of one component, at most: its place in the list as text, and a double."""


@attrs.frozen
class Shape:
    """Where a document has what.

    Attributes:
        embedding: the names down to the vector.
    """

    embedding: tuple[str, ...] = ("embedding",)

    @property
    def path(self) -> str:
        """The dotted name of the vector."""
        return ".".join(self.embedding)

    def changes(self, *, vector: Packed | None, metadata: str | None, at: str = "") -> dict[str, Any]:
        """What is set in a document for what is not None.

        Raises:
            InvalidInputError: BSON cannot hold the metadata, or the document would be too large; the message begins with *at*.
        """
        changes: dict[str, Any] = {}
        if vector is not None:
            changes[self.path] = list(vector)
        if metadata is not None:
            held: Any = as_bson(decode_json(metadata), f"{at}metadata")
            beside = len(vector or ()) * _NUMBER_BYTES + len(at.encode())
            # What has been measured is what is sent, so that it is encoded once.
            changes["metadata"] = RawBSONDocument(encoded_small(held, at=f"{at}a document", shown="metadata.{}".format, beside=beside))
        return changes

    def saved(self, row: Row) -> dict[str, Any]:
        """What is set in the document of *row*.

        Raises:
            InvalidInputError: as `changes`.
        """
        if row.id == SENTINEL:
            msg = f"the id {SENTINEL!r} is taken by older releases of the TypeScript package for what is no vector; use another"
            raise InvalidInputError(msg)
        return self.changes(vector=row.vector, metadata=row.metadata, at=f"the vector {row.id!r}: ")

    def is_vector(self, document: Document) -> bool:
        """Whether a stored document has something for a vector; a collection that was brought along may have others."""
        return document["_id"] != SENTINEL and found(document, self.embedding) is not MISSING

    def vector(self, document: Document, *, index: str, dimension: int) -> Packed:
        """The vector of a stored document: a list of numbers, or a binary vector of floats or small integers.

        Raises:
            StoredDataError: it has none, or one of another dimension.
        """
        held = found(document, self.embedding)
        try:
            packed = check_vector(_numbers(held), at=self.path)
        except (InvalidInputError, ValueError) as error:
            raise _undecodable(document, index, self.path, held, f"is no vector of {dimension} numbers") from error
        if len(packed) != dimension:
            raise _undecodable(document, index, self.path, held, f"has {len(packed)} numbers and the index {dimension}")
        return packed


def metadata_of(document: Document, *, index: str) -> dict[str, Json]:
    """The metadata of a stored document; none is an empty object.

    Raises:
        StoredDataError: it is no object, or holds what JSON cannot.
    """
    held = document.get("metadata")
    try:
        plain = {} if held is None else as_json(held)
    except TypeError as error:
        raise _undecodable(document, index, "metadata", held, f"holds {error}") from error
    if not isinstance(plain, dict):
        raise _undecodable(document, index, "metadata", held, "is no object")
    return plain


def keys_of(ids: Sequence[str], *, native_ids: bool) -> list[Any]:
    """What *ids* may be as `_id`: themselves and, in a collection that is not Mastra's own, object ids of the same digits."""
    if not native_ids:
        return list(ids)
    return [*ids, *(ObjectId(name) for name in ids if len(name) == 24 and ObjectId.is_valid(name))]


def _numbers(held: Any) -> Any:
    """What stands for the numbers of a vector: those of a binary vector that can be one, else what is there."""
    if isinstance(held, Binary) and held.subtype == VECTOR_SUBTYPE:
        vector = held.as_vector()
        return list(vector.data) if vector.dtype in {BinaryVectorDtype.FLOAT32, BinaryVectorDtype.INT8} else None
    return held


def _undecodable(document: Document, index: str, field: str, held: object, why: str) -> StoredDataError:
    return undecodable(f"the vector index {index}", (str(document["_id"]),), field, held, why)
