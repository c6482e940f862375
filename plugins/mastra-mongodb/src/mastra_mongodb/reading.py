"""Reads as aggregation pipelines, and their answers.

All reads of a batch are one command: each is a branch of $unionWith, whose documents say of which branch they are. Knows kinds, reads and
pipelines; commands are sent by the function it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import attrs
from bson.min_key import MinKey

from mastra_core.storage.records.kind import Key, Kind, Path, R
from mastra_core.storage.records.query import LATEST, Count, Cursor, Get, Query, Read, Where, Window, matches, place
from mastra_mongodb.filters import next_instant, pushed, together
from mastra_mongodb.indexes import key_columns, order_of
from mastra_mongodb.waiting import Branch, Journal, Pipeline, key_place, path_place, settled
from mastra_mongodb.wire import Document, columns_of, decoded, key_at, key_filter

MAX_BRANCHES = 50
"""Of one command; what goes beyond is asked beside it."""
SCANNED = 500


class Aggregate(Protocol):
    """Runs a pipeline over a collection, and gives its documents as they come."""

    def __call__(self, collection: str, pipeline: Pipeline, /) -> AsyncGenerator[Document]: ...


@attrs.frozen
class Asked:
    """A read as branches, and what makes the answer of their documents."""

    branches: tuple[Branch, ...]
    answer: Callable[[Sequence[Sequence[Document]]], Any]


class Reader:
    """Answers reads.

    Args:
        aggregate: sends a pipeline.
        journal: whose batches are waited for; None where there are transactions.
        unites: whether several collections are read in one command; MongoDB refuses $unionWith inside a transaction.
    """

    def __init__(self, aggregate: Aggregate, journal: Journal | None = None, *, unites: bool = True) -> None:
        self._aggregate = aggregate
        self._journal = journal
        self._unites = unites

    async def fetch(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """Every answer, in order: one command, one more where there are windows, and beside it one for each list that is filtered here."""
        answers: list[Any] = [None] * len(reads)
        targets = [Get(read.kind, read.around) if isinstance(read, Window) else read for read in reads]
        streamed = [index for index, read in enumerate(targets) if _is_filtered_here(read)]
        together = [index for index in range(len(reads)) if index not in set(streamed)]
        found, *lists = await asyncio.gather(
            self._together([targets[index] for index in together]),
            *(self._streamed(_as_query(targets[index]), counts=isinstance(targets[index], Count)) for index in streamed),
        )
        for index, answer in (*zip(together, found, strict=True), *zip(streamed, lists, strict=True)):
            answers[index] = answer
        around = [index for index, read in enumerate(reads) if isinstance(read, Window)]
        if around:
            windows = await self._windows([(reads[index], answers[index]) for index in around])
            for index, window in zip(around, windows, strict=True):
                answers[index] = window
        return answers

    async def held(self, keys: Sequence[tuple[Kind[Any], Key]]) -> dict[tuple[str, Key], Document]:
        """The stored documents of *keys*, by collection and key."""
        branches = list(_by_kind(keys).items())
        found = await self._documents([branch for _, (_, branch) in branches])
        return {
            (name, key_at(kind, document)): document
            for (name, (kind, _)), documents in zip(branches, found, strict=True)
            for document in documents
        }

    async def scan(self, kind: Kind[R], *, after: Key | None) -> AsyncIterator[tuple[Key, R]]:
        """Every record in the order of the key's index, *after* what stands there; each with its place in it."""
        columns = key_columns(kind)
        while True:
            beyond = [] if after is None else [_beyond(columns, list(after), descending=False)]
            documents = await self._page(kind, [{"$match": together(beyond)}, {"$sort": dict.fromkeys(columns, 1)}, {"$limit": SCANNED}])
            for document in documents:
                yield tuple(document[column] for column in columns), decoded(kind, document)
            if len(documents) < SCANNED:
                return
            after = tuple(documents[-1][column] for column in columns)

    async def _page(self, kind: Kind[Any], pipeline: Pipeline) -> list[Document]:
        """A part of the whole collection; only for batches in it is waited, since to wait for all others might never end."""
        journal = self._journal
        if journal is None:
            return [document async for document in self._aggregate(kind.name, pipeline)]

        async def read() -> tuple[list[Document], list[Document]]:
            documents = [document async for document in self._aggregate(kind.name, [*pipeline, {"$set": {"now": "$$NOW"}}])]
            pending = journal.pending([key_place(kind, key_at(kind, document)) for document in documents])
            entries = [entry async for entry in self._aggregate(pending.collection, pending.pipeline)] if documents else []
            # The instant at which the page was read: before the journal was.
            return documents, [{**entry, "now": documents[0]["now"]} for entry in entries]

        return await settled(journal, read)

    async def _together(self, reads: Sequence[Read[Any]]) -> list[Any]:
        """The answers to reads that MongoDB filters; all keys of a kind are one branch."""
        gets = [read for read in reads if isinstance(read, Get)]
        keyed = list(_by_kind([(get.kind, get.key) for get in gets]).items())
        asked = [_asked(read) for read in reads if not isinstance(read, Get)]
        branches = [*(branch for _, (_, branch) in keyed), *(branch for one in asked for branch in one.branches)]
        found = iter(await self._documents(branches))
        held = {(name, key_at(kind, document)): document for name, (kind, _) in keyed for document in next(found)}
        lists = iter([one.answer([next(found) for _ in one.branches]) for one in asked])
        answers: list[Any] = []
        for read in reads:
            if isinstance(read, Get):
                document = held.get((read.kind.name, read.key))
                # Decoded for each, so that no two callers share what they get.
                answers.append(None if document is None else decoded(read.kind, document))
            else:
                answers.append(next(lists))
        return answers

    async def _documents(self, branches: Sequence[Branch]) -> list[list[Document]]:
        """The documents of each branch."""
        parts = [branches[start : start + MAX_BRANCHES] for start in range(0, len(branches), MAX_BRANCHES)]
        return [documents for part in await asyncio.gather(*map(self._joined, parts)) for documents in part]

    async def _joined(self, branches: Sequence[Branch]) -> list[list[Document]]:
        if self._journal is None:
            return await self._united(branches)
        pending = self._journal.pending([place for branch in branches for place in branch.places])

        async def read() -> tuple[list[list[Document]], list[Document]]:
            # Last, so that a batch which was seen in part is still told of.
            *found, entries = await self._united([*branches, pending])
            return found, entries

        return await settled(self._journal, read)

    async def _united(self, branches: Sequence[Branch]) -> list[list[Document]]:
        if len(branches) == 1 or not self._unites:
            # One after another: a session carries one command at a time.
            return [[document async for document in self._aggregate(branch.collection, branch.pipeline)] for branch in branches]
        first = branches[0]
        tagged = [[*branch.pipeline, {"$replaceWith": {"n": {"$literal": n}, "d": "$$ROOT"}}] for n, branch in enumerate(branches)]
        unions = [
            {"$unionWith": {"coll": branch.collection, "pipeline": pipeline}}
            for branch, pipeline in zip(branches[1:], tagged[1:], strict=True)
        ]
        # The instant at which the whole command began, which some servers do not tell in the branches.
        clock: Pipeline = [] if self._journal is None else [{"$set": {"d.now": "$$NOW"}}]
        found: list[list[Document]] = [[] for _ in branches]
        async for row in self._aggregate(first.collection, [*tagged[0], *unions, *clock]):
            found[row["n"]].append(row["d"])
        return found

    async def _streamed(self, whole: Query[Any], *, counts: bool) -> Any:
        """A list with conditions on the inside of content: read along the index, filtered here, and no further than is asked."""
        (branch,) = _asked(attrs.evolve(whole, offset=0, limit=None, omit=())).branches
        skipped, found, end = 0, list[Any](), None if whole.limit is None else whole.limit
        async with contextlib.aclosing(self._one_by_one(branch)) as documents:
            async for document in documents:
                record = decoded(whole.kind, document)
                if not matches(record, whole.where):
                    continue
                if skipped < whole.offset:
                    skipped += 1
                    continue
                found.append(attrs.evolve(record, **dict.fromkeys(whole.omit)) if whole.omit else record)
                if len(found) == end:
                    break
        return len(found) if counts else found

    async def _one_by_one(self, branch: Branch) -> AsyncGenerator[Document]:
        if self._journal is None:
            async with contextlib.aclosing(self._aggregate(branch.collection, branch.pipeline)) as documents:
                async for document in documents:
                    yield document
        else:
            for document in (await self._joined([branch]))[0]:
                yield document

    async def _windows(self, windows: Sequence[tuple[Any, Any]]) -> list[list[Any]]:
        """Each with its neighbours, given the record in its middle; one more command for all of them."""
        sides: list[Query[Any]] = []
        for window, target in windows:
            if target is not None and matches(target, window.where):
                sides += _sides(window, target)
        answers = iter(await self.fetch(sides) if sides else [])
        found: list[list[Any]] = []
        for window, target in windows:
            if target is None or not matches(target, window.where):
                found.append([])
                continue
            earlier = next(answers)[::-1] if window.before else []
            found.append([*earlier, target, *(next(answers) if window.after else [])])
        return found


