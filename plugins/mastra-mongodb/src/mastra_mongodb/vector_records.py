"""The records that MongoDB's documentation of Mastra saves, `{"id", "values", "metadata"}`, as the port has them. Knows names alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.names import did_you_mean
from mastra_core.storage.vectors.port import Filter


class VectorRecord(TypedDict):
    """One vector to save.

    Attributes:
        id: its id; left out: a new one.
        values: its components.
        metadata: a JSON object; left out: {}.
    """

    values: Sequence[float]
    id: NotRequired[str]
    metadata: NotRequired[Filter | None]


def columns(vectors: Any, *, metadata: Any, ids: Any) -> dict[str, Any]:
    """What the port's upsert takes, of vectors with metadata and ids beside them, or of records that hold all three.

    Raises:
        InvalidInputError: records and vectors together, records beside metadata or ids, or a record without values.
    """
    given = list(vectors) if isinstance(vectors, Sequence) and not isinstance(vectors, str | bytes) else ()
    if not any(isinstance(one, Mapping) for one in given):
        return {"vectors": vectors, "metadata": metadata, "ids": ids}
    if metadata is not None or ids is not None:
        msg = "upsert: records hold their id and metadata themselves; leave out metadata= and ids=, or give plain vectors"
        raise InvalidInputError(msg)
    for place, one in enumerate(given):
        _check(one, f"vectors[{place}]")
    return {
        "vectors": [one["values"] for one in given],
        "metadata": [one.get("metadata") for one in given],
        "ids": [clock.new_id() if one.get("id") is None else one["id"] for one in given],
    }


def one_vector(*, query_vector: Any, vector: Any) -> Any:
    """What query is asked for, under either of its names.

    Raises:
        InvalidInputError: both were given, or neither.
    """
    if (query_vector is None) == (vector is None):
        found = "neither" if vector is None else "both"
        msg = f"query takes query_vector=, or vector= as MongoDB's examples have it; found {found}"
        raise InvalidInputError(msg)
    return vector if query_vector is None else query_vector


def _check(one: object, at: str) -> None:
    if not isinstance(one, Mapping):
        msg = f"{at}: is no record, and others are; give records {{'id': …, 'values': […], 'metadata': {{…}}}} or plain vectors, not both"
        raise InvalidInputError(msg)
    for name in one:
        if name not in VectorRecord.__annotations__:
            msg = f"{at}: a record has no {name!r}; it has id, values and metadata{did_you_mean(name, VectorRecord.__annotations__)}"
            raise InvalidInputError(msg)
    if "values" not in one:
        msg = f"{at}: has no 'values', which are the components of the vector"
        raise InvalidInputError(msg)
