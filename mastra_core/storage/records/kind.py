"""What a record type is: its class, its stored names, its key and the paths along which it can be listed.

Knows nothing of databases, drivers or domains; the kinds themselves are declared in `kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import attrs

if TYPE_CHECKING:
    from mastra_core.storage.records.query import Condition

R = TypeVar("R")
Json = Any
Key = tuple[str, ...]

FieldType = Literal["id", "text", "time", "json", "json_text", "bool", "float"]
"""How a field is stored.

* `id`: a caller's string that names something: 1 to 255 characters, at most 900 bytes of UTF-8.
* `text`: any string without U+0000 and lone surrogates.
* `time`: an aware datetime of whole milliseconds.
* `json`: a JSON value, stored in the database's own JSON type where it has one; no U+0000, no lone surrogates.
* `json_text`: a JSON value stored as text everywhere, so that it holds any Unicode (message content, contract §3.1).
* `bool` and `float`: as JSON has them; SQLite stores booleans as 0 and 1.
"""

Shape = Literal["object", "list"]


@attrs.frozen
class Field:
    """One attribute of a record and how it is stored.

    `stored` is the name TypeScript writes in documents, `column` the one in tables where that differs (`thread_id`), `absent` what a row
    without a value is read as, and `optional` whether None may be saved. `unwrap` is off where a string of JSON is a string, and not an
    object or list that TypeScript encoded twice. `shape` is what the JSON must be, when it is written and when it is read; None is any.
    """

    name: str
    stored: str
    type: FieldType = "text"
    column: str = attrs.field(default=attrs.Factory(lambda self: self.stored, takes_self=True))
    optional: bool = False
    absent: Json = None
    unwrap: bool = True
    shape: Shape | None = None


@attrs.frozen
class Path:
    """A declared index: records equal in every field of *by*, in the total order (*order*, key).

    *only* makes it partial: it holds the records that meet these conditions (root spans). In the order, records whose *order* field is
    null come after all others; descending, before.

    It has a name because each backend maps (kind, name) to an index of its own: an SQL index, a sorted set, a slot of a GSI.
    """

    name: str
    by: tuple[str, ...]
    order: str
    only: tuple[Condition, ...] = ()


@attrs.frozen(eq=False)
class Kind(Generic[R]):
    """A record type, declared once for every backend.

    Attributes:
        name: the table, collection or key prefix, as TypeScript names it.
        record: the attrs class of its records; keyword-only.
        key: the fields that identify a record.
        fields: every field, in the order of the table's columns.
        paths: along which records can be listed; there is no other way.
        keep: fields written once, which a later Save of the same key leaves alone.
    """

    name: str
    record: type[R]
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    paths: tuple[Path, ...] = ()
    keep: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Fields by attribute name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def values_of(self) -> Callable[[R], Sequence[Any]]:
        """What gives the values of a record, in the order of the fields."""
        names = [field.name for field in self.fields]
        return attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)

    def key_of(self, record: R) -> Key:
        """The key of *record*."""
        return self._key_of(record)

    @cached_property
    def _key_of(self) -> Callable[[R], Key]:
        name, several = self.key[0], len(self.key) > 1
        return attrgetter(*self.key) if several else lambda record: (getattr(record, name),)

    def path(self, name: str) -> Path | None:
        """The path called *name*, or None."""
        return next((path for path in self.paths if path.name == name), None)
