"""A RecordEngine in a dictionary: as strict as a database, and the model that the kit compares every other engine with.

Records are kept as JSON text and decoded at every read, so that nothing a caller holds is shared with the store. Batches are atomic because
nothing here awaits. Lost when the process ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import attrs

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Refused, Save, updated
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Inspection, Support
from mastra_core.storage.records.kind import Key, Kind, R
from mastra_core.storage.records.query import LATEST, Count, Get, Query, Read, Window, matches, place
from mastra_core.storage.records.wire import dump_json, from_document, load_json, to_document

Table = dict[Key, str]


class InMemoryEngine:
    """Everything of the port, in this process."""

    max_atomic: int | None = None
    capabilities: Mapping[str, Support] = dict.fromkeys(CAPABILITIES, FULL)
    driver_errors: tuple[type[BaseException], ...] = ()

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to release; the records stay with the object."""

    async def ping(self) -> None:
        """Always there."""

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read."""
        return [self._answer(read) for read in reads]

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write all changes or none; one step, whether *atomic* or not."""
        _ = atomic
        return self._write(changes)

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute and write in one step."""
        return self._write(change([self._load(get.kind, get.key) for get in gets]))

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query*."""
        gone = self._listed(query)[:limit]
        for record in gone:
            del self.tables[query.kind.name][query.kind.key_of(record)]
        return len(gone)

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Every record in key order; the cursor is the key."""
        for key in sorted(self.tables.get(kind.name, {})):
            cursor = "\0".join(key)
            if after is None or cursor > after:
                record = self._load(kind, key)
                if record is not None:
                    yield cursor, record

    def ddl(self) -> Sequence[str]:
        """Nothing has to be made."""
        return ()

    async def inspect(self) -> Inspection:
        """Always complete."""
        return Inspection(server="the memory of this process", round_trip_seconds=0.0)

    def pool(self) -> None:
        """There are no connections."""

    def diagnose(self, error: BaseException) -> Fault | None:
        """No driver, no driver errors."""
        _ = error
        return None

    def _load(self, kind: Kind[R], key: Key) -> R | None:
        text = self.tables.get(kind.name, {}).get(key)
        return None if text is None else from_document(kind, key, load_json(text, kind=kind.name, key=key, field="(the whole record)"))

    def _answer(self, read: Read[Any]) -> Any:
        match read:
            case Get():
                return self._load(read.kind, read.key)
            case Window():
                return self._window(read)
            case Count():
                return len(self._listed(Query(read.kind, read.path, at=read.at, span=read.span, where=read.where)))
            case Query():
                return self._listed(read)
        raise TypeError(read)

    def _listed(self, query: Query[Any]) -> list[Any]:
        kind, path = query.kind, query.kind.path(query.path)
        assert path is not None
        where = (*path.only, *query.where, *((query.span,) if query.span else ()))
        places = [(kind.key.index(name), value) for name, value in query.at.items() if name in kind.key]
        keys = [key for key in self.tables.get(kind.name, {}) if all(key[index] == value for index, value in places)]
        every: list[Any] = [self._load(kind, key) for key in keys]
        found = [
            record for record in every if all(getattr(record, name) == value for name, value in query.at.items()) and matches(record, where)
        ]

        found.sort(key=lambda record: place(kind, path, record), reverse=query.descending)
        if query.after is not None:
            mark = (query.after.order or LATEST, query.after.key)
            found = [r for r in found if (place(kind, path, r) < mark if query.descending else place(kind, path, r) > mark)]
        found = found[query.offset : None if query.limit is None else query.offset + query.limit]
        return [attrs.evolve(record, **dict.fromkeys(query.omit)) for record in found] if query.omit else found

    def _window(self, window: Window[Any]) -> list[Any]:
        target, path = self._load(window.kind, window.around), window.kind.path(window.path)
        assert path is not None
        if target is None or not matches(target, window.where):
            return []
        at = {name: getattr(target, name) for name in path.by}
        around = self._listed(Query(window.kind, window.path, at=at, where=window.where))
        middle = next(index for index, record in enumerate(around) if window.kind.key_of(record) == window.around)
        return around[max(0, middle - window.before) : middle + window.after + 1]

    def _write(self, changes: Sequence[Change]) -> list[Any]:
        steps = [self._step(index, change) for index, change in enumerate(changes)]
        for change, (text, _) in zip(changes, steps, strict=True):
            table = self.tables.setdefault(change.kind.name, {})
            if text is not None:
                table[change.key] = text
            elif isinstance(change, Delete):
                table.pop(change.key, None)
        return [answer for _, answer in steps]

    def _step(self, index: int, change: Change) -> tuple[str | None, Any]:
        """The text to store (None: nothing) and the answer, without writing."""
        stored = self._load(change.kind, change.key)
        if stored is not None and not matches(stored, change.when):
            raise Refused(index, change, stored)
        if isinstance(change, Delete):
            return None, stored if change.answer else None
        if isinstance(change, Patch) and stored is None and change.missing == "skip":
            return None, None
        if isinstance(change, Save):
            refused = (change.absent if stored is None else change.present) == "refuse"
        else:
            refused = stored is None
        if refused:
            raise Refused(index, change, stored)
        if isinstance(change, Check):
            return None, None
        record = change.record if isinstance(change, Save) and stored is None else updated(change, stored)
        document = to_document(change.kind, record)
        text = dump_json(document, at=change.kind.name, any_unicode=True)
        return text, from_document(change.kind, change.key, document) if change.answer else None
