"""What a vector store refuses before anything is sent, the same for every backend (contract §8.1).

Texts are the contract's, followed by what was found and the mend. The error's code is the last part of TypeScript's id; the store puts
the rest before it. Knows names, numbers and JSON; must not know any database.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.names import did_you_mean
from mastra_core.storage.records.checks import check_id
from mastra_core.storage.records.wire import dump_json
from mastra_core.storage.vectors.conditions import ALWAYS, Condition, Path
from mastra_core.storage.vectors.filters import field_path, parse
from mastra_core.storage.vectors.floats import Packed
from mastra_core.storage.vectors.port import METRICS, Metric

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@attrs.frozen
class Row:
    """A vector as it will be stored: checked, packed, its metadata as JSON text."""

    id: str
    vector: Packed
    metadata: str


@attrs.frozen
class Target:
    """Which vectors are meant: those of *ids*, or, where that is None, those that meet *condition*."""

    ids: tuple[str, ...] | None
    condition: Condition = ALWAYS


def check_index_name(name: object) -> str:
    """*name*, if it can name an index on every backend.

    Raises:
        InvalidInputError: it cannot.
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        shown = name if isinstance(name, str) else f"{name!r} ({type(name).__name__})"
        mend = f", such as {re.sub('[^A-Za-z0-9_]', '_', name)[:63]!r}" if isinstance(name, str) and name[:1].isalpha() else ""
        msg = (
            f"Invalid index name: {shown}. Must start with a letter or underscore, contain only letters, numbers, or underscores, and be "
            f"at most 63 characters long{mend}."
        )
        raise InvalidInputError(msg)
    return name


def check_dimension(dimension: object) -> int:
    """*dimension*, if vectors can have so many components.

    Raises:
        InvalidInputError: it is no whole number from 1.
    """
    if isinstance(dimension, bool) or not isinstance(dimension, int) or dimension < 1:
        msg = f"Dimension must be a positive integer, found {dimension!r}; it is the length of the embedding model's vectors"
        raise InvalidInputError(msg)
    return dimension


def check_metric(metric: object) -> Metric:
    """*metric*, if there is such a one.

    Raises:
        InvalidInputError: there is none.
    """
    if metric not in METRICS:
        msg = f"there is no metric {metric!r}; the metrics are {', '.join(METRICS)}{did_you_mean(metric, METRICS)}"
        raise InvalidInputError(msg)
    return metric


def check_fields(metadata_indexes: Iterable[object]) -> list[Path]:
    """The paths of the fields to index, each once.

    Raises:
        InvalidInputError: a text instead of a list, or a field that no filter could ask for.
    """
    if isinstance(metadata_indexes, str):
        msg = f"metadata_indexes: must be a list of fields, found a text; write [{metadata_indexes!r}]"
        raise InvalidInputError(msg)
    return list(dict.fromkeys(field_path(field) for field in metadata_indexes))


def check_top_k(top_k: object) -> int:
    """*top_k*, if so many matches can be asked for.

    Raises:
        InvalidInputError: it is no whole number from 1.
    """
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        msg = f"top_k must be a positive integer, found {top_k!r}"
        raise InvalidInputError(msg, code="INVALID_TOP_K")
    return top_k


def check_vector(vector: object, *, at: str) -> Packed:
    """*vector* packed, if it is one.

    Raises:
        InvalidInputError: it is empty or no sequence of numbers, or a number is NaN, infinite or too large for 32 bits.
    """
    if isinstance(vector, str | bytes | bytearray | memoryview | Mapping) or not isinstance(vector, Iterable):
        msg = f"{at}: must be a list of numbers, found {type(vector).__name__}"
        raise InvalidInputError(msg, code="INVALID_VECTOR")
    given = cast("Sequence[float]", vector if isinstance(vector, Sequence) else list(vector))
    if not len(given):
        msg = f"{at}: is empty; a vector has at least one number"
        raise InvalidInputError(msg, code="INVALID_VECTOR")
    try:
        packed = array("f", given)
    except (TypeError, OverflowError, ValueError):
        packed = None
    # No sum of finite 32-bit floats overflows 64 bits, so one look at the sum sees them all.
    if packed is None or bool in set(map(type, given)) or not math.isfinite(sum(packed)):
        raise _unfit(given, at)
    return packed


def _unfit(vector: Sequence[Any], at: str) -> InvalidInputError:
    """The error that names the first component of *vector* that is no number, or not finite as a 32-bit float."""
    for place, number in enumerate(vector):
        try:
            fits = not isinstance(number, bool | str) and math.isfinite(array("f", [number])[0])
        except (TypeError, OverflowError, ValueError):
            fits = False
        if not fits:
            msg = f"{at}[{place}]: {number!r} is no finite number that 32 bits can hold; check what the embedder gave"
            return InvalidInputError(msg, code="INVALID_VECTOR")
    raise AssertionError(at)


def check_fits(index_name: str, *, dimension: int, vectors: Iterable[Packed]) -> None:
    """Refuse vectors that are not of the index's *dimension*.

    Raises:
        InvalidInputError: one is longer or shorter.
    """
    for vector in vectors:
        if len(vector) != dimension:
            msg = (
                f'Vector dimension mismatch: Index "{index_name}" expects {dimension} dimensions but got {len(vector)} dimensions. Either '
                "use a matching embedding model or delete and recreate the index with the new dimension."
            )
            raise InvalidInputError(msg)


