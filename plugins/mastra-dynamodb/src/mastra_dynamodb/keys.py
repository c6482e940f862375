"""Where records lie in the single table: keys and indexes exactly as the TypeScript package's ElectroDB writes them (contract §3.7).

The one place that pairs (kind, path) with a global secondary index. A kind or path that is not listed gets a default: an item under its
own entity name, and a scan. Knows stored names; must not know the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Key, Kind

SERVICE, VERSION = "mastra", "1"
ENTITY = "__edb_e__"
"""The attribute that every record's item has, and what is left of a deleted one has not."""
MARKS = "~"
"""Begins the names of the attributes that TypeScript does not know; see `Recent`."""


@attrs.frozen
class Recent:
    """A path whose partition has an owner: the record of kind *owner* whose key is what the path's `by` says.

    Secondary indexes lag. So every write to such a record leaves a mark on the owner's item, in the same transaction: an attribute
    named "~" and a token, which holds the key and order of the record. The record's own item carries the same token as "~". A reader
    fetches the owner consistently beside the index, and asks the table itself for the records whose token the index does not show.
    """

    owner: str


@attrs.frozen
class Index:
    """A slot of the table: `by` and `order` are stored names of fields that are never null.

    Without an order the path shares another's partition and is sorted here.
    """

    name: str
    by: tuple[str, ...]
    order: str | None = None
    recent: Recent | None = None


@attrs.frozen
class Layout:
    """How one kind lies in the table.

    Attributes:
        entity: ElectroDB's name of it.
        partition: the stored names in `pk`.
        sort: the stored names in `sk`; the entity's own name stands for itself.
        indexes: by path name.
        stamped: an attribute set to the current time at every write, which TypeScript has and the record has not.
        owns: whether another kind's `Recent` names this kind.
    """

    entity: str
    partition: tuple[str, ...] = ("id",)
    sort: tuple[str, ...] = ("entity",)
    indexes: Mapping[str, Index] = attrs.field(factory=dict)
    stamped: str | None = None
    owns: bool = False


LAYOUTS: Mapping[str, Layout] = {
    "mastra_threads": Layout(
        "thread",
        sort=("id",),
        indexes={
            "by_resource": Index("gsi1", by=("resourceId",), order="createdAt"),
            "by_resource_updated": Index("gsi1", by=("resourceId",)),
        },
        owns=True,
    ),
    "mastra_messages": Layout(
        "message",
        indexes={"by_thread": Index("gsi1", by=("threadId",), order="createdAt", recent=Recent("mastra_threads"))},
        stamped="updatedAt",
    ),
    "mastra_resources": Layout("resource"),
}


def layout_of(kind: Kind[Any]) -> Layout:
    """The layout of *kind*, listed or default."""
    known = LAYOUTS.get(kind.name)
    if known is not None:
        return known
    stored = [kind.by_name[name].stored for name in kind.key]
    return Layout(kind.name, partition=(stored[0],), sort=tuple(stored[1:]) or ("entity",))


def item_key(kind: Kind[Any], key: Key) -> tuple[str, str]:
    """The item's pk and sk; two keys that differ only by case share them."""
    layout = layout_of(kind)
    values = {kind.by_name[name].stored: value for name, value in zip(kind.key, key, strict=True)}
    values.setdefault("entity", layout.entity)
    sort = sort_prefix(layout) + _facets({name: values[name] for name in layout.sort})
    return _partition(layout, {name: values[name] for name in layout.partition}), sort


def owner_key(recent: Recent, by: tuple[str, ...]) -> tuple[str, str]:
    """The pk and sk of the owner of a partition."""
    layout = LAYOUTS[recent.owner]
    values = {"entity": layout.entity, **dict(zip(layout.partition, by, strict=True))}
    return _partition(layout, dict(zip(layout.partition, by, strict=True))), sort_prefix(layout) + _facets(
        {name: values[name] for name in layout.sort}
    )


def index_partition(layout: Layout, index: Index, values: Mapping[str, str]) -> str:
    """The partition key of *index* for *values* by stored name."""
    return _partition(layout, {name: values[name] for name in index.by})


def index_sort(layout: Layout, order: str, time_text: str) -> str:
    """The sort key of an index that is ordered by the stored name *order*."""
    return sort_prefix(layout) + _facets({order: time_text})


def sort_prefix(layout: Layout) -> str:
    """What every sort key of the entity begins with."""
    return f"${layout.entity}_{VERSION}"


def partition_prefix(layout: Layout) -> str:
    """What every partition key of the entity begins with."""
    return f"${SERVICE}#entity_{layout.entity}"


def index_names(layout: Layout) -> list[str]:
    """The secondary indexes that the entity lies in."""
    return sorted({index.name for index in layout.indexes.values()})


def written_indexes(layout: Layout) -> list[Index]:
    """The indexes whose key attributes a write sets: those with an order."""
    return [index for index in layout.indexes.values() if index.order is not None]


def recent_of(layout: Layout) -> Index | None:
    """The index whose partition has an owner, or None."""
    return next((index for index in layout.indexes.values() if index.recent is not None), None)


def new_token(random: str) -> str:
    """A token for one write: the milliseconds of now in 11 hexadecimal digits, then *random*."""
    return f"{clock.to_milliseconds(clock.now()):011x}{random}"


def token_milliseconds(token: str) -> int:
    """When a token was made; 0 for one that is not ours, which makes it as old as can be."""
    try:
        return int(token[:11], 16)
    except ValueError:
        return 0


def _partition(layout: Layout, values: Mapping[str, str]) -> str:
    return partition_prefix(layout) + _facets(values)


def _facets(values: Mapping[str, str]) -> str:
    return "".join(f"#{name}_{value}" for name, value in values.items()).lower()
