"""What differs between SQL databases, as one small interface; each backend implements it beside its engine.

Knows fields and conditions. Must not know any driver, and compares no dialect's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import attrs

from mastra_core.storage.records.kind import Field, Json, Kind

Names = tuple[str, ...]


@attrs.frozen
class Column:
    """One column that a field is written to.

    Attributes:
        name: as stored.
        declared: its type.
        bind: the expression around its parameter (`{}`), such as `jsonb({})`.
        default: the expression that others' INSERTs get where they leave it out; "" is null. Rows that are older than the column do not.
        fill: the expression of the value in older rows, of the field's other columns; "" is null.
    """

    name: str
    declared: str
    bind: str = "{}"
    default: str = ""
    fill: str = ""


class Dialect(Protocol):
    """How one database says what the shared statements need.

    Attributes:
        parameter: the place of a parameter.
        nulls_last: the parameter that is later than every time.
        share_lock: what a SELECT ends with, so that its row stays as it is until the transaction ends; "" where writers exclude each other.
    """

    parameter: str
    nulls_last: Any
    share_lock: str

    def __hash__(self) -> int:
        """Statements are kept by dialect."""
        ...

    def table(self, kind: Kind[Any]) -> str:
        """The quoted table of a kind."""
        ...

    def columns(self, field: Field) -> Sequence[Column]:
        """The columns a field is written to; the first holds what is read."""
        ...

    def read(self, field: Field) -> str:
        """The expression that a field is selected by; the table may be called `r`, where the database knows the alias in RETURNING."""
        ...

    def column(self, field: Field) -> str:
        """The column that a field is read from, for equality and for null."""
        ...

    def ordered(self, field: Field) -> str:
        """The expression that a field is ordered by, so that text compares by code point."""
        ...

    def nulls_high(self, field: Field) -> str:
        """The expression that an optional time is ordered by, so that null is the last of all."""
        ...

    def raised(self, held: str) -> str:
        """The later of the time in *held* and a parameter; the parameter if *held* is null. Holds one `{}`."""
        ...

    def encoded_twice(self, kind: Kind[Any], field: Field) -> bool:
        """Whether JSON that is not to be unwrapped lies in this column as TypeScript keeps it there: as a string of JSON text."""
        ...

    def merged(self, column: str) -> str:
        """The JSON object in *column* with that of a parameter laid over it, one level deep. Holds one `{}`."""
        ...

    def json_is(self, field: Field, path: Names, value: Json) -> tuple[str, list[Any]]:
        """Typed equality of a JSON scalar (see `Is`), with `{}` for each parameter."""
        ...

    def json_missing(self, field: Field, path: Names) -> str:
        """Whether there is nothing, or null, at *path*."""
        ...

    def json_contains(self, field: Field, path: Names, items: Sequence[Json]) -> tuple[str, list[Any]]:
        """Whether there is a JSON list at *path* that holds all of *items*."""
        ...

    def time_parameter(self, instant: datetime) -> Any:
        """What the driver takes for an instant."""
        ...

    def time_value(self, found: Any) -> datetime:
        """The instant of what the driver gave.

        Raises:
            ValueError, TypeError, OverflowError: it is none.
        """
        ...
