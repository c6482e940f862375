"""Records to DynamoDB items and back: attribute values, and the marks of recent writes.

JSON fields are strings of JSON, as TypeScript writes them; a field that is None is left out. Knows kinds and layouts; must not know the
driver's calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from mastra_core import clock
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Field, Key, Kind, R
from mastra_core.storage.records.wire import decode_json, dump_json, from_stored, load_json, undecodable
from mastra_dynamodb.keys import (
    ENTITY,
    MARKS,
    VERSION,
    Layout,
    attribute_of,
    index_partition,
    index_sort,
    item_key,
    layout_of,
    written_indexes,
)

AttributeValue = Mapping[str, Any]
Item = Mapping[str, AttributeValue]

MAX_ITEM_BYTES = 400 * 1024
BESIDE_BYTES = 81
"""When an item was changed, when it expires, and the mark of its last write, at most."""
SMALLEST_NUMBER, LARGEST_NUMBER = 1e-130, 1e126


def text(value: str) -> AttributeValue:
    """A string as an attribute value."""
    return {"S": value}


def encoded(kind: Kind[Any], name: str, value: Any) -> AttributeValue | None:
    """One field's value as an attribute value; None when the attribute is left out.

    Raises:
        InvalidInputError: JSON cannot hold it.
    """
    field = kind.by_name[name]
    if value is None:
        return None
    if field.type == "time":
        return text(clock.to_text(value))
    if field.type in {"json", "json_text"}:
        encoded_text = dump_json(value, at=f"{kind.name}.{name}", any_unicode=field.type == "json_text")
        # TypeScript keeps text as it is, and takes none for JSON that does not begin as an object or a list.
        return text(value if not field.unwrap and isinstance(value, str) and _json_or_text(value) is value else encoded_text)
    if field.type == "bool":
        return {"BOOL": value}
    if field.type == "float":
        # DynamoDB holds no other numbers; TypeScript's JSON.parse and Number make the same number of the text.
        fits = not value or SMALLEST_NUMBER <= abs(value) < LARGEST_NUMBER
        return {"N": repr(value)} if fits else text(repr(value))
    return text(value)


def fields_of(kind: Kind[R], record: R) -> dict[str, AttributeValue]:
    """The attributes of *record*'s own fields."""
    values = ((attribute_of(kind, field.name), encoded(kind, field.name, getattr(record, field.name))) for field in kind.fields)
    return {attribute: value for attribute, value in values if value is not None}


def fields_by(kind: Kind[Any], stored: Iterable[str], record: Any) -> tuple[str, ...]:
    """The texts of some fields of *record*, by stored name; "" for None."""
    names = {field.stored: field.name for field in kind.fields}
    values = (encoded(kind, names[name], getattr(record, names[name])) for name in stored)
    return tuple("" if value is None else value["S"] for value in values)


def frame_of(kind: Kind[Any], fields: Item) -> dict[str, AttributeValue]:
    """What ElectroDB keeps beside the fields: the entity's name and version, and the keys of the indexes."""
    layout = layout_of(kind)
    frame = {"entity": text(layout.entity), ENTITY: text(layout.entity), "__edb_v__": text(VERSION)}
    for index in written_indexes(layout):
        if index.without not in fields and all(name in fields for name in (*index.by, *index.sorts)):
            held = {name: fields[name]["S"] for name in (*index.by, *index.sorts)}
            frame[f"{index.name}pk"] = text(index_partition(layout, index, held))
            frame[f"{index.name}sk"] = text(index_sort(layout, {name: held[name] for name in index.sorts}))
    return frame


def key_item(place: tuple[str, str]) -> dict[str, AttributeValue]:
    """pk and sk as the driver wants them."""
    return {"pk": text(place[0]), "sk": text(place[1])}


def place_of(item: Item) -> tuple[str, str]:
    """pk and sk of an item."""
    return item["pk"]["S"], item["sk"]["S"]


def held_key(kind: Kind[Any], item: Item | None) -> Key | None:
    """The key of the record that an item holds; None when it holds none: marks that outlived one, or what TypeScript touched."""
    if item is None or layout_of(kind).proof not in item:
        return None
    values = [item.get(kind.by_name[name].stored, {}).get("S") for name in kind.key]
    return None if any(value is None for value in values) else tuple(str(value) for value in values)


