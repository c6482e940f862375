"""What a batch makes of what is stored: refused, or the writes and the answers. Shared by every way of writing; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import attrs

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Refused, Save, updated
from mastra_core.storage.records.kind import Key, Kind
from mastra_mongodb.operations import Operation, held, holds, once, operation_of, replacing
from mastra_mongodb.wire import Document, decoded, document_of, key_filter

Stored = Mapping[tuple[str, Key], Document]


@attrs.frozen
class Plan:
    """What is to be written, and what is then answered."""

    operations: Sequence[Operation]
    answers: list[Any]


def planned(changes: Sequence[Change], stored: Stored) -> Plan:
    """The writes of *changes* over the documents that are there.

    Raises:
        Refused: a condition does not hold.
        InvalidInputError: a record cannot be stored.
        StoredDataError: one that is stored cannot be decoded.
    """
    operations: list[Operation] = []
    answers: list[Any] = []
    for index, change in enumerate(changes):
        document = stored.get((change.kind.name, change.key))
        record = None if document is None else decoded(change.kind, document)
        if not holds(change, record):
            raise Refused(index, change, record)
        operations += _writes(change, record)
        answers.append(_answer(change, record))
    return Plan(operations, answers)


def unseen(changes: Sequence[Change]) -> Plan | None:
    """The writes of *changes* as long as their new records are new: those, and last the one change that is of a stored record.

    Each may be made twice. None where that cannot be said without a look.

    Raises:
        InvalidInputError: a record cannot be stored.
    """
    new = [once(change) for change in changes if _is_new(change)]
    last = [_deciding(change) for change in changes if not _is_new(change)]
    if len(last) > 1 or None in last:
        return None
    answers = [as_stored(one.kind, one.record) if _is_new(one) and one.answer else None for one in changes]
    return Plan([*new, *(one for one in last if one is not None)], answers)


def _is_new(change: Change) -> TypeGuard[Save[Any]]:
    whole = isinstance(change, Save) and ((change.only is None and not change.raise_to) or change.present == "refuse")
    return whole and isinstance(change, Save) and change.absent == "create"


def _deciding(change: Change) -> Operation | None:
    """*change* as a write that meets its own outcome when it is made again; None if there is none, or its answer is owed."""
    if isinstance(change, Delete) or (not isinstance(change, Check) and change.answer):
        return None
    if isinstance(change, Save):
        written = {*(change.kind.by_name if change.only is None else change.only), *change.raise_to}
    else:
        written = {*change.put, *change.merge, *change.raise_to} if isinstance(change, Patch) else set[str]()
    return None if written & {condition.field[0] for condition in change.when} else operation_of(change)


def _writes(change: Change, stored: Any) -> Sequence[Operation]:
    kind, filters = change.kind, key_filter(change.kind, change.key)
    if stored is None:
        if not isinstance(change, Save):
            return ()
        return (Operation("insert", kind.name, filters, document_of(kind, change.record), must=True),)
    match change:
        case Save() | Patch():
            return (Operation("update", kind.name, filters, replacing(kind, updated(change, stored)), must=True, guards=True),)
        case Delete():
            return (Operation("delete", kind.name, filters, must=True),)
        case Check():
            return ()


def _answer(change: Change, stored: Any) -> Any:
    if isinstance(change, Check) or not change.answer:
        return None
    if isinstance(change, Delete) or (stored is None and isinstance(change, Patch)):
        return stored
    return as_stored(change.kind, change.record if stored is None and isinstance(change, Save) else updated(change, stored))


def as_stored(kind: Kind[Any], record: Any) -> Any:
    """*record* as it comes back, sharing nothing with it."""
    return decoded(kind, document_of(kind, record))


def watched(kind: Kind[Any], key: Key, *, there: bool) -> tuple[Operation, Operation]:
    """Two writes that leave everything as it is, and conflict with whoever changes a record that was only read, or creates it."""
    filters = key_filter(kind, key)
    if there:
        return held(kind.name, filters)
    return (
        Operation("insert", kind.name, filters, dict(filters), must=True),
        Operation("delete", kind.name, filters, must=True),
    )
