"""Vectors as MongoDB keeps them: `{_id, embedding, metadata}` (contract §8.5), to BSON and back. Knows BSON; opens no connection."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import attrs
import bson
from bson.binary import VECTOR_SUBTYPE, Binary, BinaryVectorDtype
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.errors import BSONError
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import decode_json, undecodable
from mastra_core.storage.vectors.checks import Row
from mastra_core.storage.vectors.floats import Packed

Document: TypeAlias = Mapping[str, Any]

SENTINEL = "__index_metadata__"
"""The id of a document in which older releases of the TypeScript package described the index; no vector."""

MAX_BYTES = 16 * 1024 * 1024
"""Of one document, on every MongoDB."""

MAX_DEPTH = 96
"""Of JSON in metadata: MongoDB nests a document 100 deep at most."""

_NUMBER_BYTES = 8
_BITS = 64


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

    def changes(self, *, id: str, vector: Packed | None, metadata: str | None) -> dict[str, Any]:
        """What is set in a document for what is not None.

        Raises:
            InvalidInputError: BSON cannot hold the metadata, or the document would be too large.
        """
        changes: dict[str, Any] = {}
        if vector is not None:
            changes[self.path] = list(vector)
        if metadata is not None:
            # Encoded once: what has been measured is what is sent.
            changes["metadata"] = _measured(decode_json(metadata), id=id, beside=len(vector or ()) * (_NUMBER_BYTES + 8))
        return changes

    def saved(self, row: Row) -> dict[str, Any]:
        """What is set in the document of *row*.

        Raises:
            InvalidInputError: as `changes`.
        """
        if row.id == SENTINEL:
            msg = f"the id {SENTINEL!r} is taken by older releases of the TypeScript package for what is no vector; use another"
            raise InvalidInputError(msg)
        return self.changes(id=row.id, vector=row.vector, metadata=row.metadata)

    def is_vector(self, document: Document) -> bool:
        """Whether a stored document has something for a vector; a collection that was brought along may have others."""
        held: Any = document
        for name in self.embedding:
            if not isinstance(held, Mapping) or name not in held:
                return False
            held = held[name]
        return bool(document["_id"] != SENTINEL)

    def vector(self, document: Document, *, index: str, dimension: int) -> Packed:
        """The vector of a stored document: a list of numbers, or a binary vector of floats or small integers.

        Raises:
            StoredDataError: it has none, or one of another dimension.
        """
        held: Any = document
        for name in self.embedding:
            held = held.get(name) if isinstance(held, Mapping) else None
        try:
            packed: Packed | None = array("f", _numbers(held))
        except (TypeError, ValueError, OverflowError):
            packed = None
        if packed is not None and not math.isfinite(sum(packed)):
            packed = None
        if packed is None or len(packed) != dimension:
            why = f"is no vector of {dimension} numbers" if packed is None else f"has {len(packed)} numbers and the index {dimension}"
            raise undecodable(_kind(index), (str(document["_id"]),), self.path, held, why)
        return packed


def metadata_of(document: Document, *, index: str) -> dict[str, Json]:
    """The metadata of a stored document; none is an empty object.

    Raises:
        StoredDataError: it is no object, or holds what JSON cannot.
    """
    held = document.get("metadata")
    if held is None:
        return {}
    try:
        plain = as_json(held)
    except ValueError as error:
        raise undecodable(_kind(index), (str(document["_id"]),), "metadata", held, str(error)) from error
    if not isinstance(plain, dict):
        raise undecodable(_kind(index), (str(document["_id"]),), "metadata", held, "is no object")
    return plain


def as_json(value: Any) -> Json:
    """A decoded BSON value as JSON; times as ISO text (contract §8.5), object ids as their digits.

    Raises:
        ValueError: JSON has nothing for it.
    """
    match value:
        case None | bool() | str() | float():
            return value
        case int():
            return int(value)
        case Mapping():
            return {name: as_json(held) for name, held in value.items()}
        case list():
            return [as_json(held) for held in value]
        case datetime():
            return clock.to_text(value)
        case ObjectId():
            return str(value)
        case DBRef():
            # What the driver makes of an object with `$ref` and `$id`.
            return as_json(value.as_doc())
        case DatetimeMS():
            msg = f"holds the time {int(value)} ms, which is out of range"
            raise ValueError(msg)
    msg = f"holds a {type(value).__name__}, which is no JSON"
    raise ValueError(msg)


def keys_of(ids: Sequence[str], *, native_ids: bool) -> list[Any]:
    """What *ids* may be as `_id`: themselves and, in a collection that is not Mastra's own, object ids of the same digits."""
    if not native_ids:
        return list(ids)
    return [*ids, *(ObjectId(name) for name in ids if len(name) == 24 and ObjectId.is_valid(name))]


def _numbers(held: Any) -> Sequence[float]:
    if isinstance(held, list) and not any(isinstance(number, bool | str) for number in held):
        return held
    if isinstance(held, Binary) and held.subtype == VECTOR_SUBTYPE:
        vector = held.as_vector()
        if vector.dtype in {BinaryVectorDtype.FLOAT32, BinaryVectorDtype.INT8}:
            return list(vector.data)
    raise TypeError


def _measured(metadata: Any, *, id: str, beside: int) -> RawBSONDocument:
    """*metadata* as BSON, where it fits into a document with *beside* bytes more."""
    if _depth(metadata) > MAX_DEPTH:
        msg = f"the vector {id!r}: metadata is nested more than {MAX_DEPTH} deep, which MongoDB does not store; flatten it"
        raise InvalidInputError(msg)
    try:
        raw = bson.encode(metadata)
    except OverflowError:
        found = _too_large(metadata, "metadata")
        msg = f"the vector {id!r}: {found}: BSON holds integers of 64 bits at most; store it as a string"
        raise InvalidInputError(msg) from None
    except (BSONError, RecursionError) as error:
        msg = f"the vector {id!r}: metadata cannot be stored ({error})"
        raise InvalidInputError(msg) from error
    size = len(raw) + beside + len(id.encode()) + 256
    if size > MAX_BYTES:
        largest = max(metadata, key=lambda name: len(bson.encode({name: metadata[name]})))
        msg = (
            f"the vector {id!r}: its document would take {size:,} bytes, and MongoDB holds {MAX_BYTES:,} at most; metadata.{largest} alone "
            f"takes {len(bson.encode({largest: metadata[largest]})):,}: keep that elsewhere and its place in metadata"
        )
        raise InvalidInputError(msg)
    return RawBSONDocument(raw)


def _depth(value: Any) -> int:
    """How deep objects and lists are nested; what JSON text said cannot contain itself."""
    held = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    return 0 if held is None else 1 + max(map(_depth, held), default=0)


def _too_large(value: Any, at: str) -> str:
    """The path to the first integer past 64 bits, and its digits."""
    if isinstance(value, Mapping):
        return next((found for name, held in value.items() if (found := _too_large(held, f"{at}.{name}"))), "")
    if isinstance(value, list):
        return next((found for place, held in enumerate(value) if (found := _too_large(held, f"{at}[{place}]"))), "")
    if isinstance(value, int) and value.bit_length() >= _BITS and value != -(2**63):
        shown = str(value) if value.bit_length() < 4 * _BITS else f"an integer of {value.bit_length()} bits"
        return f"{at}: {shown}"
    return ""


def _kind(index: str) -> str:
    return f"the vector index {index}"
