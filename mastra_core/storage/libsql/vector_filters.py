"""Which part of a filter SQLite decides, exactly as `conditions.met` would: equality with a text, a boolean or null at the top.

A whole number is looked for by both, since SQLite reads decimals into floats by a rule of its own: what it finds, `met` decides. Knows
SQLite's JSON functions and conditions.
"""

from __future__ import annotations

import re

import attrs

from mastra_core.storage.vectors.conditions import At, Condition, Equals, Every, Path

# What cannot be bound as a parameter, or may be cut there.
_AWKWARD = re.compile("[\0\ud800-\udfff]")


EXACT = 2**53
"""Up to here every whole number is a float."""


@attrs.frozen
class Pushed:
    """A filter in two parts, both of which must hold.

    Attributes:
        sql: ` AND …`, to follow another condition; "" when nothing could be pushed.
        values: of its named parameters.
        rest: what Python must decide.
    """

    sql: str
    values: dict[str, str | int]
    rest: Condition


def pushed(condition: Condition) -> Pushed:
    """*condition* with as much of it in SQL as SQLite decides exactly."""
    texts: list[str] = []
    values: dict[str, str | int] = {}
    rest: list[Condition] = []
    for one in condition.conditions if isinstance(condition, Every) else (condition,):
        match one:
            case At(path, Equals(None | bool() as value)):
                # For these the type is the value, and json_type gives NULL for what is not there.
                name, absent = ("null", "null") if value is None else (str(value).lower(), "")
                texts.append(f" AND ifnull(json_type(metadata, '{json_path(path)}'), '{absent}') = '{name}'")
            case At(path, Equals(str() as value)) if _AWKWARD.search(value) is None:
                parameter = f"filter{len(values)}"
                values[parameter] = value
                texts.append(f" AND {extracted(path)} = :{parameter} AND json_type(metadata, '{json_path(path)}') = 'text'")
            case At(path, Equals(int() | float() as value)) if abs(value) <= EXACT and value == int(value):
                # Whole numbers are compared exactly. Those with decimals pass, and are looked at again.
                parameter = f"filter{len(values)}"
                values[parameter] = int(value)
                texts.append(f" AND ({extracted(path)} = :{parameter} OR json_type(metadata, '{json_path(path)}') = 'real')")
                rest.append(one)
            case _:
                rest.append(one)
    return Pushed("".join(texts), values, Every(tuple(rest)))


def extracted(path: Path) -> str:
    """The expression of a field, as indexes and conditions say it alike."""
    return f"json_extract(metadata, '{json_path(path)}')"


def json_path(path: Path) -> str:
    """The JSON path of names that have been restricted to letters, digits and underscores."""
    return "$" + "".join(f'."{name}"' for name in path)
