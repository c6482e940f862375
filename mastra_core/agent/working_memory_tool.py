"""The tool by which a model keeps its working memory up to date (contract §5.7). Knows tools and the text; must not know stores."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mastra_core.agent.signatures import schema_of
from mastra_core.agent.tools import RunContext, Tool
from mastra_core.memory.features import WorkingMemory
from mastra_core.memory.working_memory import EmptiedError, updating
from mastra_core.storage.records.kind import Json

NAME = "updateWorkingMemory"
"""As TypeScript calls it; its calls are not kept in the thread."""

Change = Callable[[str | None], str]


def working_memory_schema(feature: WorkingMemory) -> dict[str, Json] | None:
    """The JSON schema of what the working memory holds; None if it is text.

    Raises:
        ConfigurationError: the type that was given has none.
    """
    if feature.schema is None:
        return None
    if isinstance(feature.schema, Mapping):
        return dict(feature.schema)
    if isinstance(feature.schema, type):
        return dict(_schema_of_class(feature.schema))
    return schema_of(feature.schema, at="working_memory.schema")


@functools.lru_cache(maxsize=64)
def _schema_of_class(given: type[Any]) -> Mapping[str, Json]:
    """Its schema, made once: every run needs it, and to make it takes longer than all else that a run does with its working memory."""
    return schema_of(given, at="working_memory.schema")


def working_memory_tool(feature: WorkingMemory, *, schema: Mapping[str, Json] | None, write: Callable[[Change], Awaitable[Any]]) -> Tool:
    """The tool; *write* does with the stored text what it is given."""
    told = "Store facts worth keeping for good. "
    form: dict[str, Json] = {"type": "string", "description": "The whole working memory, in the form of the template."}
    if schema is not None:
        form = {**_partial(schema), "description": "What changes, in the form of the schema; null removes."}

    async def run(arguments: Mapping[str, Json], context: RunContext) -> Json:
        _ = context
        try:
            await write(updating(feature, arguments.get("memory")))
        except EmptiedError as error:
            return {"success": False, "message": str(error)}
        return {"success": True}

    return Tool(
        name=NAME,
        description=told + ("Pass what changes; it is laid over what is known." if schema is not None else "Pass the whole text."),
        parameters={"type": "object", "properties": {"memory": form}, "required": ["memory"], "additionalProperties": False},
        run=run,
        stored=False,
    )


def _partial(schema: Mapping[str, Json]) -> dict[str, Json]:
    """*schema* with nothing required and null allowed everywhere at its top, since an update says only what changes."""
    loose = {name: value for name, value in schema.items() if name != "required"}
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        loose["properties"] = {name: {"anyOf": [form, {"type": "null"}]} for name, form in properties.items()}
    return loose
