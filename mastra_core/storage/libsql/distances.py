"""How SQLite computes scores: with the scalar functions of sqlite-vec where they can be loaded, else with ours, to the same answers.

sqlite-vec (the extra `mastra-core[vectors]`) is an extension in C. The standard library's SQLite is often built without loading of
extensions, sqlite-vec has no wheel for every platform, and some of its wheels do not load: then Python computes, many times slower.

Knows SQL functions and blobs of floats; must not know tables.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

from mastra_core.storage.libsql.driver import Connection, Error
from mastra_core.storage.vectors.floats import Packed, dot, from_bytes, nearness, to_bytes
from mastra_core.storage.vectors.port import METRICS, Metric

_PROBE = "SELECT vec_distance_cosine(x'0000803f', x'0000803f'), vec_distance_L2(x'0000803f', x'0000803f')"

# NULL, which sqlite-vec gives for a vector of zeros and where 32 bits overflow, is computed again by ours. It has no dot product, but
# that is the cosine times both lengths.
_COSINE = "ifnull(max(-1.0, min(1.0, 1 - vec_distance_cosine(embedding, :query))), mastra_cosine(embedding, :query))"
_WITH_SQLITE_VEC: Mapping[Metric, str] = {
    "cosine": _COSINE,
    "euclidean": "1 / (1 + vec_distance_L2(embedding, :query))",
    "dotproduct": (
        "ifnull((1 - vec_distance_cosine(embedding, :query)) * vec_distance_L2(embedding, :zeros) * :length, "
        "mastra_dotproduct(embedding, :query))"
    ),
}


def prepare(connection: Connection) -> None:
    """Give *connection* the functions that `score` may name."""
    for metric in METRICS:
        connection.create_function(f"mastra_{metric}", 2, _scorer(metric), deterministic=True)
    _load_sqlite_vec(connection)


def score(connection: Connection, metric: Metric) -> str:
    """The SQL expression of the score of the column `embedding` for the parameters of `parameters`; NULL for what is no number."""
    return _WITH_SQLITE_VEC[metric] if _has_sqlite_vec(connection) else f"mastra_{metric}(embedding, :query)"


def parameters(vector: Packed) -> dict[str, object]:
    """What the expressions of `score` are bound to."""
    return {"query": to_bytes(vector), "zeros": bytes(4 * len(vector)), "length": math.sqrt(dot(vector, vector))}


def _load_sqlite_vec(connection: Connection) -> None:
    try:
        import sqlite_vec
    except ModuleNotFoundError:
        return
    if not hasattr(connection, "enable_load_extension"):
        return
    connection.enable_load_extension(True)
    try:
        connection.load_extension(sqlite_vec.loadable_path())
    except Error:
        # A wheel made for another processor; `score` sees that the functions are not there.
        return
    finally:
        connection.enable_load_extension(False)


def _has_sqlite_vec(connection: Connection) -> bool:
    try:
        return bool(connection.execute(_PROBE).fetchone() == (0.0, 0.0))
    except Error:
        return False


def _scorer(metric: Metric) -> Callable[[bytes, bytes], float | None]:
    @functools.lru_cache(maxsize=4)  # the vector asked for is the same in every row
    def near(query: bytes) -> Callable[[Packed], float]:
        return nearness(metric, from_bytes(query))

    def scored(held: bytes, query: bytes) -> float | None:
        try:
            return near(query)(from_bytes(held))
        except (ValueError, OverflowError):
            return None

    return scored
