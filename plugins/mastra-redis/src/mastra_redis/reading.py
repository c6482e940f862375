"""Reads as operations of the READ script, and its answers as records.

A read is a generator: it yields the operations it needs, is sent their answers, and returns what the port asks for. The engine runs the
generators of one fetch in step, so that the first operations of all of them make one script. Knows keys and values; must not know the
driver.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Key, Kind, Path
from mastra_core.storage.records.query import LATEST, Between, Count, Cursor, Get, Query, Read, Window, matches, place
from mastra_redis import naming, wire
from mastra_redis.keys import Keyspace, key_of_member, member_of, scores_of, slot_of

FILTERED_PAGE = 256
"""How many records a filtered read looks at in one command."""
SCANNED_PAGE = 1000
"""How many records a read of every record holds at once."""


@attrs.frozen(kw_only=True)
class Op:
    """One entry of a READ plan: the key it is about, the slot that the key lies in, and what the script is told."""

    slot: str
    key: str
    told: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Found:
    """A stored record and the place that its key carries."""

    stored: wire.Stored
    place: str


@attrs.frozen
class Names:
    """Asks for the names of all text keys that begin with *head*: a look through the whole database."""

    head: str


@attrs.frozen
class Adopt:
    """Asks for the entries of a record that another program wrote."""

    kind: Kind[Any]
    key: Key
    found: Found


Asked = Op | Names | Adopt
Ops = Generator[Sequence[Asked], list[Any], Any]


@attrs.frozen
class Reader:
    """Turns reads into operations over one key space."""

    keys: Keyspace

    def answer(self, read: Read[Any]) -> Ops:
        """The operations of *read*; returns its answer."""
        match read:
            case Get():
                found = yield from self.find(read.kind, read.key)
                return None if found is None else found.stored.record
            case Query():
                return (yield from self._query(read))
            case Count():
                return (yield from self._count(read))
            case Window():
                return (yield from self._window(read))
        raise TypeError(read)

    def find(self, kind: Kind[Any], key: Key, *, hint: str | None = None) -> Ops:
        """The stored record of *key* as Found, or None; *hint* is a place to look at first."""
        member, layout = member_of(key), self.keys.layout(kind)
        if not layout.place:
            return (yield from self.find_at(kind, key, ""))
        if hint is not None and self.keys.cluster:
            found = yield from self.find_at(kind, key, hint)
            if found is not None:
                return found
        alias = self.keys.alias(kind, member)
        if self.keys.cluster:
            ((place, _),) = yield [Op(slot=alias, key=alias, told={"op": "get"})]
            return None if place is None else (yield from self.find_at(kind, key, place.decode()))
        told = {"op": "get", **naming.aliased(self.keys, kind), "name": self.keys.name(kind, member)}
        ((text, place),) = yield [Op(slot="", key=alias, told=told)]
        if text is None:
            return (yield from self._strayed(kind, key)) if layout.trails and self.keys.typescript_writes else None
        return Found(stored=wire.read(kind, key, text), place=place.decode())

    def _strayed(self, kind: Kind[Any], key: Key) -> Ops:
        """The record of *key* that another program has written at a place which no alias tells, or None."""
        layout = self.keys.layout(kind)
        head = self.keys.record(kind, member_of(key), place="") + layout.neck
        (names,) = yield [Names(head)]
        for name in sorted(set(names)):
            ((text, _),) = yield [Op(slot=slot_of(name, cluster=self.keys.cluster), key=name, told={"op": "get"})]
            stored = None if text is None else wire.decoded(kind, name, text)
            if stored is not None and kind.key_of(stored.record) == key:
                found = Found(stored=stored, place=name.removeprefix(head))
                yield [Adopt(kind, key, found)]
                return found
        return None

    def find_at(self, kind: Kind[Any], key: Key, place: str) -> Ops:
        """The stored record of *key* at *place*, as Found, or None."""
        member = member_of(key)
        slot, name = self.keys.slot(kind, member, place=place), self.keys.record(kind, member, place=place)
        ((text, _),) = yield [Op(slot=slot, key=name, told={"op": "get"})]
        return None if text is None else Found(stored=wire.read(kind, key, text), place=place)

    def _query(self, query: Query[Any]) -> Ops:
        found = yield from self._listed(query)
        return [attrs.evolve(record, **dict.fromkeys(query.omit)) for record in found] if query.omit else found

    def _listed(self, query: Query[Any]) -> Ops:
        path = _path(query.kind, query.path)
        if self.keys.is_scanned(query.kind, path):
            return (yield from self._scanned(query, path))
        if not self.keys.is_local(query.kind, path):
            return (yield from self._gathered(query, path))
        if not query.where:
            return (yield from self._range(query, path))
        return (yield from self._filtered(query, path))

    def _filtered(self, query: Query[Any], path: Path) -> Ops:
        wanted = None if query.limit is None else query.offset + query.limit
        found: list[Any] = []
        page = attrs.evolve(query, where=(), offset=0, limit=FILTERED_PAGE)
        while wanted is None or len(found) < wanted:
            looked_at = yield from self._range(page, path)
            found += [record for record in looked_at if matches(record, query.where)]
            if len(looked_at) < FILTERED_PAGE:
                break
            page = attrs.evolve(page, after=_cursor(query.kind, path, looked_at[-1]))
        return found[query.offset : wanted]

    def _range(self, query: Query[Any], path: Path) -> Ops:
        kind = query.kind
        bounds = _bounds(query)
        if bounds is None:
            return []
        key = self.keys.index(kind, path, [query.at[name] for name in path.by])
        told = {
            "op": "bodies",
            "down": query.descending,
            "skip": query.offset,
            "limit": query.limit,
            **bounds,
            **naming.names(self.keys, kind, path, query.at),
        }
        slot = "" if not self.keys.cluster else query.at[path.by[0]]
        ((members, texts),) = yield [Op(slot=slot, key=key, told=told)]
        rows = ((key_of_member(member.decode()), text) for member, text in zip(members, texts, strict=True) if text is not None)
        return [wire.read(kind, key, text).record for key, text in rows]

    def _gathered(self, query: Query[Any], path: Path) -> Ops:
        """Every record of a place whose entries lie in another slot, looked at here: entries may be older than their records."""
        kind = query.kind
        key = self.keys.index(kind, self.keys.source(kind, path), [query.at[name] for name in path.by])
        told = {"op": "ids", "low": "-inf", "high": "+inf", "skip": 0}
        (members,) = yield [Op(slot=key, key=key, told=told)]
        ids = [member.decode() for member in members]
        ops = [Op(slot=self.keys.slot(kind, i, place=""), key=self.keys.record(kind, i, place=""), told={"op": "get"}) for i in ids]
        texts = (yield ops) if ops else []
        every = [wire.read(kind, key_of_member(i), text).record for i, (text, _) in zip(ids, texts, strict=True) if text is not None]
        return _cut(query, path, [record for record in every if _belongs(query, path, record)])

    def _scanned(self, query: Query[Any], path: Path) -> Ops:
        """As _gathered, where nothing names the records of a place: all of the kind are looked at, a thousand at a time."""
        (names,) = yield [Names(self.keys.layout(query.kind).head)]
        every, found, seen = sorted(set(names)), [], set()
        for start in range(0, len(every), SCANNED_PAGE):
            part = every[start : start + SCANNED_PAGE]
            texts = yield [Op(slot=slot_of(name, cluster=self.keys.cluster), key=name, told={"op": "get"}) for name in part]
            records = [wire.decoded(query.kind, name, text).record for name, (text, _) in zip(part, texts, strict=True) if text is not None]
            for record in records:
                key = query.kind.key_of(record)
                # TypeScript may have written a run twice, with its resource in the key and without.
                if key not in seen and _belongs(query, path, record):
                    seen.add(key)
                    found.append(record)
        return _cut(query, path, found)

    def _count(self, count: Count[Any]) -> Ops:
        path = _path(count.kind, count.path)
        query = Query(count.kind, count.path, at=count.at, span=count.span, where=count.where)
        if count.where or self.keys.is_scanned(count.kind, path) or not self.keys.is_local(count.kind, path):
            return len((yield from self._query(query)))
        bounds = _bounds(query)
        if bounds is None:
            return 0
        key = self.keys.index(count.kind, path, [count.at[name] for name in path.by])
        slot = "" if not self.keys.cluster else count.at[path.by[0]]
        # Where records go by themselves, each name is looked up: their sets name some that are gone.
        names = naming.names(self.keys, count.kind, path, count.at) if self.keys.lifetimes.get(count.kind.name) else {}
        (counted,) = yield [Op(slot=slot, key=key, told={"op": "count", **bounds, **names})]
        return counted

    def _window(self, window: Window[Any]) -> Ops:
        kind, path = window.kind, _path(window.kind, window.path)
        found = yield from self.find(kind, window.around, hint=window.hint.get(self.keys.layout(kind).place or ""))
        if found is None or not matches(found.stored.record, window.where):
            return []
        target = found.stored.record
        at = {name: getattr(target, name) for name in path.by}
        if any(value is None for value in at.values()):
            return [target]
        sides = Query(kind, path.name, at=at, where=window.where, after=_cursor(kind, path, target))
        before = self._query(attrs.evolve(sides, descending=True, limit=window.before)) if window.before else _nothing()
        after = self._query(attrs.evolve(sides, limit=window.after)) if window.after else _nothing()
        earlier, later = yield from together([before, after])
        return [*reversed(earlier), target, *later]


def together(reads: list[Ops]) -> Generator[Sequence[Asked], list[Any], list[Any]]:
    """Run generators in step: what they ask for at the same time is asked for together. Returns what each of them returns."""
    results: list[Any] = [None] * len(reads)
    waiting: dict[int, Sequence[Asked]] = {}

    def advance(index: int, answers: list[Any] | None) -> None:
        try:
            waiting[index] = next(reads[index]) if answers is None else reads[index].send(answers)
        except StopIteration as stop:
            waiting.pop(index, None)
            results[index] = stop.value

    for index in range(len(reads)):
        advance(index, None)
    while waiting:
        asked = list(waiting.items())
        answers = yield [op for _, ops in asked for op in ops]
        start = 0
        for index, ops in asked:
            advance(index, answers[start : start + len(ops)])
            start += len(ops)
    return results


def _nothing() -> Ops:
    yield from ()
    return []


def _path(kind: Kind[Any], name: str) -> Path:
    path = kind.path(name)
    assert path is not None
    return path


def _belongs(query: Query[Any], path: Path, record: Any) -> bool:
    """Whether *record* is one of those that *query* is about, wherever its cursor and its page are."""
    where = (*path.only, *query.where, *((query.span,) if query.span else ()))
    return all(getattr(record, name) == value for name, value in query.at.items()) and matches(record, where)


def _cut(query: Query[Any], path: Path, found: list[Any]) -> list[Any]:
    """The page of *query* among all its records."""
    kind = query.kind
    found.sort(key=lambda record: place(kind, path, record), reverse=query.descending)
    if query.after is not None:
        mark = (query.after.order or LATEST, query.after.key)
        found = [one for one in found if (place(kind, path, one) < mark if query.descending else place(kind, path, one) > mark)]
    return found[query.offset : None if query.limit is None else query.offset + query.limit]


def _cursor(kind: Kind[Any], path: Path, record: Any) -> Cursor:
    return Cursor(getattr(record, path.order), kind.key_of(record))


def _bounds(query: Query[Any]) -> dict[str, Any] | None:
    """The scores between which the records of *query* lie, and its cursor; None if nothing can lie there."""
    low, high = _ends(query.span)
    if query.after is None:
        return _told(low, high)
    mark = clock.to_milliseconds(query.after.order or LATEST)
    if (low is not None and mark < low) if not query.descending else (high is not None and mark > high):
        return _told(low, high)
    bounds = _told(low, mark) if query.descending else _told(mark, high)
    return None if bounds is None else {**bounds, "after": str(mark * 1000), "cursor": member_of(query.after.key)}


def _told(low: int | None, high: int | None) -> dict[str, Any] | None:
    if low is not None and high is not None and low > high:
        return None
    return {"low": "-inf" if low is None else str(scores_of(low)[0]), "high": "+inf" if high is None else str(scores_of(high)[1])}


def _ends(span: Between | None) -> tuple[int | None, int | None]:
    """The first and the last whole millisecond of *span*; no span has the records without a time, which lie at LATEST."""
    if span is None:
        return None, None
    low, high = None, clock.to_milliseconds(LATEST) - 1
    if span.low is not None:
        between = span.low.microsecond % 1000 != 0
        low = clock.to_milliseconds(span.low) + (1 if between or span.low_open else 0)
    if span.high is not None:
        between = span.high.microsecond % 1000 != 0
        high = clock.to_milliseconds(span.high) - (1 if span.high_open and not between else 0)
    return low, high
