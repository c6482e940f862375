"""Changes as steps of the WRITE script: what each expects to find, and what it writes if every step of the batch finds it.

A step is first made without knowing what is stored: a record to create expects nothing there, a touch (raise a time, check texts) is done
by the script itself, anything else asks. What a refused script found is decoded, the change computed by the port's own `updated` and
`matches`, and the step made again, now expecting exactly that text: compare-and-set. Knows keys and values; must not know the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Refused, Save, updated
from mastra_core.storage.records.kind import Key, Kind, Path
from mastra_core.storage.records.query import Is, Where, matches, place
from mastra_redis import naming, wire
from mastra_redis.keys import Entry, Keyspace, member_of
from mastra_redis.reading import Found


@attrs.frozen(kw_only=True)
class Step:
    """One record of a WRITE plan.

    Attributes:
        kind: the record's kind.
        member: its key as one text.
        place: what the record's key carries besides, as it will be after the step.
        slot: equal for steps that one script can do.
        expect: "new", "same" as *raw*, "touch" if *equal* holds, "equal" if it is as *raw* or *equal* holds, or "ask".
        text: what to store.
        delete: other keys to delete.
        add, remove: entries of sorted sets, those in other slots too.
        settle: whether the alias is to name *place*; one in another slot has been claimed already.
        forget: whether the alias is to go.
        was: on a cluster: the other place that the alias may name, because what lies there is known.
        minds_alias: whether the script looks at the alias; not where a record goes that the alias no longer names.
        equal, raise_to, absent: of a touch, as WRITE takes them.
        answered: whether the script is asked for the text afterwards.
        answer: the answer to the change, where it is known beforehand.
        renew: of a touch, the sets that name the record and whose order it leaves.
        adopts: whether *add* leaves entries that are there as they are.
        leaves: on a cluster: the record that has to go from another slot once this one is written.
    """

    kind: Kind[Any]
    member: str
    place: str
    slot: str
    expect: str
    raw: str | bytes | None = None
    text: str | bytes | None = None
    delete: tuple[str, ...] = ()
    add: tuple[Entry, ...] = ()
    remove: tuple[Entry, ...] = ()
    settle: bool = False
    forget: bool = False
    was: str | None = None
    minds_alias: bool = True
    equal: tuple[tuple[str, str], ...] = ()
    raise_to: tuple[dict[str, Any], ...] = ()
    absent: str | None = None
    answered: bool = False
    answer: Any = None
    renew: tuple[dict[str, Any], ...] = ()
    adopts: bool = False
    leaves: Found | None = None

    @property
    def only_follows(self) -> bool:
        """Whether it can wait until the rest of its batch is written: a touch that nothing can refuse."""
        return self.expect == "touch" and self.absent == "skip" and not self.equal and not self.answered


@attrs.frozen
class Writer:
    """Turns changes into steps over one key space."""

    keys: Keyspace

    def first(self, change: Change, *, place: str = "") -> Step:
        """The step that is tried before anything is known of what is stored; *place* is where a record that is not saved whole lies."""
        kind, member = change.kind, member_of(change.key)
        touch = self._touch(change, member)
        if touch is not None:
            return touch
        if isinstance(change, Save):
            place = self.keys.place_of(kind, change.record)
            entries = self.entries(kind, change.record)
            if change.absent == "create" and all(entry.local for entry in entries):
                new = wire.written(kind, change.record)
                return self._step(
                    kind, member, place=place, expect="new", text=new.text, add=tuple(entries), settle=True,
                    answer=wire.as_read(kind, change.key, new) if change.answer else None,
                )  # fmt: skip
        return self._step(kind, member, place=place, expect="ask")

    def after(self, index: int, change: Change, found: Found | None) -> Step:
        """The step of *change* on exactly what was *found*.

        Raises:
            Refused: a condition of the change does not hold.
        """
        kind, member = change.kind, member_of(change.key)
        stored = None if found is None else found.stored.record
        if stored is not None and not matches(stored, change.when):
            raise Refused(index, change, stored)
        if isinstance(change, Delete | Check) and stored is None:
            if isinstance(change, Check):
                raise Refused(index, change, None)
            return self.unchanged(kind, member, found)
        if found is not None and isinstance(change, Delete):
            return self._removal(change, member, found)
        if isinstance(change, Check):
            return self.unchanged(kind, member, found)
        if isinstance(change, Patch) and stored is None:
            if change.missing == "refuse":
                raise Refused(index, change, None)
            return self.unchanged(kind, member, None)
        assert isinstance(change, Save | Patch)
        if isinstance(change, Save) and (change.absent if stored is None else change.present) == "refuse":
            raise Refused(index, change, stored)
        record = updated(change, stored) if stored is not None else change.record  # type: ignore[union-attr]  # a Patch met None above
        return self._replacement(kind, change, record, found)

    def unchanged(self, kind: Kind[Any], member: str, found: Found | None) -> Step:
        """A step that writes nothing and fails if the record is no longer as *found*."""
        place = "" if found is None else found.place
        return self._step(kind, member, place=place, **_expected(found))

    def adopting(self, kind: Kind[Any], key: Key, found: Found) -> Step:
        """The step that gives *found*, which another program wrote, the entries it lacks."""
        entries = tuple(self.entries(kind, found.stored.record))
        return self._step(kind, member_of(key), place=found.place, **_expected(found), add=entries, settle=True, adopts=True)

    def leaving(self, step: Step, found: Found) -> Step:
        """The step that removes *found*, which *step* has written elsewhere."""
        gone = self.after(0, Delete(step.kind, step.kind.key_of(found.stored.record), answer=False), found)
        return attrs.evolve(gone, forget=False, minds_alias=False)

    def entries(self, kind: Kind[Any], record: Any) -> list[Entry]:
        """The entries of *record* in the sorted sets that are kept; a record that does not belong to a path is not on it."""
        entries, ends = [], self.keys.lifetimes.get(kind.name) is not None
        for path in self.keys.kept_paths(kind):
            values = [getattr(record, name) for name in path.by]
            if all(value is not None for value in values) and matches(record, path.only):
                names = naming.names(self.keys, kind, path, dict(zip(path.by, values, strict=True))) if ends else None
                entries.append(
                    Entry(
                        key=self.keys.index(kind, path, values), milliseconds=clock.to_milliseconds(place(kind, path, record)[0]),
                        member=member_of(kind.key_of(record)), local=self.keys.is_local(kind, path),
                        stays=naming.is_shared(self.keys, kind, path), names=names,
                    )
                )  # fmt: skip
        return entries

    def _step(self, kind: Kind[Any], member: str, *, place: str, settle: bool = False, **rest: Any) -> Step:
        settled = settle and bool(self.keys.layout(kind).alias)
        return Step(kind=kind, member=member, place=place, slot=self.keys.slot(kind, member, place=place), settle=settled, **rest)

    def _removal(self, change: Delete[Any], member: str, found: Found) -> Step:
        """The step that removes what was *found*; also as others have changed it since, where that changes nothing of the removal.

        Else a thread that many runs touch without a pause could not be removed.
        """
        kind = change.kind
        layout, equal = self.keys.layout(kind), _texts(kind, change.when)
        paths = self.keys.kept_paths(kind)
        values = {name: getattr(found.stored.record, name) for path in paths for name in path.by}
        if equal is None or layout.place or layout.alias or any(path.only for path in paths) or None in values.values():
            expected: dict[str, Any] = {**_expected(found), "answer": found.stored.record if change.answer else None}
        else:
            same = tuple((kind.by_name[name].stored, value) for name, value in values.items())
            expected = {"expect": "equal", "raw": found.stored.text, "equal": (*equal, *same), "answered": change.answer}
        return self._step(
            kind, member, place=found.place, **expected, delete=(self.keys.record(kind, member, place=found.place),),
            remove=tuple(self.entries(kind, found.stored.record)), forget=bool(layout.alias),
        )  # fmt: skip

    def _replacement(self, kind: Kind[Any], change: Save[Any] | Patch[Any], record: Any, found: Found | None) -> Step:
        new = wire.written(kind, record, over=None if found is None else found.stored)
        member, place = member_of(change.key), self.keys.place_of(kind, record)
        now, before = self.entries(kind, record), [] if found is None else self.entries(kind, found.stored.record)
        gone = [entry for entry in before if entry.key not in {kept.key for kept in now}]
        moved = found is not None and found.place != place
        apart = moved and self.keys.cluster
        old_key = (self.keys.record(kind, member, place=found.place),) if found is not None and moved and not apart else ()
        # Also those that are there: a set whose records have an end must not end before them.
        added = [attrs.evolve(e, kept=e in before and not apart) for e in now if apart or e.local or e not in before]
        if apart:
            gone = []
        return self._step(
            kind, member, place=place, **_expected(None if apart else found), text=new.text, delete=old_key,
            add=tuple(added), remove=tuple(gone), settle=found is None or moved,
            answer=wire.as_read(kind, change.key, new) if change.answer else None,
            leaves=found if apart else None, was=found.place if found is not None and apart else None,
        )  # fmt: skip

    def _touch(self, change: Change, member: str) -> Step | None:
        """The step of a change that raises times and compares texts, or None if it does more."""
        kind = change.kind
        equal = _texts(kind, change.when)
        if equal is None or self.keys.layout(kind).place or not _only_raises(change):
            return None
        assert not isinstance(change, Delete)
        raise_to = {} if isinstance(change, Check) else change.raise_to
        ordered = [path for path in self.keys.kept_paths(kind) if path.order in raise_to]
        if any(path.only or len(path.by) > 1 or not self.keys.is_local(kind, path) for path in ordered):
            return None
        others = [path for path in self.keys.kept_paths(kind) if path not in ordered and self.keys.is_local(kind, path)]
        if any(path.only or len(path.by) > 1 for path in others):
            return None
        step = self._step(
            kind, member, place="", expect="touch", equal=equal, absent="refuse",
            answered=not isinstance(change, Check) and change.answer,
            raise_to=tuple(self._raised(kind, name, least) for name, least in raise_to.items()),
            renew=tuple(self._around(kind, path) for path in others),
        )  # fmt: skip
        if isinstance(change, Patch) and change.missing == "skip":
            return attrs.evolve(step, absent="skip")
        if isinstance(change, Save) and change.absent == "create":
            return self._creating(step, change)
        return step

    def _creating(self, step: Step, change: Save[Any]) -> Step:
        """*step*, also creating the record, if its entries lie in its own slot; else the script says that there is none."""
        entries = self.entries(change.kind, change.record)
        if not all(entry.local for entry in entries):
            return step
        new = wire.written(change.kind, change.record)
        return attrs.evolve(
            step,
            absent="create",
            text=new.text,
            add=tuple(entries),
            answer=wire.as_read(change.kind, change.key, new) if change.answer else None,
        )

    def _raised(self, kind: Kind[Any], name: str, least: datetime) -> dict[str, Any]:
        score = str(clock.to_milliseconds(least) * 1000)
        indexes = [{**self._around(kind, path), "score": score} for path in self.keys.kept_paths(kind) if path.order == name]
        return {"name": kind.by_name[name].stored, "text": clock.to_text(least), "indexes": indexes}

    def _around(self, kind: Kind[Any], path: Path) -> dict[str, Any]:
        """How a script makes the key of the set of *path* for a record it has read."""
        before, after = self.keys.around_value(kind, path)
        return {"before": before, "after": after} | ({"by": kind.by_name[path.by[0]].stored} if path.by else {})


def plan(keys: Keyspace, steps: Sequence[Step]) -> tuple[list[str], list[str | bytes]]:
    """KEYS and ARGV of the WRITE script for *steps*."""
    names: dict[str, int] = {}
    texts: list[str | bytes] = []

    def key(name: str) -> int:
        return names.setdefault(name, len(names) + 1)

    def text(value: str | bytes | None) -> int | None:
        if value is None:
            return None
        texts.append(value)
        return len(texts) + 1

    told = []
    for step in steps:
        layout = keys.layout(step.kind)
        reached = step.minds_alias and keys.reaches_alias(step.kind, step.member, place=step.place)
        alias = keys.alias(step.kind, step.member) if reached else None
        deleted = [key(name) for name in (*step.delete, *((alias,) if alias and step.forget else ()))]
        told.append(
            {
                "key": key(keys.record(step.kind, step.member, place=step.place)), "member": step.member, "place": step.place,
                "name": keys.name(step.kind, step.member), "trails": layout.trails or None,
                "alias": key(alias) if alias else None, "was": step.was, "expect": step.expect,
                "head": None if keys.cluster else layout.head, "neck": None if keys.cluster else layout.neck,
                "raw": text(step.raw), "text": text(step.text), "delete": deleted,
                "add": [_added(e, key(e.key)) for e in step.add if e.local],
                "ttl": None if step.adopts else keys.lifetimes.get(step.kind.name), "renew": step.renew,
                "remove": [[key(e.key), e.member] for e in step.remove if e.local],
                "settle": key(alias) if alias and step.settle else None,
                "equal": step.equal, "raise": step.raise_to, "absent": step.absent, "answer": step.answered,
                "adopts": step.adopts or None,
            }
        )  # fmt: skip
    return list(names), [wire.plan_text(told), *texts]


def _added(entry: Entry, key: int) -> list[Any]:
    return [key, entry.score, entry.member, int(entry.kept), int(entry.stays), *([entry.names] if entry.names else [])]


def _expected(found: Found | None) -> dict[str, Any]:
    return {"expect": "new"} if found is None else {"expect": "same", "raw": found.stored.text}


def _only_raises(change: Change) -> bool:
    match change:
        case Save():
            return change.only == () and change.present == "update"
        case Patch():
            return not change.put and not change.merge
        case Check():
            return True
        case _:
            return False


def _texts(kind: Kind[Any], where: Where) -> tuple[tuple[str, str], ...] | None:
    """*where* as stored names and texts, or None if it asks for more than equal texts of the record itself."""
    pairs = []
    for condition in where:
        field = kind.by_name[condition.field[0]]
        if (
            not isinstance(condition, Is)
            or len(condition.field) > 1
            or field.type not in {"id", "text"}
            or not isinstance(condition.value, str)
        ):
            return None
        pairs.append((field.stored, condition.value))
    return tuple(pairs)
