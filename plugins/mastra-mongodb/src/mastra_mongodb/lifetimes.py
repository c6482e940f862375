"""Time to live: what a store is told about it, and the TTL indexes that make MongoDB delete by it. Must not send a command."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.kinds import KINDS
from mastra_core.storage.records.lifetimes import Lifetimes, read_lifetimes
from mastra_mongodb.indexes import Index

LONGEST = timedelta(seconds=2**31 - 1)
"""Of expireAfterSeconds: 68 years."""


def read(ttl: Lifetimes | None) -> tuple[Index, ...]:
    """The TTL indexes of the option `ttl`.

    Raises:
        ConfigurationError: an unknown entity, or a time that cannot be.
    """
    kinds = {kind.name: kind for kind in KINDS}
    times = read_lifetimes(ttl, of="MongoDBStore", longest=LONGEST)
    return tuple(
        Index(name, ((_renewed(kinds[name]), 1),), {"expireAfterSeconds": math.ceil(time.total_seconds())}) for name, time in times.items()
    )


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