def check_same_index(index_name: str, *, dimension: int, metric: Metric, held_dimension: int, held_metric: Metric) -> None:
    """Refuse to take an index for one of another dimension or metric.

    Raises:
        InvalidInputError: they differ.
    """
    if (dimension, metric) != (held_dimension, held_metric):
        msg = (
            f"the index {index_name!r} is there already, with dimension {held_dimension} and metric {held_metric!r}; asked for was "
            f"dimension {dimension} and metric {metric!r}. Use another name, or delete_index({index_name!r}) first (its vectors go too)"
        )
        raise InvalidInputError(msg)


def check_no_twin(index_name: str, *, known: Iterable[str]) -> None:
    """Refuse a new index whose name differs from another's by case alone, which some databases cannot tell apart.

    Raises:
        InvalidInputError: there is such another.
    """
    for other in known:
        if other != index_name and other.lower() == index_name.lower():
            msg = f"the index {index_name!r} differs from {other!r} by case alone, which some databases cannot tell apart; use another name"
            raise InvalidInputError(msg)


def check_metadata(metadata: object, *, at: str) -> str:
    """*metadata* as JSON text, if it is an object.

    Raises:
        InvalidInputError: it is none, or holds what JSON cannot.
    """
    if not isinstance(metadata, Mapping):
        msg = f"{at}: must be a mapping, found {metadata!r} ({type(metadata).__name__})"
        raise InvalidInputError(msg)
    return dump_json(metadata, at=at)


def check_rows(vectors: object, *, metadata: object, ids: object) -> list[Row]:
    """What upsert was given, as rows; new ids where none were given.

    Raises:
        InvalidInputError: nothing was given, lengths differ, an id occurs twice, or something cannot be stored.
    """
    given = _listed(vectors, at="vectors")
    if not given:
        msg = "Vectors array cannot be empty"
        raise InvalidInputError(msg, code="EMPTY_VECTORS")
    held = [None] * len(given) if metadata is None else _listed(metadata, at="metadata")
    if len(held) != len(given):
        msg = f"Metadata array length must match vectors array length, found {len(held)} and {len(given)}; give {{}} where there is none"
        raise InvalidInputError(msg, code="METADATA_LENGTH_MISMATCH")
    named = [clock.new_id() for _ in given] if ids is None else _listed(ids, at="ids")
    if len(named) != len(given):
        msg = f"IDs array length must match vectors array length, found {len(named)} and {len(given)}"
        raise InvalidInputError(msg, code="IDS_LENGTH_MISMATCH")
    rows, seen = [], dict[str, int]()
    for place, (vector, held_by, name) in enumerate(zip(given, held, named, strict=True)):
        if seen.setdefault(check_id(name, at=f"ids[{place}]"), place) != place:
            msg = f"ids[{seen[name]}] and ids[{place}] are both {name!r}; an id can be saved once in one upsert, so leave one of them out"
            raise InvalidInputError(msg)
        text = "{}" if held_by is None else check_metadata(held_by, at=f"metadata[{place}]")
        rows.append(Row(name, check_vector(vector, at=f"vectors[{place}]"), text))
    return rows


def check_update_target(id: object, filter: object) -> Target:
    """Which vectors update_vector means.

    Raises:
        InvalidInputError: it says so in no way, or in two, or by a filter that every vector meets.
    """
    if id is not None and filter is not None:
        msg = "id and filter are mutually exclusive - provide only one"
        raise InvalidInputError(msg, code="MUTUALLY_EXCLUSIVE")
    if id is not None:
        return Target((check_id(id, at="id"),))
    if filter is None:
        msg = "Either id or filter must be provided"
        raise InvalidInputError(msg, code="NO_TARGET")
    return Target(None, _some_of_all(filter, "Cannot update with empty filter", "Provide a specific filter to update targeted vectors."))


def check_delete_target(ids: object, filter: object) -> Target:
    """Which vectors delete_vectors means.

    Raises:
        InvalidInputError: it says so in no way, or in two, or by a filter that every vector meets.
    """
    if ids is not None and filter is not None:
        msg = "Cannot provide both filter and ids - they are mutually exclusive"
        raise InvalidInputError(msg, code="MUTUALLY_EXCLUSIVE")
    if ids is not None:
        named = _listed(ids, at="ids")
        if not named:
            msg = "Cannot delete with empty ids array"
            raise InvalidInputError(msg, code="EMPTY_IDS")
        return Target(tuple(dict.fromkeys(check_id(name, at=f"ids[{place}]") for place, name in enumerate(named))))
    if filter is None:
        msg = "Either filter or ids must be provided"
        raise InvalidInputError(msg, code="NO_TARGET")
    mend = "Use delete_index to delete all vectors from an index."
    return Target(None, _some_of_all(filter, f"Cannot delete with empty filter. {mend}", mend))


def _some_of_all(filter: object, empty: str, mend: str) -> Condition:
    """The condition of a filter that at least does not say that every vector is meant, as an empty variable would."""
    condition = parse(filter)
    if condition == ALWAYS:
        if not filter:
            raise InvalidInputError(empty, code="EMPTY_FILTER")
        msg = f"Filter matches all vectors. {mend}"
        raise InvalidInputError(msg, code="MATCH_ALL_FILTER")
    return condition


def _listed(given: object, *, at: str) -> Sequence[Any]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        msg = f"{at}: must be a list, found {given!r} ({type(given).__name__})"
        raise InvalidInputError(msg)
    return given if isinstance(given, Sequence) else list(given)
