"""What one process remembers of partition owners: the marks it has seen on them.

Nothing here is needed to be right, only to be cheap. Must not know the driver.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from mastra_core import clock
from mastra_dynamodb.keys import token_milliseconds

Place = tuple[str, str]

KEPT_MILLISECONDS = 20_000
"""How long a mark stays at least: far longer than an index lags (mostly below a second), and than the clocks of two machines differ."""
MAX_OWNERS = 1024
MAX_GOING = 100
"""Marks removed with one write; an expression holds at most 300 operators."""


class Marks:
    """The marks seen on owners, so that a write can take old ones along without reading."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[Place, set[str]] = OrderedDict()

    def seen(self, owner: Place, tokens: Iterable[str]) -> None:
        """An owner's item was read, and has these."""
        self._tokens[owner] = set(tokens)
        self._trim(owner)

    def added(self, owner: Place, tokens: Iterable[str]) -> None:
        """These were put on an owner's item, and the old ones taken off."""
        gone = self.stale(owner)
        self._tokens.setdefault(owner, set())
        self._tokens[owner] = (self._tokens[owner] - gone) | set(tokens)
        self._trim(owner)

    def stale(self, owner: Place) -> set[str]:
        """The oldest known marks that no reader needs any more, at most 100."""
        limit = clock.to_milliseconds(clock.now()) - KEPT_MILLISECONDS
        return set(sorted(token for token in self._tokens.get(owner, ()) if token_milliseconds(token) < limit)[:MAX_GOING])

    def _trim(self, owner: Place) -> None:
        self._tokens.move_to_end(owner)
        while len(self._tokens) > MAX_OWNERS:
            self._tokens.popitem(last=False)
