"""Time to live: what a store is told about it, and the TTL indexes that make MongoDB delete by it. Must not send a command."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kinds import KINDS
from mastra_mongodb.indexes import Index

Lifetimes = Mapping[str, timedelta | float]
"""By entity, how long its records are kept after they were written last: a timedelta, or seconds."""

KIND_OF: Mapping[str, str | None] = {
    "thread": "mastra_threads",
    "message": "mastra_messages",
    "resource": "mastra_resources",
    "workflow_snapshot": "mastra_workflow_snapshot",
    "score": "mastra_scorers",
    "span": "mastra_ai_spans",
    "trace": None,
    "eval": None,
}
"""The entities that a time to live may be given for; the last two are of older releases of TypeScript and are never written."""

_LONGEST_SECONDS = 2**31 - 1
"""Of expireAfterSeconds: 68 years."""


def read(ttl: Lifetimes | None) -> tuple[Index, ...]:
    """The TTL indexes of the option `ttl`.

    Raises:
        ConfigurationError: an unknown entity, or a time that cannot be.
    """
    kinds, made = {kind.name: kind for kind in KINDS}, []
    for entity, value in (ttl or {}).items():
        if entity not in KIND_OF:
            msg = f"MongoDBStore: ttl has no entity {entity!r}; there are {', '.join(KIND_OF)}{did_you_mean(entity, list(KIND_OF))}"
            raise ConfigurationError(msg)
        seconds, name = _seconds(entity, value), KIND_OF[entity]
        if name is not None:
            made.append(Index(name, ((_renewed(kinds[name]), 1),), {"expireAfterSeconds": seconds}))
    return tuple(made)


def notes(indexes: Iterable[Index]) -> tuple[str, ...]:
    """What MongoDB deletes by itself, in words."""
    return tuple(
        f"time to live: MongoDB deletes from {index.collection} {index.seconds} seconds after {index.keys[0][0]}, within about a minute"
        for index in indexes
        if index.seconds is not None
    )


def unasked(indexes: Iterable[Index], there: Mapping[str, Iterable[Mapping[str, Any]]]) -> tuple[str, ...]:
    """TTL indexes in the collections of a store that was told of none on that field."""
    ours = {(index.collection, index.keys) for index in indexes if index.seconds is not None}
    return tuple(
        f"MongoDB deletes from {name} by the index {found['name']}, {found['expireAfterSeconds']} seconds after {', '.join(found['key'])}, "
        "of which this store was told nothing: pass ttl, or drop the index"
        for name, indexes_there in there.items()
        for found in indexes_there
        if "expireAfterSeconds" in found and (name, tuple(found["key"].items())) not in ours
    )


def _renewed(kind: Kind[Any]) -> str:
    """The stored name of the time that writes renew; of a message, which is not changed by being read or answered, that of its creation."""
    return [field.column for field in kind.fields if field.type == "time" and not field.optional][-1]


def _seconds(entity: str, value: object) -> int:
    if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
        value = timedelta(seconds=max(-1, min(value, _LONGEST_SECONDS + 1)))
    if not isinstance(value, timedelta) or not 0 < value.total_seconds() <= _LONGEST_SECONDS:
        msg = f"MongoDBStore: ttl[{entity!r}] is {value!r}; give a timedelta, or seconds, above 0 and of 68 years at most, or leave it out"
        raise ConfigurationError(msg)
    return math.ceil(value.total_seconds())
