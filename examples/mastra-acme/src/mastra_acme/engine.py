"""The record engine of AcmeDB: the port of Mastra, and nothing else. Must not know any field of a record."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from mastra_acme.journal import Entry, Journal
from mastra_core.errors import StorageUnavailableError
from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Refused, Save, updated
from mastra_core.storage.records.engine import CAPABILITIES, FULL, Fault, Inspection, Support, emulated
from mastra_core.storage.records.kind import Key, Kind, R
from mastra_core.storage.records.query import LATEST, Count, Get, Query, Read, Window, matches, place
from mastra_core.storage.records.wire import from_document, load_json, to_document

T = TypeVar("T")

READ_WHOLE = emulated("AcmeDB has no indexes: every record of the kind is looked at")


class AcmeEngine:
    """Everything of the port, on one journal.

    Args:
        journal: opened and closed by this engine.
    """

    max_atomic: int | None = None
    capabilities: Mapping[str, Support] = dict.fromkeys(CAPABILITIES, FULL) | dict.fromkeys(("open_paths", "count"), READ_WHOLE)
    driver_errors: tuple[type[BaseException], ...] = (OSError,)

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.tables: dict[str, dict[Key, str]] = {}
        self._turn = asyncio.Lock()

    # Opening and looking

    async def open(self) -> None:
        """Open the file, and make it if it is missing."""
        self.tables = {}
        await asyncio.to_thread(self.journal.open)

    async def close(self) -> None:
        """Finish what was accepted, then close the file."""
        async with self._turn:
            self.journal.close()

    async def ping(self) -> None:
        """Read what is new."""
        await self._reading(lambda: None)

    def ddl(self) -> Sequence[str]:
        """Nothing has to be made before the first record."""
        return ()

    async def inspect(self) -> Inspection:
        """Open the file for itself, and close it again."""
        journal, started = Journal(self.journal.path), time.perf_counter()
        journal.open(create=False)
        journal.close()
        return Inspection(server="AcmeDB 1", round_trip_seconds=time.perf_counter() - started)

    def pool(self) -> None:
        """A file has no connections."""

    def diagnose(self, error: BaseException) -> Fault | None:
        """Every error of the file system means that the file cannot be used; a write that failed is on no line of it."""
        if not isinstance(error, OSError):
            return None
        said = error.strerror or str(error)
        mend = "check that its folder exists and can be written"
        return Fault(error=StorageUnavailableError, message=f"AcmeDB: {self.journal.path}: {said}; {mend}")

    # Reading

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Answer every read at one instant."""
        return await self._reading(lambda: [self._answer(read) for read in reads])

    async def scan(self, kind: Kind[R], *, after: str | None) -> AsyncIterator[tuple[str, R]]:
        """Every record in key order; the cursor is the key."""
        last = () if after is None else tuple(json.loads(after))
        keys = await self._reading(lambda: sorted(key for key in self._table(kind) if key > last))
        for key in keys:
            (record,) = await self.fetch([Get(kind, key)])
            if record is not None:
                yield json.dumps(key), record

    def _answer(self, read: Read[Any]) -> Any:
        match read:
            case Get():
                return self._load(read.kind, read.key)
            case Count():
                return len(self._listed(Query(read.kind, read.path, at=read.at, span=read.span, where=read.where)))
            case Query():
                return self._listed(read)
            case Window():
                return self._window(read)
        raise TypeError(read)

    def _listed(self, query: Query[Any]) -> list[Any]:
        """The records of a path's partition that meet every condition, in the path's order, cut to the page."""
        kind, path = query.kind, query.kind.path(query.path)
        assert path is not None  # the guard refuses a query along any other
        conditions = (*path.only, *query.where, *((query.span,) if query.span else ()))
        found = [
            record
            for record in self._records(kind)
            if all(getattr(record, name) == value for name, value in query.at.items()) and matches(record, conditions)
        ]
        found.sort(key=lambda record: place(kind, path, record), reverse=query.descending)
        if query.after is not None:
            mark = (query.after.order or LATEST, query.after.key)
            found = [r for r in found if (place(kind, path, r) < mark if query.descending else place(kind, path, r) > mark)]
        found = found[query.offset : None if query.limit is None else query.offset + query.limit]
        return [attrs.evolve(record, **dict.fromkeys(query.omit)) for record in found] if query.omit else found

    def _window(self, window: Window[Any]) -> list[Any]:
        """A record with its neighbours on a path."""
        kind, path = window.kind, window.kind.path(window.path)
        middle = self._load(kind, window.around)
        assert path is not None
        if middle is None or not matches(middle, window.where):
            return []
        around = self._listed(Query(kind, window.path, at={name: getattr(middle, name) for name in path.by}, where=window.where))
        index = [kind.key_of(record) for record in around].index(window.around)
        return around[max(0, index - window.before) : index + window.after + 1]

    # Writing

    async def apply(self, changes: Sequence[Change], *, atomic: bool) -> list[Any]:
        """Write all changes or none, whether *atomic* or not: a batch is one line of the journal."""
        return await self._writing(lambda: self._write(changes))

    async def decide(self, gets: Sequence[Get[Any]], change: Callable[[list[Any]], Sequence[Change]]) -> list[Any]:
        """Read, compute and write while everybody else waits."""
        return await self._writing(lambda: self._write(change([self._load(get.kind, get.key) for get in gets])))

    async def purge(self, query: Query[Any], *, limit: int) -> int:
        """Delete the first *limit* records of *query*."""

        def purged() -> int:
            gone = [Delete(query.kind, query.kind.key_of(record), answer=False) for record in self._listed(query)[:limit]]
            return len(self._write(gone))

        return await self._writing(purged)

    def _write(self, changes: Sequence[Change]) -> list[Any]:
        """Judge every change before any is written."""
        judged = [self._judge(index, change) for index, change in enumerate(changes)]
        batch = [entry for entry, _ in judged if entry is not None]
        if batch:
            self.journal.append(batch)
            self._take(batch)
        return [answer for _, answer in judged]

    def _judge(self, index: int, change: Change) -> tuple[Entry | None, Any]:
        """What to write for *change*, and its answer."""
        kind, stored = change.kind, self._load(change.kind, change.key)
        if stored is not None and not matches(stored, change.when):
            raise Refused(index, change, stored)
        if isinstance(change, Delete):
            gone = None if stored is None else Entry(kind.name, change.key, None)
            return gone, stored if change.answer else None
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
        text = json.dumps(to_document(kind, record))
        return Entry(kind.name, change.key, text), from_document(kind, change.key, json.loads(text)) if change.answer else None

    # The image of the journal in memory

    async def _reading(self, work: Callable[[], T]) -> T:
        return await self._locked(work, writing=False)

    async def _writing(self, work: Callable[[], T]) -> T:
        return await self._locked(work, writing=True)

    async def _locked(self, work: Callable[[], T], *, writing: bool) -> T:
        """Do *work* in a thread, on the newest image, one at a time."""

        def caught_up() -> T:
            with self.journal.locked(writing=writing):
                self._take(self.journal.news())
                return work()

        async with self._turn:
            # Not left in the middle when the caller is cancelled: the next one would share the lock with it.
            running = asyncio.ensure_future(asyncio.to_thread(caught_up))
            try:
                return await asyncio.shield(running)
            finally:
                await asyncio.wait({running})

    def _take(self, entries: Iterator[Entry] | Sequence[Entry]) -> None:
        for table, key, text in entries:
            held = self.tables.setdefault(table, {})
            if text is None:
                held.pop(key, None)
            else:
                held[key] = text

    def _table(self, kind: Kind[Any]) -> dict[Key, str]:
        return self.tables.get(kind.name, {})

    def _load(self, kind: Kind[R], key: Key) -> R | None:
        text = self._table(kind).get(key)
        # Decoded at every read, so that nothing a caller holds is shared with the store.
        return None if text is None else from_document(kind, key, load_json(text, kind=kind.name, key=key, field="(the whole record)"))

    def _records(self, kind: Kind[R]) -> Iterator[R]:
        return (record for key in list(self._table(kind)) if (record := self._load(kind, key)) is not None)