def _by_kind(keys: Sequence[tuple[Kind[Any], Key]]) -> dict[str, tuple[Kind[Any], Branch]]:
    wanted: dict[str, tuple[Kind[Any], list[Key]]] = {}
    for kind, key in dict.fromkeys(keys):
        wanted.setdefault(kind.name, (kind, []))[1].append(key)
    return {
        name: (kind, Branch(name, [{"$match": any_key(kind, held)}], tuple(key_place(kind, key) for key in held)))
        for name, (kind, held) in wanted.items()
    }


def any_key(kind: Kind[Any], keys: Sequence[Key]) -> Document:
    """What finds the records of *keys*."""
    if len(keys) == 1:
        return key_filter(kind, keys[0])
    if len(kind.key) == 1:
        return {columns_of(kind, kind.key)[0]: {"$in": [key[0] for key in keys]}}
    return {"$or": [key_filter(kind, key) for key in keys]}


def _is_filtered_here(read: Read[Any]) -> bool:
    return isinstance(read, Query | Count) and bool(pushed(read.kind, read.where)[1])


def _as_query(read: Read[Any]) -> Query[Any]:
    assert isinstance(read, Query | Count)
    return Query(read.kind, read.path, at=read.at, span=read.span, where=read.where) if isinstance(read, Count) else read


