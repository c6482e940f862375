"""Which indexes each collection has: the key, as TypeScript makes it, one for every path in its total order, one for the status of runs.

TypeScript's other indexes are beginnings of ours, or serve questions that are not asked here; they are neither made nor touched. Knows
kinds and what an index is; must not know any command but createIndexes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kind import Kind, Path
from mastra_core.storage.records.kinds import KINDS, SCHEMA_VERSION
from mastra_core.storage.records.run_kinds import RUNS
from mastra_core.storage.records.wire import dump_json
from mastra_mongodb.wire import columns_of

MIGRATIONS = "mastra_migrations"
"""The collection that remembers the fingerprints of what was added; TypeScript has none of that name."""

STATUS = "snapshot.status"
"""Where the document of a workflow's run has its status."""

LIFETIMES = "lifetimes"
"""The `_id` of the document there that says what expires when."""

FORM = '{"collection": "mastra_threads", "keys": {"metadata.team": 1}, "options": {"name": "team"}}'


@attrs.frozen
class Index:
    """One index.

    Attributes:
        collection: which it is of.
        keys: the fields and their directions.
        options: as createIndexes takes them.
    """

    collection: str
    keys: tuple[tuple[str, Any], ...]
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def name(self) -> str:
        """The name, as drivers make it unless the options have one."""
        return str(self.options.get("name") or "_".join(f"{field}_{direction}" for field, direction in self.keys))

    @property
    def seconds(self) -> int | None:
        """After which MongoDB deletes what is in it, None if never."""
        return self.options.get("expireAfterSeconds")

    @property
    def statement(self) -> dict[str, Any]:
        """The command that makes it, and changes nothing if it is there."""
        return {"createIndexes": self.collection, "indexes": [{"key": dict(self.keys), **self.options, "name": self.name}]}

    @property
    def change(self) -> dict[str, Any]:
        """The command that gives an index of the same field, which deletes after another time or never, the time of this one."""
        return {"collMod": self.collection, "index": {"keyPattern": dict(self.keys), "expireAfterSeconds": self.seconds}}

    def changes(self, there: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
        """Whether a time to live is to be given to an index that is there."""
        return self.seconds is not None and any(tuple(found["key"].items()) == self.keys for found in there.get(self.collection, ()))


_COLLECTIONS = frozenset(kind.name for kind in KINDS)
_KEYS = {"mastra_ai_spans": ("spanId", "traceId")}
"""Where TypeScript's unique index has the fields of a key in another order than ours."""


def order_of(kind: Kind[Any], path: Path) -> list[str]:
    """The stored names that make the total order of *path*, behind those that its records share."""
    return columns_of(kind, [path.order, *(name for name in kind.key if name not in path.by)])


def _index(kind: Kind[Any], path: Path) -> Index:
    shared = [*columns_of(kind, path.by), *columns_of(kind, [condition.field[0] for condition in path.only])]
    return Index(kind.name, tuple((column, 1) for column in [*shared, *order_of(kind, path)]))


def key_columns(kind: Kind[Any]) -> Sequence[str]:
    """The stored names of the key, in the order of its index."""
    return _KEYS.get(kind.name) or columns_of(kind, kind.key)


def unique(kind: Kind[Any]) -> Index:
    """The index of the key, which TypeScript has too."""
    return Index(kind.name, tuple((column, 1) for column in key_columns(kind)), {"unique": True})


def _of_status(kind: Kind[Any]) -> tuple[Index, ...]:
    """Who asks for the suspended runs of all workflows finds few among many, in order; TypeScript's index of it alone leaves sorting them.

    A run costs it a write when it is made and when its status changes, not when it is saved again.
    """
    path = kind.path("all") if kind is RUNS else None
    return () if path is None else (Index(kind.name, tuple((column, 1) for column in (STATUS, *order_of(kind, path)))),)


def defaults(kinds: Sequence[Kind[Any]] = KINDS) -> tuple[Index, ...]:
    """Every index that reads and writes use."""
    return tuple(index for kind in kinds for index in (unique(kind), *(_index(kind, path) for path in kind.paths), *_of_status(kind)))


def given(indexes: Iterable[Mapping[str, Any]]) -> tuple[Index, ...]:
    """Indexes of the user's own.

    Raises:
        ConfigurationError: one is not of the form that is expected.
    """
    made = []
    for index in indexes:
        keys, collection = index.get("keys"), index.get("collection")
        if not isinstance(collection, str) or not isinstance(keys, Mapping) or not keys or set(index) - {"collection", "keys", "options"}:
            raise ConfigurationError(f"MongoDBStore: an index is written {FORM}, found {index!r}")
        made.append(Index(collection, tuple(keys.items()), dict(index.get("options") or {})))
    return tuple(made)


@attrs.frozen
class Schema:
    """What a database must be made of, and what it says of that itself."""

    indexes: tuple[Index, ...]

    @property
    def lifetimes(self) -> dict[str, int]:
        """By collection, after how many seconds MongoDB deletes what is in it."""
        return {index.collection: index.seconds for index in self.indexes if index.seconds is not None and index.collection in _COLLECTIONS}

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with every index."""
        return hashlib.sha256("\n".join(map(_text, (index.statement for index in self.indexes))).encode()).hexdigest()[:16]

    @property
    def record(self) -> dict[str, Any]:
        """The command that notes that everything is there."""
        noted = {"version": SCHEMA_VERSION, "fingerprint": self.fingerprint, "applied_by": _release()}
        update = {"$setOnInsert": noted, "$currentDate": {"applied_at": True}}
        # Times to live that come back to what they once were are a change, which a fingerprint does not tell.
        lives = [{"q": {"_id": LIFETIMES}, "u": {"$set": self.lifetimes}, "upsert": True}] if self.lifetimes else []
        return {"update": MIGRATIONS, "updates": [{"q": {"_id": self.fingerprint}, "u": update, "upsert": True}, *lives]}

    def ddl(self) -> tuple[str, ...]:
        """Commands for `db.runCommand`, as JSON."""
        return (*(_text(index.statement) for index in self.indexes), _text(self.record))

    def ready(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the notes say that nothing has to be added.

        Raises:
            ConfigurationError: a newer release has prepared the database.
        """
        row = max(rows, key=_version, default={})
        if _version(row) > SCHEMA_VERSION:
            by = row.get("applied_by")
            raise ConfigurationError(
                f"this database has schema version {_version(row)}, made by {by}; {_release()} knows version {SCHEMA_VERSION} and may "
                f"misread it. Upgrade to at least {by}, or open another database"
            )
        lives: Mapping[str, Any] = next((row for row in rows if row.get("_id") == LIFETIMES), {})
        current = all(lives.get(collection) == seconds for collection, seconds in self.lifetimes.items())
        return current and any(row.get("fingerprint") == self.fingerprint for row in rows)

    def lacking(self, there: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Index]:
        """The indexes that are not among those of each collection; one of another name does as well."""
        return [index for index in self.indexes if not any(_serves(found, index) for found in there.get(index.collection, ()))]

    def missing(self, there: Mapping[str, Sequence[Mapping[str, Any]]], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """The commands that make the database complete."""
        lacking = [_text(index.change if index.changes(there) else index.statement) for index in self.lacking(there)]
        return tuple(lacking if self.ready(rows) else [*lacking, _text(self.record)])


def newest(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The newest schema version that is noted."""
    return max(map(_version, rows), default=None)


def _serves(found: Mapping[str, Any], index: Index) -> bool:
    times = index.seconds is None or found.get("expireAfterSeconds") == index.seconds
    return times and tuple(found["key"].items()) == index.keys and bool(found.get("unique")) >= bool(index.options.get("unique"))


def _version(row: Mapping[str, Any]) -> int:
    version = row.get("version")
    return version if isinstance(version, int) else 0


def _text(command: Mapping[str, Any]) -> str:
    return dump_json(command, at="a command")


def _release() -> str:
    return f"mastra-core {metadata.version('mastra-core')}"