def decoded(kind: Kind[R], item: Item) -> R:
    """The record of an item.

    Raises:
        StoredDataError: it cannot be built, with kind, key and field.
    """
    key = held_key(kind, item) or ("?",)
    values = {}
    for field in kind.fields:
        held = item.get(attribute_of(kind, field.name))
        values[field.name] = from_stored(kind, key, field, None if held is None else _read(kind, key, field, _value(held)))
    return kind.record(**values)


def _read(kind: Kind[Any], key: Key, field: Field, value: Any) -> Any:
    """The value of a field as a JSON document would hold it."""
    if isinstance(value, Mapping):
        raise undecodable(kind.name, key, field.name, value, "has another type of attribute than TypeScript writes")
    if not isinstance(value, str):
        return value
    if field.type == "json":
        return load_json(value, kind=kind.name, key=key, field=field.name) if field.unwrap else _json_or_text(value)
    if field.type == "float":
        return _number(value)
    # What TypeScript writes for an id that a score has not.
    return None if value == "" and field.type == "id" and field.optional else value


def _value(held: AttributeValue) -> Any:
    """The Python value of a text, number or boolean, None of a null; another attribute value as it is."""
    if "N" in held:
        return float(held["N"])
    return None if "NULL" in held else held.get("S", held.get("BOOL", held))


def _json_or_text(value: str) -> Any:
    """What JSON text says, or the very text that is no JSON."""
    try:
        return decode_json(value)
    except (ValueError, RecursionError):
        return value


def _number(value: str) -> Any:
    """The number that a text is, or the text."""
    try:
        return float(value)
    except ValueError:
        return value


def record_at(kind: Kind[R], key: Key, items: Mapping[tuple[str, str], Item]) -> R | None:
    """The record of *key* among items by place; None when there is none, or one whose key differs by case."""
    item = items.get(item_key(kind, key))
    return decoded(kind, item) if item is not None and held_key(kind, item) == key else None


@attrs.frozen
class Mark:
    """What the owner of a partition remembers of one write: the record's key and its order then; no order when it went away."""

    key: Key
    order: str | None


def mark_value(mark: Mark) -> AttributeValue:
    """The value of the attribute that a mark is."""
    return text("\0".join((mark.order or "", *mark.key)))


def marks_of(owner: Item | None) -> dict[str, Mark]:
    """The marks on an owner's item, by token."""
    marks = {}
    for name, value in (owner or {}).items():
        if name.startswith(MARKS) and len(name) > len(MARKS):
            order, *key = str(value.get("S", "")).split("\0")
            marks[name[len(MARKS) :]] = Mark(tuple(key), order or None)
    return marks


def token_of(item: Item) -> str | None:
    """The token of the last write that we made to an item; None when TypeScript wrote it."""
    token: str | None = item.get(MARKS, {}).get("S")
    return token


def size_of(attributes: Mapping[str, AttributeValue]) -> int:
    """The bytes that DynamoDB counts: names and texts in UTF-8, a number at most 21, a boolean 1."""
    return sum(
        len(name.encode()) + (len(value["S"].encode()) if "S" in value else 21 if "N" in value else 1) for name, value in attributes.items()
    )


def check_size(kind: Kind[Any], key: Key, fields: Mapping[str, AttributeValue]) -> None:
    """Refuse an item that DynamoDB cannot hold; what others hang on a thread's item is not known here, and DynamoDB refuses that.

    Raises:
        InvalidInputError: it is over 400 KiB, with its keys and what is kept beside its fields.
    """
    attributes = {**fields, **frame_of(kind, fields), **key_item(item_key(kind, key))}
    size = size_of(attributes) + BESIDE_BYTES
    if size > MAX_ITEM_BYTES:
        largest = max(attributes, key=lambda name: size_of({name: attributes[name]}))
        raise InvalidInputError(
            f"{kind.name} {'/'.join(key)}: has {size:,} bytes, and DynamoDB holds at most {MAX_ITEM_BYTES:,} in one item; "
            f"the largest attribute is {largest} with {size_of({largest: attributes[largest]}):,}. "
            "Store large values elsewhere and save a reference."
        )


def record_attributes(kind: Kind[Any], layout: Layout) -> Iterable[str]:
    """Every attribute that a record's item may have, but its keys."""
    yield from (attribute_of(kind, field.name) for field in kind.fields)
    yield from ("entity", ENTITY, "__edb_v__")
    yield from ([layout.stamped] if layout.stamped else [])
    for index in written_indexes(layout):
        yield from (f"{index.name}pk", f"{index.name}sk")
