"""How a script makes the keys of the records that a sorted set names. Knows layouts; must not know a script or the driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mastra_core.storage.records.kind import Kind, Path
from mastra_redis.keys import BETWEEN, Keyspace, tagged


def names(keys: Keyspace, kind: Kind[Any], path: Path, values: Mapping[str, str]) -> dict[str, Any]:
    """Where a script finds the records that the set of *path* names: beside one place, or each by its alias."""
    layout = keys.layout(kind)
    # What Lua's gsub puts in.
    joint = layout.joint.replace("%", "%%")
    if layout.place and (layout.trails or layout.place not in path.by):
        return {**aliased(keys, kind), "joint": joint, "skipped": 0}
    skipped, begun = _begun(keys, kind, values)
    head = keys.before_member(kind, values[layout.place] if layout.place else "")
    return {"head": head + begun, "joint": joint, "skipped": len(skipped.encode())}


def aliased(keys: Keyspace, kind: Kind[Any]) -> dict[str, Any]:
    """Where a script finds a record by its alias."""
    layout = keys.layout(kind)
    return {"alias": layout.alias, "head": layout.head, "neck": layout.neck} | ({"trails": True} if layout.trails else {})


def is_shared(keys: Keyspace, kind: Kind[Any], path: Path) -> bool:
    """Whether TypeScript writes to the set of *path* too."""
    return keys.typescript_writes and path.name in keys.layout(kind).paths


def _begun(keys: Keyspace, kind: Kind[Any], at: Mapping[str, str]) -> tuple[str, str]:
    """For a list in the slot of its records: the first parts of their members, and of their names, that all of them share."""
    layout = keys.layout(kind)
    parts = [at[field] for field in kind.key[: layout.tagged]] if keys.cluster and layout.tagged else []
    if not parts:
        return "", ""
    return BETWEEN.join(parts) + BETWEEN, tagged(layout.joint.join(parts)) + layout.joint
