"""Types of every kind that a tool may ask for, and a tool that asks for them."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date
from typing import Literal, TypedDict

import attrs
import pydantic


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclasses.dataclass
class Place:
    city: str
    country: str = "France"


@attrs.define
class Size:
    width: int


class Range(TypedDict):
    low: float


class Street(pydantic.BaseModel):
    name: str


class Address(pydantic.BaseModel):
    street: Street
    number: int


def weather(
    place: Place, *, day: date, unit: Unit = Unit.CELSIUS, style: Literal["short", "long"] = "short", rooms: list[Size] | None = None
) -> str:
    """Say the weather.

    It is looked up each time.

    Args:
        place: where
            it is asked for.
        day (date): of the weather.
        unknown: nothing.

    Returns:
        A text.
    """
    return f"{place.city}, {place.country} {day:%d.%m.} {unit.name} {style} {rooms}"
