"""Vectors as they are stored: what is refused before, and what cannot be decoded after. Knows formats; must not know keys or the driver."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import decode_json, undecodable
from mastra_core.storage.vectors.checks import Row as Given
from mastra_core.storage.vectors.floats import BYTES, Packed, dot, from_bytes, to_bytes
from mastra_core.storage.vectors.port import Metric
from mastra_redis.vector_connection import Row
from mastra_redis.vector_keys import Index

MOST_BYTES = 512 * 1024 * 1024
"""Of one batch: Redis drops a client that sends 1 GB at once, and a script holds a batch twice."""

MOST_ROWS = 200_000
"""Of one batch, by the same reason: Redis takes 1,048,576 arguments, a vector is five."""

_LARGEST, _SMALLEST = 1e37, 1e-37


def check_batch(rows: Sequence[Given]) -> None:
    """Refuse a batch that the server would not take.

    Raises:
        InvalidInputError: it is too large.
    """
    size = sum(BYTES * len(row.vector) + len(row.metadata) + len(row.id) for row in rows)
    if size > MOST_BYTES or len(rows) > MOST_ROWS:
        msg = (
            f"upsert: {len(rows):,} vectors of {size:,} bytes in all; Redis saves {MOST_ROWS:,} vectors and {MOST_BYTES:,} bytes at once "
            "at most. Save them in several calls"
        )
        raise InvalidInputError(msg)


def is_plain(vector: Packed, metric: Metric) -> bool:
    """Whether a search index, which reckons in 32 bits, can tell how near *vector* is.

    By cosine a vector of zeros, or of numbers whose squares vanish, has no direction there; squares of very large ones are infinite.
    """
    squares = dot(vector, vector)
    return (metric != "cosine" or squares > _SMALLEST) and squares < _LARGEST


def stored(vector: Packed, metric: Metric) -> tuple[str, bytes]:
    """The field of a vector's hash in which *vector* is kept, and how."""
    return ("vector" if is_plain(vector, metric) else "aside"), to_bytes(vector)


def vector_of(row: Row, index: Index) -> Packed:
    """The vector of a stored row.

    Raises:
        StoredDataError: it is none, or of another dimension.
    """
    name, _, blob = row
    if blob is None or len(blob) != BYTES * index.dimension:
        why = "is missing" if blob is None else f"has {len(blob)} bytes, and {index.dimension} 32-bit floats have {BYTES * index.dimension}"
        raise undecodable(f"the vector index {index.name}", (_shown(name),), "vector", blob, why)
    vector = from_bytes(blob)
    if not math.isfinite(sum(vector)):
        raise undecodable(f"the vector index {index.name}", (_shown(name),), "vector", blob, "holds what is no finite number")
    return vector


def metadata_of(row: Row, index: Index) -> Mapping[str, Json]:
    """The metadata of a stored row.

    Raises:
        StoredDataError: it is no JSON object.
    """
    name, text, _ = row
    try:
        metadata = decode_json((text or b"").decode())
    except ValueError as error:
        raise undecodable(f"the vector index {index.name}", (_shown(name),), "metadata", text, str(error)) from error
    if not isinstance(metadata, dict):
        raise undecodable(f"the vector index {index.name}", (_shown(name),), "metadata", text, "is no JSON object")
    return metadata


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
