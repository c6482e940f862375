"""Changes as MongoDB's own updates, which carry their conditions: what can be written without a look at what is stored.

Values are data wherever they stand: in operators, and as literals in pipelines. Knows changes, kinds and update operators; must not know
any command.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import attrs
import bson

from mastra_core.storage.records.changes import Change, Check, Delete, Patch, Save
from mastra_core.storage.records.kind import Kind
from mastra_core.storage.records.query import matches
from mastra_mongodb.filters import is_plain, pushed, together
from mastra_mongodb.wire import Document, check_size, columns_of, document_of, encoded, key_filter

Update = Document | list[Document]

HELD = "~held"
"""A field that is set and unset again in one transaction, so that a document that need not change cannot be changed by others either."""
NOTHING: Document = {"$unset": {HELD: ""}}
"""An update that leaves a document as it is."""


@attrs.frozen
class Operation:
    """One write of a batch.

    Attributes:
        action: what is done; "insert" fails where there is a document of the same key.
        collection: where.
        filter: which document; its conditions are among it.
        update: operators or a pipeline, or the document to insert.
        upsert: whether a missing document is created.
        must: whether a document must have been met or created, or else a condition does not hold.
        guards: whether other writes of the batch rest on what this one meets, so that it must not be overtaken.
    """

    action: Literal["update", "insert", "delete"]
    collection: str
    filter: Document
    update: Update = attrs.field(factory=dict)
    upsert: bool = False
    must: bool = False
    guards: bool = False


def operation_of(change: Change) -> Operation | None:
    """*change* as one write, or None if it can only be made knowing what is stored.

    Raises:
        InvalidInputError: a value cannot be stored.
    """
    match change:
        case Save():
            return _saved(change)
        case Patch():
            return _patched(change)
        case Delete():
            filters = _conditional(change)
            return None if filters is None else Operation("delete", change.kind.name, filters, must=bool(change.when))
        case Check():
            filters = _conditional(change)
            return None if filters is None else Operation("update", change.kind.name, filters, dict(NOTHING), must=True, guards=True)


def _conditional(change: Change) -> Document | None:
    """The key and every condition; None where one is left to the caller."""
    filters, left = pushed(change.kind, change.when)
    return None if left else together([key_filter(change.kind, change.key), *filters])


def _saved(change: Save[Any]) -> Operation | None:
    kind, document = change.kind, document_of(change.kind, change.record)
    if change.present == "refuse":
        return Operation("insert", kind.name, key_filter(kind, change.key), document, must=True, guards=True)
    creates = change.absent == "create"
    filters = _conditional(change)
    if filters is None or (creates and not _may_create(change)):
        return None
    taken = set(change.only) if change.only is not None else set(kind.by_name) - set(kind.keep) - set(kind.key)
    put = {name: getattr(change.record, name) for name in taken - set(change.raise_to)}
    operators = _operators(kind, put, change.raise_to)
    first = {column: value for column, value in document.items() if column not in _columns_in(operators)}
    if creates:
        update = {**operators, "$setOnInsert": first} if first else operators
    else:
        update = operators or dict(NOTHING)
    guards = bool(change.when) or not creates
    return Operation("update", kind.name, filters, update, upsert=creates, must=True, guards=guards)


def _may_create(change: Save[Any]) -> bool:
    """Whether MongoDB makes of the conditions and the update the very document that is to be created."""
    # $max cannot tell a document that it creates from one that it finds.
    if any(getattr(change.record, name) != least for name, least in change.raise_to.items()):
        return False
    # What a condition is equal to goes into the document, where only the record's own value replaces it.
    asked = [condition.field[0] for condition in change.when]
    stated = all(getattr(change.record, name) is not None for name in asked)
    return is_plain(change.kind, change.when) and stated and len({*asked, *change.kind.key}) == len(asked) + len(change.kind.key)


def _patched(change: Patch[Any]) -> Operation | None:
    kind, filters = change.kind, _conditional(change)
    if filters is None:
        return None
    put = {name: value for name, value in change.put.items() if name not in change.raise_to}
    update: Update = _piped(kind, put, change) if change.merge else _operators(kind, put, change.raise_to) or dict(NOTHING)
    must = change.missing == "refuse"
    return Operation("update", kind.name, filters, update, must=must or bool(change.when), guards=must)


def _operators(kind: Kind[Any], put: Mapping[str, Any], raise_to: Mapping[str, Any]) -> Document:
    values = {kind.by_name[name].column: encoded(kind, name, value) for name, value in put.items()}
    check_size(kind, (), values)
    stated = {column: value for column, value in values.items() if value is not None}
    gone = {column: "" for column, value in values.items() if value is None}
    raised = {kind.by_name[name].column: value for name, value in raise_to.items()}
    return {name: fields for name, fields in (("$set", stated), ("$unset", gone), ("$max", raised)) if fields}


def _piped(kind: Kind[Any], put: Mapping[str, Any], change: Patch[Any]) -> list[Document]:
    put = {name: value for name, value in put.items() if name not in change.merge}
    values: Document = {
        kind.by_name[name].column: {"$literal": encoded(kind, name, value)} for name, value in put.items() if value is not None
    }
    for name, least in change.raise_to.items():
        column = kind.by_name[name].column
        values[column] = {"$max": [f"${column}", {"$literal": least}]}
    for name, laid in change.merge.items():
        column = kind.by_name[name].column
        values[column] = {"$mergeObjects": [{"$ifNull": [f"${column}", {}]}, {"$literal": encoded(kind, name, laid)}]}
    check_size(kind, change.key, values)
    gone = columns_of(kind, (name for name, value in put.items() if value is None))
    return [{"$set": values}, *([{"$unset": gone}] if gone else [])]


def _columns_in(operators: Mapping[str, Mapping[str, Any]]) -> Collection[str]:
    return {column for fields in operators.values() for column in fields}


def once(change: Save[Any]) -> Operation:
    """*change* as the write of a new record, which may be sent twice: the `_id` that it is given is in the filter.

    Raises:
        InvalidInputError: a value cannot be stored.
    """
    key, document = key_filter(change.kind, change.key), document_of(change.kind, change.record)
    rest = {column: value for column, value in document.items() if column not in key}
    return Operation("update", change.kind.name, {"_id": bson.ObjectId(), **key}, {"$setOnInsert": rest}, upsert=True)


def is_new(operation: Operation) -> bool:
    """Whether a write is one that `once` has made."""
    return "_id" in operation.filter


def repeatable(operation: Operation) -> Operation:
    """A planned write as one that may be sent twice."""
    if operation.action == "insert":
        return Operation("update", operation.collection, operation.filter, {"$set": operation.update}, upsert=True)
    return Operation(operation.action, operation.collection, operation.filter, operation.update)


def written(operation: Operation) -> Document:
    """What a write by key makes of a record, as far as it says."""
    update = operation.update if isinstance(operation.update, dict) else {}
    return {**operation.filter, **update.get("$set", {}), **update.get("$setOnInsert", {})}


def held(collection: str, filters: Document) -> tuple[Operation, Operation]:
    """Two writes after which a document is as it was, and cannot have been changed by another transaction."""
    return (
        Operation("update", collection, filters, {"$set": {HELD: True}}, must=True),
        Operation("update", collection, filters, {"$unset": {HELD: ""}}, must=True),
    )


def holds(change: Change, stored: Any) -> bool:
    """Whether the conditions of *change* hold of what is stored; the meaning that every engine shares."""
    if stored is not None and not matches(stored, change.when):
        return False
    match change:
        case Save():
            return (change.absent if stored is None else change.present) != "refuse"
        case Patch():
            return stored is not None or change.missing == "skip"
        case Delete():
            return True
        case Check():
            return stored is not None


def replacing(kind: Kind[Any], record: Any) -> Document:
    """The update that makes a stored document *record*, and keeps what others have in it."""
    document = document_of(kind, record)
    gone = {column: "" for column in columns_of(kind, kind.by_name) if column not in document}
    return {"$set": document, **({"$unset": gone} if gone else {})}
