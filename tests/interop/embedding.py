"""The vectors of the golden data: what embedded them, and what was asked of them.

Must not know a vector store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

INDEX = "memory_messages_384"
ASKED = [1 if place == 3 else 0.01 for place in range(384)]
"""What the scripts that made the golden data asked for: mostly one component."""


def embedded(text: str) -> list[float]:
    """The embedding that the golden data was made with: a hashed bag of words, of length 1, to six digits."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in text.lower()).split()
    counts = [0] * 384
    for word in words:
        hashed = 2166136261
        for letter in word:
            hashed = ((hashed ^ ord(letter)) * 16777619) & 0xFFFFFFFF
        counts[hashed % 384] += 1
    length = sum(count * count for count in counts) ** 0.5 or 1
    return [round(count / length, 6) for count in counts]


def in_order(matches: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Matches as TypeScript answered them, equal scores by id: it leaves their order open."""
    return sorted(matches, key=lambda match: (-match["score"], match["id"]))
