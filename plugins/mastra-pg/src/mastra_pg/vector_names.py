"""The names of a vector table's indexes, those of the TypeScript package where it has them (contract §8.3). Knows no connection."""

from __future__ import annotations

from mastra_core.storage.vectors.conditions import Path

LONGEST = 63
"""What PostgreSQL keeps of a name, in bytes."""

_P1, _P2, _P3, _P4, _P5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
_MASK = 2**32 - 1


def vector_index(table: str) -> str:
    """The nearest-neighbour index."""
    return _fitting(table, "_vector_idx")


def unique_index(table: str) -> str:
    """The index by which an upsert finds what is there."""
    return _fitting(table, "_namespace_vector_id_idx")


def field_index(table: str, field: Path) -> str:
    """The index of a field of metadata; one within another is none of TypeScript's, which takes "a.b" for one key."""
    hashed = field[0] if len(field) == 1 else f"{{{','.join(field)}}}"
    return _fitting(table, f"_md_{xxh32(hashed.encode()):x}_idx")


def _fitting(table: str, suffix: str) -> str:
    """The two joined, if need be with a hash in place of the table's end, so that no two tables share a name."""
    name = table + suffix
    if len(name) <= LONGEST:
        return name
    digest = f"_{xxh32(table.encode()):08x}"
    return table[: LONGEST - len(digest) - len(suffix)] + digest + suffix


def xxh32(data: bytes) -> int:
    """The 32-bit xxHash of *data* with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md)."""
    lanes, place = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK], 0
    while place + 16 <= len(data):
        for lane in range(4):
            lanes[lane] = _rotated(lanes[lane] + _word(data, place + 4 * lane) * _P2, 13) * _P1 & _MASK
        place += 16
    mixed = sum(_rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) if place else _P5
    mixed = mixed + len(data) & _MASK
    while place + 4 <= len(data):
        mixed = _rotated(mixed + _word(data, place) * _P3, 17) * _P4 & _MASK
        place += 4
    for byte in data[place:]:
        mixed = _rotated(mixed + byte * _P5, 11) * _P1 & _MASK
    mixed = (mixed ^ mixed >> 15) * _P2 & _MASK
    mixed = (mixed ^ mixed >> 13) * _P3 & _MASK
    return mixed ^ mixed >> 16


def _word(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little")


def _rotated(value: int, by: int) -> int:
    value &= _MASK
    return (value << by | value >> 32 - by) & _MASK
