"""Where a record and its index entries lie: key names as `@mastra/redis` writes them (contract §3.5), and indexes of our own beside them.

Knows kinds by name and the fields that their keys carry. Must not know the driver, a script or how a value is encoded.

On a cluster the first value of a key is its hash tag, so that a thread, its sorted set and its messages lie in one slot. The alias of a
message, which tells its thread, lies where the message's id alone says: an id made within a thread (`clock.new_id`) says the thread's slot.
"""

from __future__ import annotations

import functools
import itertools
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.kind import Key, Kind, Path

BETWEEN = "\0"
"""Joins the parts of a key; no id can hold it, and it sorts before every character, so joined texts sort as keys do."""

DOUBLE_IS_EXACT = 2**53
"""Beyond it (the year 2255) a score, which is milliseconds * 1000 in a double, is the nearest multiple of a power of two."""


@attrs.frozen(kw_only=True)
class Layout:
    """The keys of one kind.

    Attributes:
        head: what a record's key starts with.
        joint: what stands between the parts of a record's own key where it has several.
        neck: what stands between the place and the member, where there is a place.
        place: the field whose value a record's key carries besides the record's own key.
        trails: whether the place comes last; a record without a value there has neither neck nor place, and may have no alias.
        alias: what the key starts with that holds the place of a record, to find it by its own key alone.
        tagged: on a cluster: how many parts of a record's own key are its hash tag, where there is no place; None is all.
        paths: (before, after) the value in the key of a path's sorted set.
    """

    head: str
    joint: str = BETWEEN
    neck: str = ""
    place: str | None = None
    trails: bool = False
    alias: str = ""
    tagged: int | None = None
    paths: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)


RUNS_HEAD = "mastra_workflow_snapshot:namespace:workflows:workflow_name:"

LAYOUTS: Mapping[str, Layout] = {
    "mastra_threads": Layout(head="mastra_threads:id:"),
    "mastra_messages": Layout(
        head="mastra_messages:threadId:", neck=":id:", place="thread_id", alias="msg-idx:", paths={"by_thread": ("thread:", ":messages")}
    ),
    "mastra_resources": Layout(head="mastra_resources:"),
    "mastra_workflow_snapshot": Layout(
        head=RUNS_HEAD,
        joint=":run_id:",
        neck=":resourceId:",
        place="resource_id",
        trails=True,
        alias="mastra_index:mastra_workflow_snapshot:of:",
    ),
    "mastra_scorers": Layout(head="mastra_scorers:id:"),
    "mastra_ai_spans": Layout(head="mastra_ai_spans:traceId:", joint=":spanId:", tagged=1),
}

ON_CLUSTER: Mapping[str, Layout] = {"mastra_workflow_snapshot": Layout(head=RUNS_HEAD, joint=":run_id:", tagged=1)}
"""Where the keys differ on a cluster. TypeScript cannot run there, so no run has the resource id in its key, which would move it."""

LENT_ON_CLUSTER: Mapping[tuple[str, str], str] = {
    ("mastra_threads", "by_resource_updated"): "by_resource",
    ("mastra_threads", "all_updated"): "all",
    ("mastra_ai_spans", "roots_ended"): "roots",
}
"""Paths without a sorted set on a cluster, where each touch would cost a command in another slot: read whole along the other."""

SCANNED_ON_CLUSTER: frozenset[tuple[str, str]] = frozenset({("mastra_messages", "by_resource")})
"""Paths without any sorted set on a cluster, because every message of a turn would cost a command in another slot: every record is read."""


@attrs.frozen(kw_only=True)
class Entry:
    """A record's entry in the sorted set of a path.

    Attributes:
        key: of the set.
        milliseconds: the record's time on the path.
        member: the record's key as one text.
        local: whether the set lies in the record's own slot.
        kept: whether it is there already, with a score that TypeScript may have given it.
        stays: whether the set stays, whatever time its records have, because others write to it too.
        names: where the set's records lie, as scripts take it; None where nothing in it can be gone by itself.
    """

    key: str
    milliseconds: int
    member: str
    local: bool
    kept: bool = attrs.field(default=False, eq=False)
    stays: bool = attrs.field(default=False, eq=False)
    names: Mapping[str, Any] | None = attrs.field(default=None, eq=False)

    @property
    def score(self) -> str:
        """The score as text, exact."""
        return str(self.milliseconds * 1000)


def member_of(key: Key) -> str:
    """A record's key as one text."""
    return BETWEEN.join(key)


def key_of_member(member: str) -> Key:
    """The key that `member_of` made *member* of."""
    return tuple(member.split(BETWEEN))


def slot_of(name: str, *, cluster: bool) -> str:
    """Equal for keys that one script can reach: the hash tag on a cluster."""
    return name[name.index("{") + 1 : name.index("}")] if cluster else ""


def scores_of(milliseconds: int) -> tuple[int, int]:
    """The lowest and the highest score that a record of this millisecond may have: TypeScript adds the position in its batch."""
    score = milliseconds * 1000
    return (score, score + 999) if abs(score) < DOUBLE_IS_EXACT else (score - 500, score + 499)


