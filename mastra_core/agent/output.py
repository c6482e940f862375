"""Structured answers: a type as the form that a model is given, and what the model said read into it.

Knows types and the ways in which models wrap JSON in prose. Must not know models, runs or agents.
"""

from __future__ import annotations

import re
from typing import Any

from mastra_core.agent.model import OutputSpec
from mastra_core.agent.signatures import read_json, schema_of
from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import decode_json

_FENCED = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)


class Output:
    """The type that an answer is read into.

    Args:
        wanted: a dataclass, attrs class, TypedDict, pydantic model, or anything else that JSON can say, such as `list[str]`.
        at: where it was given, for messages.

    Attributes:
        spec: what a model is told: an object at the top, as providers want it; other types are put under "value".

    Raises:
        ConfigurationError: JSON cannot say the type.
    """

    def __init__(self, wanted: Any, *, at: str) -> None:
        import msgspec

        # Providers take the characters of a tool's name.
        name = re.sub(r"[^A-Za-z0-9_-]", "_", getattr(wanted, "__name__", "output"))[:64]
        schema = schema_of(wanted, at=at)
        self._under_value = schema.get("type") != "object"
        self._type: Any = msgspec.defstruct("Answer", [("value", wanted)]) if self._under_value else wanted
        self.spec = OutputSpec(name=name, schema=schema_of(self._type, at=at) if self._under_value else schema)

    def read(self, text: str) -> Any:
        """*text* as a value of the type.

        Raises:
            InvalidInputError: it is none; the message says what was expected and where.
        """
        read = read_json(_json_in(text), self._type)
        return read.value if self._under_value else read


def _json_in(text: str) -> Json:
    """The JSON of an answer: the text itself, what stands in its first code block, or from its first bracket to its last."""
    fenced = _FENCED.search(text)
    opened = min((index for index in (text.find("{"), text.find("[")) if index >= 0), default=0)
    candidates = (text.strip(), fenced[1] if fenced else "", text[opened : max(text.rfind("}"), text.rfind("]")) + 1])
    for candidate in candidates:
        try:
            return decode_json(candidate)
        except (ValueError, RecursionError):
            continue
    msg = "there is no JSON in it"
    raise InvalidInputError(msg)
