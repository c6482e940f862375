"""Lists along a path, in its total order: from an index and the marks of recent writes, or by a scan where there is no index.

An index lags behind the table, may show an old copy of an item, and puts equal times in no particular order. Knows the layout and the
port; the requests are made by the functions it is given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.storage.records.kind import Key, Kind, Path
from mastra_core.storage.records.query import LATEST, Between, Query, matches, place
from mastra_dynamodb.expressions import key_condition
from mastra_dynamodb.keys import (
    ENTITY,
    LAYOUTS,
    Index,
    index_partition,
    index_sort,
    item_key,
    layout_of,
    owner_key,
    partition_prefix,
    sort_prefix,
)
from mastra_dynamodb.table import missing_index
from mastra_dynamodb.ttl import Expiries
from mastra_dynamodb.wire import Item, Mark, decoded, held_key, key_item, marks_of, record_at, token_of

Place = tuple[str, str]
Call = Callable[..., Awaitable[Any]]
Owner = Callable[[], Awaitable[Item | None]]
Items = Callable[[Collection[Place]], Awaitable[Mapping[Place, Item]]]

MAX_PAGE = 1000
HIGHEST = "~"
"""Sorts after every digit, and so after every time."""


def index_of(query: Query[Any]) -> Index | None:
    """The index that a query reads, or None."""
    return layout_of(query.kind).indexes.get(query.path)


def owner_of(query: Query[Any]) -> Place | None:
    """The place of the item that owns the query's partition, or None."""
    index = index_of(query)
    if index is None or index.recent is None:
        return None
    return owner_key(index.recent, tuple(_values(query)[name] for name in index.by))


def proof_of(query: Query[Any]) -> str | None:
    """The attribute that the item at `owner_of` has while it holds a record, and not when only marks outlived one."""
    index = index_of(query)
    return None if index is None or index.recent is None else LAYOUTS[index.recent.owner].proof


@attrs.define
class _Found:
    """What is known while the pages of one index partition are read.

    Attributes:
        records: by key; accepted, and as new as the last write that returned before the read began.
        settled: keys that need no further look.
        marks: what the owner remembers, by key: the token and mark of each recent write.
        owned: whether the owner is there, so that what has no mark is old enough to be trusted.
    """

    records: dict[Key, Any] = attrs.field(factory=dict)
    settled: set[Key] = attrs.field(factory=set)
    marks: dict[Key, list[tuple[str, Mark]]] = attrs.field(factory=dict)
    owned: bool = True


class Listing:
    """Answers queries with the requests it is given.

    Args:
        call: makes a request by its name, and gives the answer.
        items: reads places consistently.
        table: the table's name.
        expiries: what is not listed any more.

    Attributes:
        absent: indexes that the table has not.
    """

    def __init__(self, *, call: Call, items: Items, table: str, expiries: Expiries) -> None:
        self._call = call
        self._items = items
        self._table = table
        self._expiries = expiries
        self.absent: frozenset[str] = frozenset()

    async def listed(self, query: Query[Any], owner: Owner | None) -> list[Any]:
        """The records of *query*; *owner* gives the item at `owner_of`, and is asked only after the first page was asked for.

        Raises:
            ConfigurationError: the table has not the index that this list needs.
        """
        path = _path_of(query)
        index = index_of(query)
        if index is not None and index.name in self.absent:
            raise ConfigurationError(missing_index(self._table, index.name))
        if index is None:
            records = [decoded(query.kind, item) async for item in self.scanned(query.kind, after=None)]
            records = [record for record in records if _accepts(query, record)]
        else:
            records = list((await self._indexed(query, index, owner)).records.values())
        records.sort(key=lambda record: place(query.kind, path, record), reverse=query.descending)
        records = records[query.offset : None if query.limit is None else query.offset + query.limit]
        return [attrs.evolve(record, **dict.fromkeys(query.omit)) for record in records] if query.omit else records

    async def scanned(self, kind: Kind[Any], *, after: Place | None) -> AsyncIterator[Item]:
        """Every item of *kind*, read consistently, in the table's own order; the whole table is read for it."""
        layout = layout_of(kind)
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "FilterExpression": "#e = :e AND begins_with(pk, :p)",
            "ExpressionAttributeNames": {"#e": ENTITY},
            "ExpressionAttributeValues": {":e": {"S": layout.entity}, ":p": {"S": partition_prefix(layout) + "#"}},
        }
        start = None if after is None else key_item(after)
        while True:
            page = await self._call("scan", **arguments, **({} if start is None else {"ExclusiveStartKey": start}))
            for item in self._expiries.living(page["Items"]):
                if held_key(kind, item) is not None:
                    yield item
            start = page.get("LastEvaluatedKey")
            if start is None:
                return

    async def _indexed(self, query: Query[Any], index: Index, owner: Owner | None) -> _Found:
        arguments = _index_arguments(query, index, table=self._table)
        if arguments is None:
            return _Found()
        # One more than asked for tells whether the last one shares its time with others, which are then read too.
        needed = None if query.limit is None or index.order is None else query.offset + query.limit
        size = None if needed is None else min(MAX_PAGE, needed + 1 + (query.after is not None))
        found: _Found | None = None
        while True:
            page = await self._call("query", **arguments, **({} if size is None else {"Limit": size}))
            if found is None:
                found = await _begun(query, owner)
            items, start = self._expiries.living(page["Items"]), page.get("LastEvaluatedKey")
            edge = _order_of(query, decoded(query.kind, items[-1])) if start is not None and items else None
            if items or start is None:
                await self._settle(query, found, items, edge)
            if start is None or (needed is not None and edge is not None and _before(query, found, edge) >= needed):
                return found
            arguments["ExclusiveStartKey"] = start
            size = None if size is None else min(MAX_PAGE, 2 * size)

    async def _settle(self, query: Query[Any], found: _Found, items: Sequence[Item], edge: datetime | None) -> None:
        """Take from a page what can be trusted, and from the table itself what the index may show wrongly, or not yet."""
        kind = query.kind
        doubtful: list[Key] = []
        for item in items:
            key = held_key(kind, item)
            if key is None or key in found.settled:
                continue
            found.settled.add(key)
            tokens = [token for token, _ in found.marks.get(key, ())]
            if not found.owned or tokens not in ([], [token_of(item)]):
                doubtful.append(key)
            elif _accepts(query, record := decoded(kind, item)):
                found.records[key] = record
        for key, marks in found.marks.items():
            if key not in found.settled and any(_within(query, mark, edge) for _, mark in marks):
                found.settled.add(key)
                doubtful.append(key)
        if doubtful:
            held = await self._items({item_key(kind, key) for key in doubtful})
            current = ((key, record_at(kind, key, held)) for key in doubtful)
            found.records |= {key: record for key, record in current if record is not None and _accepts(query, record)}


