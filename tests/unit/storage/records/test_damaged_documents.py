"""Documents mutated at random, as key-value stores keep them: each is decoded to what it says, or the record and field are named."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from mastra_core import clock
from mastra_core.errors import StoredDataError
from mastra_core.storage.records.kind import Field, Json, Kind
from mastra_core.storage.records.kinds import KINDS, THREADS
from mastra_core.storage.records.score_kinds import SCORES
from mastra_core.storage.records.wire import from_document, load_json, to_document
from mastra_core.testing.equality import difference

EACH = 2000
"""Mutations of a kind."""
DATE = clock.from_text("2024-01-01T00:00:00.001Z")
WHOLE = {"object": {"a": [1, None]}, "list": ["a"], None: "text"}
ODD: tuple[Json, ...] = (
    None, True, False, 0, 1, -1.5, 10**400, 2**63, 1e308, "", "x", "a\0b", "\ud800", "[1]", '{"a":1}', '"x"', "{", '{"format":2,"parts":[', "9" * 5000,
    "2024-01-01T00:00:00.000Z", "2024-02-30T00:00:00.000Z", "0001-01-01T00:00:00+14:00", "now", [], {}, [1], {"a": 1}, [[]], {"format": 2},
)  # fmt: skip


def a_document(kind: Kind[Any]) -> dict[str, Json]:
    """A well-formed document with every field."""
    values: dict[str, Any] = {"time": DATE, "bool": True, "float": 0.5, "json_text": {"format": 2, "parts": []}}
    record = {f.name: values.get(f.type) or (WHOLE[f.shape] if f.type == "json" else f"the {f.name}") for f in kind.fields}
    return to_document(kind, kind.record(**record))


def said(field: Field, value: Json) -> Any:
    """What a field of a document says.

    Raises:
        ValueError, TypeError, OverflowError: nothing that it may hold.
    """
    if value is None:
        if field.absent is None and not field.optional:
            raise ValueError(field.name)
        return field.absent
    if field.type == "json":
        value = json_in(value) if field.unwrap else value
        shapes: Mapping[str | None, Any] = {"object": dict, "list": list, None: object}
        if not isinstance(value, shapes[field.shape]):
            raise TypeError(value)
        return value
    if field.type == "json_text":
        if isinstance(value, str) and value.startswith('{"format":2'):
            return json.loads(value)
        return json_in(value, quoted=True)
    if field.type == "float":
        if isinstance(value, bool | str) or not isinstance(value, int | float):
            raise TypeError(value)
        return float(value)
    if not isinstance(value, bool if field.type == "bool" else str):
        raise TypeError(value)
    return datetime.fromisoformat(str(value)).astimezone(DATE.tzinfo) if field.type == "time" else value


def json_in(value: Json, *, quoted: bool = False) -> Json:
    """The object or list that a string of JSON holds, or *value* itself."""
    if not isinstance(value, str) or value[:1] not in {"{", "[", *('"' if quoted else ())}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_damaged_document_is_decoded_as_it_is_or_named(kind: Kind[Any]) -> None:
    """Issue: "each read gives the record or `StoredDataError` with kind, key and field; never a crash, never a wrong record"."""
    whole, chance = a_document(kind), random.Random(kind.name)
    key = tuple(str(whole[kind.by_name[name].stored]) for name in kind.key)
    before = from_document(kind, key, whole)
    for number in range(EACH):
        field, value = chance.choice(kind.fields), chance.choice(ODD)
        document = {**copy.deepcopy(whole), field.stored: value}
        try:
            expected = said(field, value)
        except (ValueError, TypeError, OverflowError):
            with pytest.raises(StoredDataError, match=rf"^{kind.name} .*: field {field.name} "):
                from_document(kind, key, document)
            continue
        found = from_document(kind, key, document)
        differs = difference(getattr(found, field.name), expected, at=f"mutation {number}: {field.name} of {value!r:.60}")
        assert differs is None, differs
        for other in kind.fields:
            assert other is field or getattr(found, other.name) == getattr(before, other.name)


@pytest.mark.parametrize(
    "text", ["", "{", "[", '{"a":1e999}', '{"a":NaN}', "[" * 100_000, '{"a":' + "9" * 5000 + "}", b"\xff", b'{"a":"\xe9"}']
)
def test_text_that_is_no_json_is_named(text: str | bytes) -> None:
    """A value that Python's parser would take and no JSON number holds, such as 1e999, is not read as infinity."""
    with pytest.raises(StoredDataError, match=r"^mastra_threads t: field metadata is no JSON"):
        load_json(text, kind=THREADS.name, key=("t",), field="metadata")


@pytest.mark.parametrize("document", [None, 7, "text", [1], True])
def test_a_document_that_is_no_object_is_named(document: Json) -> None:
    """Whatever lies under a key, reading it says which key."""
    with pytest.raises(StoredDataError, match=r"^mastra_scorers s: field \(the whole record\) is no JSON object"):
        from_document(SCORES, ("s",), document)
