"""The option `ttl` of stores whose database deletes by itself: by entity, how long a record is kept. Must not know any of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean

T = TypeVar("T")
Lifetimes = Mapping[str, timedelta | float]
"""By entity, how long its records are kept after they were written last: a timedelta, or seconds."""

KIND_OF: Mapping[str, str | None] = {
    "thread": "mastra_threads",
    "message": "mastra_messages",
    "resource": "mastra_resources",
    "workflow_snapshot": "mastra_workflow_snapshot",
    "score": "mastra_scorers",
    "span": "mastra_ai_spans",
    # What TypeScript's option calls them.
    "trace": "mastra_ai_spans",
    "eval": None,
}
"""The entities that a time to live may be given for; the last one is of older releases of TypeScript and is never written."""


def read_lifetimes(ttl: Lifetimes | None, *, of: str, longest: timedelta) -> dict[str, timedelta]:
    """The times of *ttl* by the name of a kind.

    Args:
        ttl: what the user said.
        of: the store's class, for messages.
        longest: that the database can keep.

    Raises:
        ConfigurationError: an unknown entity, a time that cannot be, or two times of one entity by its two names.
    """

    def read(entity: str, value: object) -> timedelta:
        if entity not in KIND_OF:
            msg = f"{of}: ttl has no entity {entity!r}; there are {', '.join(KIND_OF)}{did_you_mean(entity, list(KIND_OF))}"
            raise ConfigurationError(msg)
        return _time(value, at=f"{of}: ttl[{entity!r}]", longest=longest)

    return by_meaning(ttl or {}, KIND_OF, read=read, at=f"{of}: ttl")


def by_meaning(
    given: Mapping[str, object], meanings: Mapping[str, str | None], *, read: Callable[[str, object], T], at: str
) -> dict[str, T]:
    """What *given* says, by what its names mean: two names may mean the same; one that means nothing is read and left out.

    Args:
        given: what the user said.
        meanings: by the user's name.
        read: makes a value of a name and what was said of it, or raises.
        at: where it was said, for messages.

    Raises:
        ConfigurationError: two names of the same say two values.
    """
    found: dict[str, T] = {}
    first: dict[str, str] = {}
    for name, said in given.items():
        value = read(name, said)
        meant = meanings[name]
        if meant is None:
            continue
        other = first.setdefault(meant, name)
        if found.setdefault(meant, value) != value:
            msg = f"{at}: {other!r} and {name!r} are two names of the same records, found {given[other]!r} and {said!r}; give one of them"
            raise ConfigurationError(msg)
    return found


def _time(value: object, *, at: str, longest: timedelta) -> timedelta:
    if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
        value = timedelta(seconds=max(-1, min(value, longest.total_seconds() + 1)))
    if not isinstance(value, timedelta) or not timedelta(0) < value <= longest:
        years = longest.days // 365
        msg = f"{at} is {value!r}; give a timedelta, or seconds, above 0 and of {years} years at most, or leave it out"
        raise ConfigurationError(msg)
    return value
