"""Functions as tools: what the model is told of them, by their types and docstrings."""

from __future__ import annotations

from typing import Annotated, Any

from mastra_core import tool
from tests.unit.agent.typed import Address, Range, weather


def schema(function: Any) -> Any:
    return tool(function).parameters


def test_a_function_becomes_a_tool_by_its_types_and_docstring() -> None:
    """Nothing is written twice: name, description and parameters come from the function."""
    made = tool(weather)
    assert (made.name, made.description) == ("weather", "Say the weather.\n\nIt is looked up each time.")
    place = {
        "title": "Place",
        "type": "object",
        "required": ["city"],
        "properties": {"city": {"type": "string"}, "country": {"type": "string", "default": "France"}},
    }
    size = {"title": "Size", "type": "object", "required": ["width"], "properties": {"width": {"type": "integer"}}}
    assert made.parameters == {
        "type": "object",
        "required": ["place", "day"],
        "additionalProperties": False,
        "properties": {
            "place": {"$ref": "#/$defs/Place", "description": "where it is asked for."},
            "day": {"type": "string", "format": "date", "description": "of the weather."},
            "unit": {"$ref": "#/$defs/Unit"},
            "style": {"enum": ["long", "short"], "default": "short"},
            "rooms": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Size"}}, {"type": "null"}], "default": None},
        },
        "$defs": {"Place": place, "Size": size, "Unit": {"title": "Unit", "enum": ["c", "f"]}},
    }


def test_every_kind_of_parameter_has_a_schema() -> None:
    """TypedDicts, mappings, sets, text beside a type; a parameter without a type takes anything."""

    def f(a: Range, b: dict[str, int], c: Annotated[set[str], "the colours"], d: int | str, e, f: bool = True) -> None: ...  # type: ignore[no-untyped-def]

    told = schema(f)
    assert told["properties"] == {
        "a": {"$ref": "#/$defs/Range"}, "b": {"type": "object", "additionalProperties": {"type": "integer"}},
        "c": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "description": "the colours"},
        "d": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "e": {}, "f": {"type": "boolean", "default": True},
    }  # fmt: skip
    assert told["required"] == ["a", "b", "c", "d", "e"]


def test_pydantic_models_bring_their_definitions_to_where_references_look_for_them() -> None:
    """A nested model is no dangling reference."""

    def f(to: Address) -> None: ...

    told = schema(f)
    assert told["properties"]["to"]["properties"]["street"] == {"$ref": "#/$defs/Address_Street"}
    assert told["$defs"]["Address_Street"]["required"] == ["name"]
