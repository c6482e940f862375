"""Equality as users mean it: JSON types count, so True is not 1 and a missing key is not a null; the first difference is named.

Knows Python values and attrs records; must not know the port.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import attrs


def difference(found: object, expected: object, *, at: str = "it") -> str | None:
    """Where and how *found* differs from *expected*; None when it does not. 1 equals 1.0, a tuple equals a list."""
    if attrs.has(type(expected)):
        return _of_records(found, cast("attrs.AttrsInstance", expected), at)
    if isinstance(expected, Mapping):
        return _of_mappings(found, expected, at)
    if isinstance(expected, list | tuple):
        return _of_lists(found, expected, at)
    if isinstance(expected, datetime):
        same = isinstance(found, datetime) and found == expected and found.utcoffset() == timedelta(0)
    elif isinstance(expected, bool) or isinstance(found, bool):
        same = found is expected
    elif isinstance(expected, int | float):
        same = isinstance(found, int | float) and found == expected
    else:
        same = type(found) is type(expected) and found == expected
    return None if same else f"{at} is {_shown(found)}, expected {_shown(expected)}"


def assert_same(found: object, expected: object) -> None:
    """Assert that *found* equals *expected*, types of JSON included."""
    differs = difference(found, expected)
    assert differs is None, differs


def _of_records(found: object, expected: attrs.AttrsInstance, at: str) -> str | None:
    if type(found) is not type(expected):
        return f"{at} is {_shown(found)}, expected {_shown(expected)}"
    names = [field.name for field in attrs.fields(type(expected))]
    return _first(difference(getattr(found, name), getattr(expected, name), at=f"{at}.{name}") for name in names)


def _of_mappings(found: object, expected: Mapping[Any, Any], at: str) -> str | None:
    if not isinstance(found, Mapping):
        return f"{at} is {_shown(found)}, expected {_shown(expected)}"
    if set(found) != set(expected):
        lost, extra = set(expected) - set(found), set(found) - set(expected)
        return f"{at} lacks the keys {_shown(lost)} and has {_shown(extra)} too many: {_shown(found)}"
    return _first(difference(found[name], value, at=f"{at}[{name!r}]") for name, value in expected.items())


def _of_lists(found: object, expected: list[Any] | tuple[Any, ...], at: str) -> str | None:
    if not isinstance(found, list | tuple):
        return f"{at} is {_shown(found)}, expected {_shown(expected)}"
    if len(found) != len(expected):
        return f"{at} has {len(found)} items, expected {len(expected)}: {_shown(found)}, expected {_shown(expected)}"
    return _first(difference(one, other, at=f"{at}[{index}]") for index, (one, other) in enumerate(zip(found, expected, strict=True)))


def _first(differences: Any) -> str | None:
    return next((text for text in differences if text is not None), None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "…"
