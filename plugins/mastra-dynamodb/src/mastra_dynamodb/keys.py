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
"""ElectroDB's name of the entity: every record's item has it, and what is left of a deleted one has not."""
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
    """A slot of the table: a global secondary index, or the table itself, named "".

    Attributes:
        name: "gsi1" …; of the table itself *by* is what the layout's partition is.
        by: the stored names in its partition key. A record that lacks one is not in the index.
        order: the stored name of the time in its sort key, by which it is read; without one, what is read is sorted here.
        sort: the stored names in its sort key where that is no time.
        without: the stored name that a record in it must lack.
        shares: whether its key attributes are those of another path's index.
        recent: its partition has an owner.
    """

    name: str
    by: tuple[str, ...]
    order: str | None = None
    sort: tuple[str, ...] = ()
    without: str | None = None
    shares: bool = False
    recent: Recent | None = None

    @property
    def sorts(self) -> tuple[str, ...]:
        """The stored names in its sort key."""
        return self.sort if self.order is None else (self.order,)

    @property
    def fields(self) -> tuple[str, ...]:
        """Every stored name on which its key attributes depend."""
        return (*self.by, *self.sorts, *(() if self.without is None else (self.without,)))


@attrs.frozen
class Layout:
    """How one kind lies in the table.

    Attributes:
        entity: ElectroDB's name of it.
        partition: the stored names in `pk`.
        sort: the stored names in `sk`; the entity's own name stands for itself.
        indexes: by path name; a path that is not there is read by a scan.
        renamed: the attributes whose names are not the stored ones.
        stamped: an attribute set to the current time at every write, which TypeScript has and the record has not.
        owns: whether another kind's `Recent` names this kind.
        cased: whether keys keep the case of ids; ElectroDB's do not.
        proof: the attribute that every item of a record has, and what is left or made of an item without a record has not.
    """

    entity: str
    partition: tuple[str, ...] = ("id",)
    sort: tuple[str, ...] = ("entity",)
    indexes: Mapping[str, Index] = attrs.field(factory=dict)
    renamed: Mapping[str, str] = attrs.field(factory=dict)
    stamped: str | None = None
    owns: bool = False
    cased: bool = False
    proof: str = ENTITY


LAYOUTS: Mapping[str, Layout] = {
    "mastra_threads": Layout(
        "thread",
        sort=("id",),
        indexes={
            "by_resource": Index("gsi1", by=("resourceId",), order="createdAt"),
            "by_resource_updated": Index("gsi1", by=("resourceId",), shares=True),
        },
        owns=True,
        # TypeScript's touch of a thread that is not there makes an item with an id and the time of its change (contract §9.13).
        proof="createdAt",
    ),
    "mastra_messages": Layout(
        "message",
        indexes={"by_thread": Index("gsi1", by=("threadId",), order="createdAt", recent=Recent("mastra_threads"))},
        stamped="updatedAt",
    ),
    "mastra_resources": Layout("resource"),
    "mastra_workflow_snapshot": Layout(
        "workflow_snapshot",
        partition=("workflow_name",),
        sort=("run_id",),
        indexes={
            "by_name": Index("", by=("workflow_name",)),
            "by_run": Index("gsi2", by=("run_id",), sort=("workflow_name",)),
        },
    ),
    "mastra_scorers": Layout(
        "score",
        indexes={
            "by_scorer": Index("gsi1", by=("scorerId",), order="createdAt"),
            "by_run": Index("gsi2", by=("runId",), order="createdAt"),
            "by_trace": Index("gsi3", by=("traceId",), order="createdAt"),
            "by_entity": Index("gsi4", by=("entityId",), order="createdAt"),
            "by_resource": Index("gsi5", by=("resourceId",), order="createdAt"),
            "by_thread": Index("gsi6", by=("threadId",), order="createdAt"),
            "by_span": Index("gsi7", by=("traceId", "spanId"), order="createdAt"),
        },
        # ElectroDB's discriminator has the name.
        renamed={"entity": "entityData"},
    ),
    # Ours: the TypeScript package keeps no spans.
    "mastra_ai_spans": Layout(
        "ai_span",
        cased=True,
        partition=("traceId",),
        sort=("spanId",),
        indexes={
            "by_trace": Index("", by=("traceId",)),
            "roots": Index("gsi1", by=(), order="startedAt", without="parentSpanId"),
            "roots_ended": Index("gsi1", by=(), shares=True),
            "by_resource": Index("gsi5", by=("resourceId",), order="startedAt"),
            "by_thread": Index("gsi6", by=("threadId",), order="startedAt"),
        },
    ),
}


def layout_of(kind: Kind[Any]) -> Layout:
    """The layout of *kind*, listed or default."""
    known = LAYOUTS.get(kind.name)
    if known is not None:
        return known
    stored = [kind.by_name[name].stored for name in kind.key]
    return Layout(kind.name, partition=(stored[0],), sort=tuple(stored[1:]) or ("entity",))


def attribute_of(kind: Kind[Any], name: str) -> str:
    """The name of the attribute that holds the field *name*."""
    stored = kind.by_name[name].stored
    return layout_of(kind).renamed.get(stored, stored)


def item_key(kind: Kind[Any], key: Key) -> tuple[str, str]:
    """The item's pk and sk; two keys that differ only by case share them, unless the layout is cased."""
    layout = layout_of(kind)
    values = {kind.by_name[name].stored: value for name, value in zip(kind.key, key, strict=True)}
    values.setdefault("entity", layout.entity)
    sort = sort_prefix(layout) + _facets(layout, {name: values[name] for name in layout.sort})
    return _partition(layout, {name: values[name] for name in layout.partition}), sort


def owner_key(recent: Recent, by: tuple[str, ...]) -> tuple[str, str]:
    """The pk and sk of the owner of a partition."""
    layout = LAYOUTS[recent.owner]
    values = {"entity": layout.entity, **dict(zip(layout.partition, by, strict=True))}
    return _partition(layout, dict(zip(layout.partition, by, strict=True))), sort_prefix(layout) + _facets(
        layout, {name: values[name] for name in layout.sort}
    )


def index_partition(layout: Layout, index: Index, values: Mapping[str, str]) -> str:
    """The partition key of *index* for *values* by stored name."""
    return _partition(layout, {name: values[name] for name in index.by})


def index_sort(layout: Layout, values: Mapping[str, str]) -> str:
    """The sort key of an index for *values* by the stored names in it."""
    return sort_prefix(layout) + _facets(layout, values)


def sort_prefix(layout: Layout) -> str:
    """What every sort key of the entity begins with."""
    return f"${layout.entity}_{VERSION}"


def partition_prefix(layout: Layout) -> str:
    """What every partition key of the entity begins with."""
    return f"${SERVICE}#entity_{layout.entity}"


def index_names(layout: Layout) -> list[str]:
    """The secondary indexes that the entity lies in."""
    return sorted({index.name for index in layout.indexes.values() if index.name})


def written_indexes(layout: Layout) -> list[Index]:
    """The indexes whose key attributes a write sets."""
    return [index for index in layout.indexes.values() if index.name and not index.shares]


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
    return partition_prefix(layout) + _facets(layout, values)


def _facets(layout: Layout, values: Mapping[str, str]) -> str:
    facets = "".join(f"#{name}_{value}" for name, value in values.items())
    return facets if layout.cased else facets.lower()
