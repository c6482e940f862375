"""Comparing what lies in a database with the record it should be, whatever types the back door shows it in.

Knows the stored names and forms of a kind's fields (contract §0.5, §3.1); must not know any engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mastra_core import clock
from mastra_core.storage.records.kind import Field, Json, Kind, R
from mastra_core.storage.records.wire import load_json, to_document
from mastra_core.testing.equality import difference


def assert_stored(kind: Kind[R], raw: Mapping[str, Any] | None, record: R) -> None:
    """Assert that *raw*, as peek showed it, is *record* under TypeScript's stored names.

    A field that is None may be stored as null or left out. A time is text `YYYY-MM-DDTHH:MM:SS.mmmZ` or a datetime (naive: UTC). JSON is
    text, bytes of text, or already a Python value. Names that the kind does not have are passed over; a table's column name is
    taken where the stored name is missing.
    """
    assert raw is not None, f"nothing is stored for {kind.name} {kind.key_of(record)}"
    expected = to_document(kind, record)
    for field in kind.fields:
        found = _plain(kind, field, raw[field.stored] if field.stored in raw else raw.get(field.column))
        differs = difference(found, expected.get(field.stored), at=f"{kind.name}: the stored {field.stored}")
        assert differs is None, differs


def _plain(kind: Kind[Any], field: Field, value: Any) -> Json:
    if value is None:
        return None
    if field.type == "time" and isinstance(value, datetime):
        return clock.to_text(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    if field.type in {"json", "json_text"} and isinstance(value, str | bytes | bytearray | memoryview):
        text = value if isinstance(value, str) else bytes(value).decode()
        parsed = load_json(text, kind=kind.name, key=(), field=field.name)
        # TypeScript encodes some JSON columns twice (contract §3.3, §3.5).
        twice = field.type == "json" and isinstance(parsed, str)
        return load_json(parsed, kind=kind.name, key=(), field=field.name) if twice else parsed
    return value
