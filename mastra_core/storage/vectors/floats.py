"""Vectors as databases keep them, 32-bit floats, and how near two of them are. Knows numbers; must not know any store.

A score is computed in 64-bit floats from 32-bit components; a database may compute in 32 bits, so scores agree to about six digits.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Iterable
from operator import mul
from typing import TypeAlias

from mastra_core.storage.vectors.port import Metric

Packed: TypeAlias = "array[float]"
"""Components as 32-bit floats."""

BYTES = 4
"""Of one component."""


def to_bytes(vector: Packed) -> bytes:
    """*vector* as little-endian 32-bit floats, the blob that libSQL keeps (contract §8.4)."""
    return _little(vector).tobytes()


def from_bytes(blob: bytes) -> Packed:
    """The vector of a little-endian blob.

    Raises:
        ValueError: the blob's length is no multiple of 4.
    """
    vector = array("f")
    vector.frombytes(blob)
    return _little(vector)


def nearness(metric: Metric, asked: Packed) -> Callable[[Packed], float]:
    """How near a vector is to *asked*; higher is nearer (contract §8.3, §8.4).

    Cosine: the cosine of the angle, -1 to 1. A vector of zeros has no direction: its cosine with any vector is 0. Euclidean: 1 / (1 + the
    distance). Dotproduct: the dot product.
    """
    if metric == "euclidean":
        return lambda held: 1 / (1 + math.dist(held, asked))
    if metric == "dotproduct":
        return lambda held: dot(held, asked)
    asked_length = math.hypot(*asked)

    def cosine(held: Packed) -> float:
        lengths = math.hypot(*held) * asked_length
        found = dot(held, asked) / lengths if lengths else 0.0
        return math.copysign(1.0, found) if abs(found) > 1 else found

    return cosine


def _plain_dot(one: Iterable[float], other: Iterable[float]) -> float:
    return sum(map(mul, one, other), 0.0)


dot = getattr(math, "sumprod", _plain_dot)
"""The dot product of two vectors; the standard library has a fast one from Python 3.12 on."""


def _little(vector: Packed) -> Packed:
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return vector
