"""Working memory: the text that an agent always has in mind, how it is shown to the model, and what an update makes of it.

Knows the options and the text. Must not know stores, agents or models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.memory.features import WorkingMemory
from mastra_core.storage.domains.memory import Turn
from mastra_core.storage.domains.resources import WORKING_MEMORY
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import decode_json, dump_json

TEMPLATE = """# User Information
- **First Name**:
- **Last Name**:
- **Location**:
- **Occupation**:
- **Interests**:
- **Goals**:
- **Events**:
- **Facts**:
- **Projects**:
"""
"""What is asked about a user if no template is given (contract §5.2)."""

EMPTIED = "Attempted to replace existing working memory with empty template. Update skipped to prevent data loss."
"""What the model is told when it would wipe out what is known."""

_KEEP = (
    "The facts below are your working memory: what you know for good about {whom}. Whenever the user tells you something that belongs "
    "in it, or something in it is no longer true, call the tool updateWorkingMemory before you answer. Do not speak about the memory."
)
_MARKDOWN = "Pass the whole text, in the form of the template, with everything known so far; what you leave out is forgotten."
_JSON = "Pass only what changes, as JSON of the schema: it is laid over what is known, and null removes."
_SHOWN = "The facts below are what is known for good about {whom}. Use them when they help; you cannot change them here."


def held(turn: Turn, feature: WorkingMemory) -> str | None:
    """The working memory that a run has read; None if there is none yet."""
    if feature.scope == "thread":
        metadata = turn.thread.metadata if turn.thread is not None else None
        found = (metadata or {}).get(WORKING_MEMORY)
        return found if isinstance(found, str) else None
    return turn.resource.working_memory if turn.resource is not None else None


def scope_id(feature: WorkingMemory, *, thread_id: str | None, resource_id: str | None) -> str:
    """The id of what the scope says.

    Raises:
        ConfigurationError: it is not given.
    """
    found, name, other = (thread_id, "thread", "resource") if feature.scope == "thread" else (resource_id, "resource", "thread")
    if found is None:
        msg = (
            f"Memory error: {name.capitalize()}-scoped working memory is enabled but no {name}Id was provided. "
            f"Either provide a {name}_id or explicitly set working_memory.scope to {other!r}."
        )
        raise ConfigurationError(msg)
    return found


def block(feature: WorkingMemory, known: str | None, *, schema: Mapping[str, Json] | None, writable: bool) -> str:
    """What the model is told (contract §5.4): how to keep the memory, what it looks like, and what it holds.

    Args:
        feature: its template is shown unless there is a *schema*.
        known: what it holds.
        schema: the JSON schema of its content.
        writable: whether the model has the tool.
    """
    whom = "this conversation" if feature.scope == "thread" else "this user"
    told = f"{_KEEP} {_JSON if schema is not None else _MARKDOWN}" if writable else _SHOWN
    lines = ["WORKING_MEMORY_SYSTEM_INSTRUCTION:", told.format(whom=whom)]
    if writable:
        form = feature.template or TEMPLATE if schema is None else dump_json(schema, at="schema")
        lines += ["<working_memory_template>", form.strip(), "</working_memory_template>"]
    # What is remembered must not be able to end its own block.
    data = (known or "null").replace("</working_memory_data>", "<\\/working_memory_data>")
    return "\n".join([*lines, "<working_memory_data>", data, "</working_memory_data>"])


class EmptiedError(InvalidInputError):
    """An update would have replaced what is known by the bare template."""


def updating(feature: WorkingMemory, given: Json) -> Callable[[str | None], str]:
    """What to do with the stored text when the model passes *given*: replace it, or lay JSON over it.

    The function it gives raises EmptiedError if nothing would be left but the template.

    Raises:
        InvalidInputError: text was expected and something else came, or an object.
    """
    if feature.schema is not None:
        patch = _object(given)
        return lambda known: dump_json(merged(_known_object(known), patch), at="working memory")
    if not isinstance(given, str):
        msg = f"memory: must be the whole text, found {type(given).__name__}"
        raise InvalidInputError(msg)
    template = (feature.template or TEMPLATE).strip()

    def replaced(known: str | None) -> str:
        if (known or "").strip() not in {"", template} and given.strip() in {"", template}:
            raise EmptiedError(EMPTIED)
        return given

    return replaced


def merged(known: Json, patch: Json) -> Json:
    """*patch* laid over *known* as a JSON merge patch (RFC 7396): objects are merged, null removes, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    laid = dict(known) if isinstance(known, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            laid.pop(name, None)
        else:
            laid[name] = merged(laid.get(name), value)
    return laid


def _object(given: Json) -> Mapping[str, Any]:
    read: Json = given
    if isinstance(given, str):
        try:
            read = decode_json(given)
        except (ValueError, RecursionError):
            read = None
    if not isinstance(read, Mapping):
        msg = f"memory: must be a JSON object of the schema, found {type(given).__name__}"
        raise InvalidInputError(msg)
    return read


def _known_object(known: str | None) -> Mapping[str, Any]:
    """What is stored, as an object; text of an earlier template is kept under "notes" rather than lost."""
    if not known or not known.strip():
        return {}
    try:
        read = decode_json(known)
    except (ValueError, RecursionError):
        read = None
    return read if isinstance(read, Mapping) else {"notes": known}
