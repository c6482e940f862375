"""Records to the JSON texts that `@mastra/redis` stores, and back (contract §3.5); also the plans that scripts are given.

Knows the differences of Redis from the core's documents: fields encoded twice, and names that only TypeScript uses. Must not know keys or
the driver.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mastra_core.errors import ConflictError
from mastra_core.storage.records.kind import Json, Key, Kind
from mastra_core.storage.records.wire import dump_json, from_document, load_json, to_document

TEXT_IN_TEXT: Mapping[str, tuple[str, ...]] = {"mastra_resources": ("metadata",)}
"""Fields that TypeScript stores as a string of JSON inside the JSON."""

ADDED: Mapping[str, Mapping[str, Json]] = {"mastra_messages": {"_index": 0}, "mastra_workflow_snapshot": {"namespace": "workflows"}}
"""What TypeScript stores beside the fields.

A message's position in its batch is always 0 here, so that messages of one millisecond are ordered by id.
"""


@attrs.frozen(kw_only=True)
class Stored:
    """A record as one text, and what it was made of."""

    record: Any
    text: str | bytes
    document: Mapping[str, Json]


def written(kind: Kind[Any], record: Any, *, over: Stored | None = None) -> Stored:
    """*record* as it will be stored; names that are not ours in the text it replaces are kept.

    Raises:
        InvalidInputError: a JSON field holds what JSON cannot.
    """
    plain = to_document(kind, record)
    document = dict(plain)
    for name in TEXT_IN_TEXT.get(kind.name, ()):
        if name in document:
            document[name] = dump_json(document[name], at=f"{kind.name}.{name}")
    ours = {field.stored for field in kind.fields}
    extra = ADDED.get(kind.name, {}) if over is None else {name: value for name, value in over.document.items() if name not in ours}
    document |= extra
    return Stored(record=record, text=dump_json(document, at=kind.name, any_unicode=True), document=document)


def as_read(kind: Kind[Any], key: Key, stored: Stored) -> Any:
    """The record of *stored* as a later read gives it, sharing nothing with the caller's."""
    return read(kind, key, stored.text).record


def read(kind: Kind[Any], key: Key, text: str | bytes) -> Stored:
    """The record that *text* stores under *key*.

    Raises:
        StoredDataError: it cannot be decoded.
        ConflictError: it is another record, whose id makes the same Redis key.
    """
    stored = _decoded(kind, key, text)
    held = kind.key_of(stored.record)
    if held != key:
        msg = (
            f"{kind.name} {'/'.join(key)!r} and {'/'.join(held)!r} make the same Redis key, because their ids hold the text "
            "that separates the parts of a key; give one of them another id"
        )
        raise ConflictError(msg)
    return stored


def decoded(kind: Kind[Any], name: str, text: str | bytes) -> Stored:
    """The record that *text* stores under the Redis key *name*, whichever it is.

    Raises:
        StoredDataError: it cannot be decoded.
    """
    return _decoded(kind, (name,), text)


def _decoded(kind: Kind[Any], key: Key, text: str | bytes) -> Stored:
    document = load_json(text, kind=kind.name, key=key, field="(the whole record)")
    return Stored(record=from_document(kind, key, document), text=text, document=document)


def plan_text(steps: Sequence[Mapping[str, Any]]) -> str:
    """What a script decodes with cjson; empty values are left out, since cjson reads null as a true value."""
    return json.dumps(
        [{name: value for name, value in step.items() if value is not None} for step in steps], ensure_ascii=False, separators=(",", ":")
    )
