"""What a look at a Redis says: product and mode, and what may lose data. Knows names of INFO and CONFIG; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mastra_core.storage.records.engine import Inspection
from mastra_redis.keys import Keyspace

Told = Mapping[str, Any]


def inspection(nodes: Sequence[Told], *, keys: Keyspace, round_trip_seconds: float) -> Inspection:
    """What INFO and CONFIG told of each master, for `mastra check`."""
    notes = [*_modes(keys), *(note for told in nodes for note in _notes(told))]
    warnings = [warning for told in nodes for warning in _warnings(told)]
    return Inspection(
        server=_server(nodes[0]), round_trip_seconds=round_trip_seconds,
        notes=tuple(dict.fromkeys(notes)), warnings=tuple(dict.fromkeys(warnings)),
    )  # fmt: skip


def _server(told: Told) -> str:
    if not told:
        return "Redis, which does not tell this user its version"
    return f"Redis {told.get('redis_version')} ({told.get('redis_mode')})"


def _modes(keys: Keyspace) -> list[str]:
    if keys.typescript_writes:
        mode = (
            "typescript_writes is on: lists look through all keys and read every record of their kind, so what TypeScript writes is found"
        )
    else:
        mode = "typescript_writes is off: lists read indexes; what TypeScript adds later is not in them until the option is on"
    return [mode, *([f"every key begins with {keys.prefix!r}"] if keys.prefix else [])]


def _notes(told: Told) -> list[str]:
    if not told:
        return ["this user may not ask INFO, so persistence and eviction were not looked at"]
    if _flag(told, "aof_enabled"):
        return ["the append-only file is on: with appendfsync everysec a crash of the machine loses about a second, with always nothing"]
    if told.get("save"):
        return [f"snapshots only (save {told['save']}): a crash loses what was written since the last one"]
    return [] if "save" in told else ["the append-only file is off, and CONFIG may not be asked whether snapshots are on"]


def _warnings(told: Told) -> list[str]:
    found = []
    if told.get("save") == "" and not _flag(told, "aof_enabled"):
        found.append("persistence is off: a restart loses everything. Set appendonly yes, or save 60 1000")
    policy = str(told.get("maxmemory_policy", "noeviction"))
    if int(told.get("maxmemory", 0)) and policy.startswith("allkeys"):
        found.append(f"maxmemory-policy {policy} drops records and index entries when memory is full. Set maxmemory-policy noeviction")
    elif int(told.get("maxmemory", 0)) and policy.startswith("volatile"):
        found.append(f"maxmemory-policy {policy} drops what has a time to live before its time. Set maxmemory-policy noeviction")
    return found


def _flag(told: Told, name: str) -> bool:
    return str(told.get(name, 0)) == "1"
