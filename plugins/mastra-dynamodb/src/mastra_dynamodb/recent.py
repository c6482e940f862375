"""What one process remembers of partition owners: the marks it has seen on them.

Nothing here is needed to be right, only to be cheap. Must not know the driver.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from mastra_core import clock
from mastra_dynamodb.keys import token_milliseconds

Place = tuple[str, str]

KEPT_MILLISECONDS = 20_000
"""How long a mark stays at least: far longer than an index lags (mostly below a second), and than the clocks of two machines differ."""
MANY = 2000
"""Marks on one owner from which on each stays for a shorter time: 2,000 take 160 kB of the 400 that an item may have."""
CROWDED_MILLISECONDS = 5_000
"""How long a mark stays where there are many, as an import leaves them; still several times what an index lags."""
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

    def added(self, owner: Place, tokens: Iterable[str], *, gone: Collection[str]) -> None:
        """These were put on an owner's item, and those that are *gone* taken off."""
        self._tokens[owner] = self._tokens.get(owner, set()).difference(gone).union(tokens)
        self._trim(owner)

    def stale(self, owner: Place) -> set[str]:
        """The oldest known marks that no reader needs any more, at most 100; what is too many goes sooner."""
        tokens, now = sorted(self._tokens.get(owner, ())), clock.to_milliseconds(clock.now())
        crowd = len(tokens) - MANY
        kept = (CROWDED_MILLISECONDS if place < crowd else KEPT_MILLISECONDS for place in range(MAX_GOING))
        return {token for token, least in zip(tokens, kept, strict=False) if now - token_milliseconds(token) > least}

    def pause_seconds(self, owner: Place) -> float:
        """How long to wait before more marks are left on an owner: until what is too many may go."""
        tokens = self._tokens.get(owner, set())
        if len(tokens) <= MANY:
            return 0.0
        last = token_milliseconds(sorted(tokens)[len(tokens) - MANY - 1])
        return max(0, last + CROWDED_MILLISECONDS + 1 - clock.to_milliseconds(clock.now())) / 1000

    def _trim(self, owner: Place) -> None:
        self._tokens.move_to_end(owner)
        while len(self._tokens) > MAX_OWNERS:
            self._tokens.popitem(last=False)
