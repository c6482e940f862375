"""Changes as data: what a batch writes, under which conditions, and how a refusal is told.

A batch holds at most one change for a key, because DynamoDB's transactions refuse two. Knows nothing of any database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, Literal

import attrs

from mastra_core.storage.records.kind import Json, Key, Kind, R
from mastra_core.storage.records.query import Where


@attrs.frozen(kw_only=True)
class Save(Generic[R]):
    """Create the record, or update the stored one of the same key.

    Attributes:
        only: which fields an existing record takes over; None is all but the kind's `keep`, () leaves it alone.
        raise_to: fields of an existing record that become the later of the stored instant and this one, whatever the record says.
        when: must hold of an existing record, else the batch is refused.
        absent: what to do when there is none: create it, or refuse.
        present: what to do when there is one: update it, or refuse.
        answer: False when the caller does not need the record as it is afterwards; the answer is None then.
    """

    kind: Kind[R] = attrs.field(kw_only=False)
    record: R = attrs.field(kw_only=False)
    only: tuple[str, ...] | None = None
    raise_to: Mapping[str, datetime] = attrs.field(factory=dict)
    when: Where = ()
    absent: Literal["create", "refuse"] = "create"
    present: Literal["update", "refuse"] = "update"
    answer: bool = True

    @property
    def key(self) -> Key:
        """The key of the record."""
        return self.kind.key_of(self.record)


@attrs.frozen(kw_only=True)
class Patch(Generic[R]):
    """Change some fields of a stored record.

    Attributes:
        put: new values.
        merge: JSON objects laid over the stored ones, one level deep; a stored null counts as {}.
        raise_to: fields that become the later of the stored instant and this one, whatever *put* says.
        when: must hold, else the batch is refused: compare-and-set.
        missing: what to do when there is no such record: refuse, or skip this change (the answer is None).
        answer: False when the caller does not need the record as it is afterwards.
    """

    kind: Kind[R] = attrs.field(kw_only=False)
    key: Key = attrs.field(kw_only=False)
    put: Mapping[str, Any] = attrs.field(factory=dict)
    merge: Mapping[str, Mapping[str, Json]] = attrs.field(factory=dict)
    raise_to: Mapping[str, datetime] = attrs.field(factory=dict)
    when: Where = ()
    missing: Literal["refuse", "skip"] = "refuse"
    answer: bool = True


@attrs.frozen(kw_only=True)
class Delete(Generic[R]):
    """Remove a record; its answer is the record that went, or None. *when* must hold of a stored one, else the batch is refused."""

    kind: Kind[R] = attrs.field(kw_only=False)
    key: Key = attrs.field(kw_only=False)
    when: Where = ()
    answer: bool = True


@attrs.frozen(kw_only=True)
class Check(Generic[R]):
    """A record that the batch does not change must exist and meet *when*, else the batch is refused. Its answer is None."""

    kind: Kind[R] = attrs.field(kw_only=False)
    key: Key = attrs.field(kw_only=False)
    when: Where = ()


Change = Save[Any] | Patch[Any] | Delete[Any] | Check[Any]


class Refused(Exception):
    """A condition of a batch did not hold, and nothing of the batch was written.

    Domains turn it into an error that users know; it never leaves the storage layer.

    Attributes:
        index: which change of the batch; one of them, if several were refused.
        change: that change.
        found: the stored record it met, or None.
    """

    def __init__(self, index: int, change: Change, found: Any) -> None:
        super().__init__(f"change {index} ({type(change).__name__} of {change.kind.name} {change.key}) was refused; found {found!r}")
        self.index = index
        self.change = change
        self.found = found


def updated(change: Save[R] | Patch[R], stored: R) -> R:
    """What *stored* becomes by *change*, whose conditions hold: the one meaning of only, keep, put, merge and raise_to."""
    if isinstance(change, Patch):
        merged = {name: {**(getattr(stored, name) or {}), **value} for name, value in change.merge.items()}
        record: Any = attrs.evolve(stored, **{**change.put, **merged})  # type: ignore[misc]  # R is an attrs class by Kind's contract
    elif change.only is None:
        record = attrs.evolve(change.record, **{name: getattr(stored, name) for name in change.kind.keep})  # type: ignore[misc]
    else:
        record = attrs.evolve(stored, **{name: getattr(change.record, name) for name in change.only})  # type: ignore[misc]
    held = {name: getattr(stored, name) for name in change.raise_to}
    raised = {name: least if held[name] is None else max(held[name], least) for name, least in change.raise_to.items()}
    result: R = attrs.evolve(record, **raised) if raised else record
    return result