async def _begun(query: Query[Any], owner: Owner | None) -> _Found:
    if owner is None:
        return _Found()
    item = await owner()
    found = _Found(owned=item is not None and proof_of(query) in item)
    for token, mark in marks_of(item).items():
        found.marks.setdefault(mark.key, []).append((token, mark))
    return found


def _index_arguments(query: Query[Any], index: Index, *, table: str) -> dict[str, Any] | None:
    """The Query of one partition; None when nothing can lie between its ends, which DynamoDB refuses to look for."""
    layout = layout_of(query.kind)
    lowest, highest = sort_prefix(layout), sort_prefix(layout) + HIGHEST
    if index.order is not None:
        span, mark = query.span or Between((index.order,)), None if query.after is None else query.after.order
        low = max((end for end in (span.low, None if query.descending else mark) if end is not None), default=None)
        high = min((end for end in (span.high, mark if query.descending else None) if end is not None), default=None)
        if low is not None and high is not None and low > high:
            return None
        bounds = tuple("" if bound is None else clock.to_text(bound) for bound in (low, high))
        lowest, highest = (index_sort(layout, {index.order: bound}) for bound in bounds)
        highest = highest if bounds[1] else highest + HIGHEST
    where = key_condition(
        partition=(f"{index.name}pk", index_partition(layout, index, _values(query))), sort=(f"{index.name}sk", lowest, highest)
    )
    which = {"IndexName": index.name} if index.name else {"ConsistentRead": True}
    return {"TableName": table, "ScanIndexForward": not query.descending, **which, **where}


def _values(query: Query[Any]) -> dict[str, str]:
    return {query.kind.by_name[name].stored: value for name, value in query.at.items()}


def _accepts(query: Query[Any], record: Any) -> bool:
    """Whether the record is asked for; keys are lower-cased, so that even the partition must be looked at."""
    if any(getattr(record, name) != value for name, value in query.at.items()):
        return False
    path = _path_of(query)
    if query.after is not None:
        here, mark = place(query.kind, path, record), (query.after.order or LATEST, query.after.key)
        if not (here < mark if query.descending else here > mark):
            return False
    return matches(record, (*path.only, *query.where, *((query.span,) if query.span is not None else ())))


def _path_of(query: Query[Any]) -> Path:
    path = query.kind.path(query.path)
    assert path is not None
    return path


def _order_of(query: Query[Any], record: Any) -> datetime:
    return place(query.kind, _path_of(query), record)[0]


def _before(query: Query[Any], found: _Found, edge: datetime) -> int:
    """How many records lie surely before the last one read: those that share its time may have brothers not read yet."""
    orders = (_order_of(query, record) for record in found.records.values())
    return sum(order > edge if query.descending else order < edge for order in orders)


def _within(query: Query[Any], mark: Mark, edge: datetime | None) -> bool:
    """Whether a record written recently may lie in what was read of the index so far."""
    if mark.order is None:
        return False
    if edge is None:
        return True
    order = clock.from_text(mark.order)
    return order >= edge if query.descending else order <= edge