def _sides(window: Window[Any], target: Any) -> list[Query[Any]]:
    path = window.kind.path(window.path)
    assert path is not None
    side = Query(
        window.kind,
        window.path,
        at={name: getattr(target, name) for name in path.by},
        where=window.where,
        after=Cursor(getattr(target, path.order), window.around),
    )
    wanted = ((window.before, True), (window.after, False))
    return [attrs.evolve(side, limit=limit, descending=before) for limit, before in wanted if limit]


def listing(query: Query[Any]) -> list[Document]:
    """The filters of a list; what is left to the caller is not among them."""
    kind, path = query.kind, query.kind.path(query.path)
    assert path is not None
    where: Where = (*path.only, *query.where, *((query.span,) if query.span else ()))
    return [*({kind.by_name[name].column: value} for name, value in query.at.items()), *pushed(kind, where)[0]]


def _asked(read: Read[Any]) -> Asked:
    assert isinstance(read, Query | Count)
    kind, path = read.kind, read.kind.path(read.path)
    assert path is not None
    filters = listing(_as_query(read))
    if isinstance(read, Count):
        counting: Pipeline = [{"$match": together(filters) or _every(kind, path)}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
        return Asked((Branch(kind.name, counting, _seen(read)),), lambda found: found[0][0]["n"] if found[0] else 0)
    if not kind.by_name[path.order].optional:
        return _in_order(read, path, filters)
    return _with_nulls(read, path, filters)


def _every(kind: Kind[Any], path: Path) -> Document:
    """Everything, said so that a count reads the index of *path* alone: asked nothing at all, MongoDB reads every document."""
    return {order_of(kind, path)[0]: {"$gte": MinKey()}}


def _seen(read: Query[Any] | Count[Any]) -> tuple[str, ...]:
    path = read.kind.path(read.path)
    assert path is not None
    return (path_place(read.kind, path.name, [read.at[name] for name in path.by]),)


def _in_order(query: Query[Any], path: Path, filters: list[Document]) -> Asked:
    """A list whose order MongoDB has."""
    kind, columns = query.kind, order_of(query.kind, path)
    mark = [] if query.after is None else [_beyond(columns, _place_of(kind, path, query.after), descending=query.descending)]
    cut: Pipeline = [*([{"$skip": query.offset}] if query.offset else []), *([] if query.limit is None else [{"$limit": query.limit}])]
    pipeline = [{"$match": together([*filters, *mark])}, _sort(columns, query), *cut, *_left_out(query)]

    def answer(found: Sequence[Sequence[Document]]) -> list[Any]:
        records = [decoded(kind, document) for document in found[0]]
        # A sharded cluster may mix the order of what $unionWith gives.
        return sorted(records, key=lambda record: place(kind, path, record), reverse=query.descending)

    return Asked((Branch(kind.name, pipeline, _seen(query)),), answer)


def _with_nulls(query: Query[Any], path: Path, filters: list[Document]) -> Asked:
    """A list in whose order a null is later than everything, while MongoDB has it first: what has a time, and what has none."""
    kind, columns = query.kind, order_of(query.kind, path)
    column, last = columns[0], columns[1:]
    end: Pipeline = [] if query.limit is None else [{"$limit": query.offset + query.limit}]
    after = None if query.after is None else _place_of(kind, path, query.after)
    timed, bare = [*filters, {column: {"$ne": None}}], [*filters, {column: None}]
    is_bare = after is not None and after[0] is None
    if after is not None and not is_bare:
        timed.append(_beyond(columns, after, descending=query.descending))
    if after is not None and is_bare:
        bare.append(_beyond(last, after[1:], descending=query.descending))
    wanted: list[tuple[list[Document], list[str]]] = [(timed, columns), (bare, last)]
    if after is not None and is_bare != query.descending:
        # Past the last time ascending; past the last null descending.
        wanted = wanted[1:] if is_bare else wanted[:1]
    branches = tuple(
        Branch(kind.name, [{"$match": together(match)}, _sort(sort, query), *end, *_left_out(query)], _seen(query))
        for match, sort in wanted
    )

    def answer(found: Sequence[Sequence[Document]]) -> list[Any]:
        records = [decoded(kind, document) for documents in found for document in documents]
        records.sort(key=lambda record: place(kind, path, record), reverse=query.descending)
        return records[query.offset : None if query.limit is None else query.offset + query.limit]

    return Asked(branches, answer)


def _place_of(kind: Kind[Any], path: Path, after: Cursor) -> list[Any]:
    held = dict(zip(kind.key, after.key, strict=True))
    order = None if after.order == LATEST else after.order
    return [order, *(held[name] for name in kind.key if name not in path.by)]


def _beyond(columns: Sequence[str], mark: Sequence[Any], *, descending: bool) -> Document:
    """What comes after *mark* in the order of *columns*."""
    sign = "$lt" if descending else "$gt"
    steps: list[Document] = [
        {**dict(zip(columns[:index], mark, strict=False)), column: {sign: mark[index]}} for index, column in enumerate(columns)
    ]
    if not isinstance(mark[0], datetime):
        return {"$or": steps}
    # The first field alone, so that an index is entered at the mark.
    return {columns[0]: {"$lt": next_instant(mark[0])} if descending else {"$gte": mark[0]}, "$or": steps}


def _sort(columns: Sequence[str], query: Query[Any]) -> Document:
    return {"$sort": dict.fromkeys(columns, -1 if query.descending else 1)}


def _left_out(query: Query[Any]) -> Pipeline:
    return [{"$unset": columns_of(query.kind, query.omit)}] if query.omit else []