@attrs.frozen
class Keyspace:
    """The key names of one database: a node, or a cluster whose keys carry hash tags.

    Attributes:
        cluster: whether keys carry hash tags.
        prefix: what every key begins with; no brace, which would be taken for a hash tag.
        typescript_writes: whether records may lack our entries at any time.
        lifetimes: by kind, in milliseconds after the last write.
    """

    cluster: bool
    prefix: str = ""
    typescript_writes: bool = False
    lifetimes: Mapping[str, int] = attrs.field(factory=dict, hash=False)

    @property
    def ready(self) -> str:
        """The key that says that every record has its entries; TypeScript does not know it."""
        return f"{self.prefix}mastra_index:ready"

    def layout(self, kind: Kind[Any]) -> Layout:
        """The layout of *kind*; a kind that is not known gets its name as head."""
        return _layout(kind.name, cluster=self.cluster, prefix=self.prefix)

    def place_of(self, kind: Kind[Any], record: Any) -> str:
        """The place that the key of *record* carries; "" where keys carry none."""
        field = self.layout(kind).place
        return (getattr(record, field) or "") if field else ""

    def record(self, kind: Kind[Any], member: str, *, place: str) -> str:
        """The key of the record itself."""
        layout, name = self.layout(kind), self.name(kind, member)
        if not layout.trails:
            return self.before_member(kind, place) + name
        return layout.head + name + (layout.neck + place if place else "")

    def before_member(self, kind: Kind[Any], place: str) -> str:
        """What the key of a record starts with, up to its member."""
        layout = self.layout(kind)
        return f"{layout.head}{self._tagged(place)}{layout.neck}" if layout.place and not layout.trails else layout.head

    def name(self, kind: Kind[Any], member: str) -> str:
        """A record's own key as it stands in the key of the record."""
        layout, parts = self.layout(kind), key_of_member(member)
        if layout.place or not self.cluster:
            return layout.joint.join(parts)
        tag, rest = layout.joint.join(parts[: layout.tagged]), parts[len(parts[: layout.tagged]) :]
        return layout.joint.join((self._tagged(tag), *rest))

    def alias(self, kind: Kind[Any], member: str) -> str:
        """The key that holds the record's place: on a cluster in the slot that *member* tells, if it tells one."""
        layout, slot = self.layout(kind), clock.place_of(member) if self.cluster else None
        head, name = layout.alias, layout.joint.join(key_of_member(member))
        return head + name if slot is None else f"{head.removesuffix(':')}{{{tags()[slot]}}}:{name}"

    def reaches_alias(self, kind: Kind[Any], member: str, *, place: str) -> bool:
        """Whether the alias of a record lies where the records of *place* do, so that one script reaches both."""
        if not self.layout(kind).alias:
            return False
        return not self.cluster or (place != "" and clock.place_of(member) == clock.place(_within_tag(place)))

    def slot(self, kind: Kind[Any], member: str, *, place: str) -> str:
        """Equal for records that one script can reach: all of them on a node, those of one hash tag on a cluster."""
        if not self.cluster:
            return ""
        layout = self.layout(kind)
        return place if layout.place else layout.joint.join(key_of_member(member)[: layout.tagged])

    def index(self, kind: Kind[Any], path: Path, values: Sequence[str]) -> str:
        """The key of the sorted set of *path* where its `by` fields have *values*."""
        before, after = self.around_value(kind, path)
        return before + self._tagged(BETWEEN.join(values)) + after if path.by else before

    def around_value(self, kind: Kind[Any], path: Path) -> tuple[str, str]:
        """What stands before and after the value in the key of a path's sorted set."""
        known = self.layout(kind).paths.get(path.name)
        return known or (f"{self.prefix}mastra_index:{kind.name}:{path.name}" + (":" if path.by else ""), "")

    def is_local(self, kind: Kind[Any], path: Path) -> bool:
        """Whether the sorted set lies where its records do."""
        layout = self.layout(kind)
        return not self.cluster or path.by == ((layout.place,) if layout.place else kind.key[: layout.tagged])

    def source(self, kind: Kind[Any], path: Path) -> Path:
        """The path whose sorted set answers *path*."""
        lent = LENT_ON_CLUSTER.get((kind.name, path.name)) if self.cluster else None
        return (kind.path(lent) if lent else None) or path

    def is_scanned(self, kind: Kind[Any], path: Path) -> bool:
        """Whether every record of *kind* has to be read for *path*: nothing names those of a place, or not all of them."""
        if self.cluster:
            return (kind.name, path.name) in SCANNED_ON_CLUSTER
        return self.typescript_writes and path.name not in self.layout(kind).paths

    def kept_paths(self, kind: Kind[Any]) -> list[Path]:
        """The paths of *kind* that have a sorted set."""
        scanned = SCANNED_ON_CLUSTER if self.cluster else frozenset()
        return [path for path in kind.paths if self.source(kind, path) is path and (kind.name, path.name) not in scanned]

    def _tagged(self, value: str) -> str:
        return tagged(value) if self.cluster else value


def tagged(value: str) -> str:
    """*value* as a hash tag."""
    return "{" + _within_tag(value) + "}"


@functools.cache
def _layout(name: str, *, cluster: bool, prefix: str) -> Layout:
    layout = (ON_CLUSTER.get(name) if cluster else None) or LAYOUTS.get(name) or Layout(head=f"{name}:")
    if not prefix:
        return layout
    paths = {path: (prefix + before, after) for path, (before, after) in layout.paths.items()}
    return attrs.evolve(layout, head=prefix + layout.head, alias=layout.alias and prefix + layout.alias, paths=paths)


def _within_tag(value: str) -> str:
    # A brace in the value would end the tag early, and an empty tag is none: the keys of one thread would lie apart.
    return value.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")


@functools.cache
def tags() -> array[int]:
    """For each of the 16,384 slots the smallest whole number whose digits, as a hash tag, lie in it; found by trying, in some 0.05 s."""
    slots = 1 << clock.PLACE_BITS
    found, left = array("l", [-1]) * slots, slots
    for number in itertools.count():
        slot = clock.place(str(number))
        if found[slot] < 0:
            found[slot], left = number, left - 1
            if not left:
                break
    return found
