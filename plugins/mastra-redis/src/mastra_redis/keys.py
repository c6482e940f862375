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
        neck: what stands between the place and the member, where there is a place.
        place: the field whose value a record's key carries besides the record's own key.
        alias: what the key starts with that holds the place of a record, to find it by its own key alone.
        paths: (before, after) the value in the key of a path's sorted set.
    """

    head: str
    neck: str = ""
    place: str | None = None
    alias: str = ""
    paths: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)


LAYOUTS: Mapping[str, Layout] = {
    "mastra_threads": Layout(head="mastra_threads:id:"),
    "mastra_messages": Layout(
        head="mastra_messages:threadId:", neck=":id:", place="thread_id", alias="msg-idx:", paths={"by_thread": ("thread:", ":messages")}
    ),
    "mastra_resources": Layout(head="mastra_resources:"),
}

LENT_ON_CLUSTER: Mapping[tuple[str, str], str] = {
    ("mastra_threads", "by_resource_updated"): "by_resource",
    ("mastra_threads", "all_updated"): "all",
}
"""Paths without a sorted set on a cluster, where each touch would cost a command in another slot: read whole along the other."""

LEFT_OUT_ON_CLUSTER: Mapping[tuple[str, str], str] = {
    (
        "mastra_messages",
        "by_resource",
    ): "on Redis Cluster every message would cost a command in the slot of its resource; read along by_thread instead"
}


@attrs.frozen(kw_only=True)
class Entry:
    """A record's entry in the sorted set of a path; `local` when the set lies in the record's own slot."""

    key: str
    milliseconds: int
    member: str
    local: bool

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


def scores_of(milliseconds: int) -> tuple[int, int]:
    """The lowest and the highest score that a record of this millisecond may have: TypeScript adds the position in its batch."""
    score = milliseconds * 1000
    return (score, score + 999) if abs(score) < DOUBLE_IS_EXACT else (score - 500, score + 499)


@attrs.frozen
class Keyspace:
    """The key names of one database: a node, or a cluster whose keys carry hash tags."""

    cluster: bool

    def layout(self, kind: Kind[Any]) -> Layout:
        """The layout of *kind*; a kind that is not known gets its name as head."""
        return LAYOUTS.get(kind.name) or Layout(head=f"{kind.name}:")

    def place_of(self, kind: Kind[Any], record: Any) -> str:
        """The place that the key of *record* carries; "" where keys carry none."""
        field = self.layout(kind).place
        return getattr(record, field) if field else ""

    def record(self, kind: Kind[Any], member: str, *, place: str) -> str:
        """The key of the record itself."""
        return self.before_member(kind, place) + (member if self.layout(kind).place else self._tagged(member))

    def before_member(self, kind: Kind[Any], place: str) -> str:
        """What the key of a record starts with, up to its member."""
        layout = self.layout(kind)
        return f"{layout.head}{self._tagged(place)}{layout.neck}" if layout.place else layout.head

    def alias(self, kind: Kind[Any], member: str) -> str:
        """The key that holds the record's place: on a cluster in the slot that *member* tells, if it tells one."""
        head, slot = self.layout(kind).alias, clock.place_of(member) if self.cluster else None
        return head + member if slot is None else f"{head.removesuffix(':')}{{{tags()[slot]}}}:{member}"

    def reaches_alias(self, kind: Kind[Any], member: str, *, place: str) -> bool:
        """Whether the alias of a record lies where the records of *place* do, so that one script reaches both."""
        if not self.layout(kind).alias:
            return False
        return not self.cluster or (place != "" and clock.place_of(member) == clock.place(_within_tag(place)))

    def slot(self, kind: Kind[Any], member: str, *, place: str) -> str:
        """Equal for records that one script can reach: all of them on a node, those of one hash tag on a cluster."""
        if not self.cluster:
            return ""
        return place if self.layout(kind).place else member

    def index(self, kind: Kind[Any], path: Path, values: Sequence[str]) -> str:
        """The key of the sorted set of *path* where its `by` fields have *values*."""
        before, after = self.around_value(kind, path)
        return before + self._tagged(BETWEEN.join(values)) + after if path.by else before

    def around_value(self, kind: Kind[Any], path: Path) -> tuple[str, str]:
        """What stands before and after the value in the key of a path's sorted set."""
        known = self.layout(kind).paths.get(path.name)
        return known or (f"mastra_index:{kind.name}:{path.name}" + (":" if path.by else ""), "")

    def is_local(self, kind: Kind[Any], path: Path) -> bool:
        """Whether the sorted set lies where its records do."""
        return not self.cluster or path.by == (self.layout(kind).place,)

    def source(self, kind: Kind[Any], path: Path) -> Path:
        """The path whose sorted set answers *path*."""
        lent = LENT_ON_CLUSTER.get((kind.name, path.name)) if self.cluster else None
        return (kind.path(lent) if lent else None) or path

    def refusal(self, kind: Kind[Any], path: Path) -> str | None:
        """Why *path* cannot be read here, or None."""
        return LEFT_OUT_ON_CLUSTER.get((kind.name, path.name)) if self.cluster else None

    def kept_paths(self, kind: Kind[Any]) -> list[Path]:
        """The paths of *kind* that have a sorted set."""
        return [path for path in kind.paths if self.source(kind, path) is path and self.refusal(kind, path) is None]

    def _tagged(self, value: str) -> str:
        return "{" + _within_tag(value) + "}" if self.cluster else value


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
