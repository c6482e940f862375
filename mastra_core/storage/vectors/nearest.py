"""The best of many matches, as they come: by descending score, then by id, in memory for a few more than are wanted."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

SLACK = 64
"""How many matches past what is wanted are held before the worst are let go."""


class Nearest(Generic[T]):
    """The *wanted* best of what was added.

    `would_keep` tells beforehand whether something is worth a closer look.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._held: list[tuple[float, str, T]] = []
        self._worst: tuple[float, str] | None = None

    def would_keep(self, score: float, id: str) -> bool:
        """Whether a match of this score and id is among the best so far."""
        return self._worst is None or (-score, id) < self._worst

    def add(self, score: float, id: str, match: T) -> None:
        """Take one match."""
        self._held.append((-score, id, match))
        if len(self._held) >= 2 * self._wanted + SLACK:
            self._cut()

    def best(self) -> list[T]:
        """The best, the nearest first."""
        self._cut()
        return [match for _, _, match in self._held]

    def _cut(self) -> None:
        # Ids differ, so that matches themselves are never compared.
        self._held.sort(key=lambda held: held[:2])
        del self._held[self._wanted :]
        if len(self._held) == self._wanted:
            self._worst = self._held[-1][:2]
