"""Python types at the border to models: the JSON schema of a function's parameters or of a type, and JSON read into them and back.

msgspec does the work for builtin types, dataclasses, attrs classes, TypedDicts, enums and unions; pydantic's models are asked themselves.
It is imported on first use. Knows types; must not know agents or models.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from mastra_core.errors import ConfigurationError, InvalidInputError
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.wire import dump_json


@attrs.frozen(kw_only=True)
class Signature:
    """The parameters of a function, as a type to read arguments into.

    Attributes:
        arguments: a msgspec Struct with a field for each parameter that a model fills in.
        schema: the JSON schema of the arguments.
        context: the name of the parameter that takes what a run knows; "" if there is none.
    """

    arguments: type[Any]
    schema: Mapping[str, Json]
    context: str

    def read(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """*given* as keyword arguments.

        Raises:
            InvalidInputError: an argument is missing, unknown, or of another type; the message says where.
        """
        filled = read_json(given, self.arguments)
        return {name: getattr(filled, name) for name in self.arguments.__struct_fields__}


def signature_of(function: Callable[..., Any], *, context_type: type[Any], at: str) -> Signature:
    """The signature of *function*; the parameter annotated with *context_type* is left out of it.

    Raises:
        ConfigurationError: an annotation cannot be resolved or has no JSON schema, or a parameter cannot be given by name.
    """
    import msgspec

    hints = _annotations(function, at=at)
    described, context, fields = _described_arguments(function), "", []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
            msg = f"{at}: the parameter {parameter} cannot be given by name; write each parameter out, with its type"
            raise ConfigurationError(msg)
        annotation = hints.get(name, Any)
        if annotation is context_type:
            context = name
            continue
        said = _said_beside(annotation) or described.get(name)
        if said:
            annotation = typing.Annotated[annotation, msgspec.Meta(description=said)]
        fields.append((name, annotation) if parameter.default is parameter.empty else (name, annotation, _default(parameter.default)))
    arguments = msgspec.defstruct("arguments", fields, kw_only=True, forbid_unknown_fields=True)
    schema = {name: value for name, value in schema_of(arguments, at=at).items() if name != "title"}
    return Signature(arguments=arguments, schema=schema, context=context)


def schema_of(type_: Any, *, at: str) -> dict[str, Json]:
    """The JSON schema of a type; of a class, with its fields at the top.

    Raises:
        ConfigurationError: it holds a type that JSON cannot say.
    """
    import msgspec

    try:
        schema = _lifted(msgspec.json.schema(type_, schema_hook=_pydantic_schema))
    except (TypeError, NotImplementedError) as error:
        msg = f"{at}: {str(error).splitlines()[0]}; use builtin types, dataclasses, attrs classes, enums or pydantic models"
        raise ConfigurationError(msg) from error
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    if not name or str(schema).count(f"'#/$defs/{name}'") > 1:
        # A type that holds itself is referred to by name.
        return schema
    others = {key: value for key, value in schema["$defs"].items() if key != name}
    top: dict[str, Json] = schema["$defs"][name]
    return top | ({"$defs": others} if others else {})


def read_json(given: Json, type_: type[Any]) -> Any:
    """*given* as a value of *type_*.

    Raises:
        InvalidInputError: it is none; the message says what was expected and where.
    """
    import msgspec

    try:
        # JSON has no keys but texts.
        return msgspec.convert(given, type_, dec_hook=_from_pydantic, str_keys=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidInputError(str(error)) from error


def to_json(value: Any) -> Json:
    """*value* as JSON values: dataclasses, attrs classes, pydantic models, dates, enums and the like become what JSON has for them.

    Raises:
        InvalidInputError: JSON has nothing for it, such as an object of another class, NaN, or a list that holds itself.
    """
    import msgspec

    try:
        plain: Json = msgspec.to_builtins(value, str_keys=True, enc_hook=_of_pydantic)
        dump_json(plain, at="it", any_unicode=True)
    except (TypeError, NotImplementedError, RecursionError, InvalidInputError) as error:
        why = str(error) or "it is of a class of its own"
        msg = f"{type(value).__name__} cannot be written as JSON ({why}); return text, numbers, lists, dictionaries or dataclasses"
        raise InvalidInputError(msg) from error
    return plain


def written(function: Callable[..., Any]) -> Callable[..., Any]:
    """What somebody wrote: the function inside a partial, whose own docstring and annotations tell of partials."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _annotations(function: Callable[..., Any], *, at: str) -> dict[str, Any]:
    """The types of the parameters; of an object that is called, those of its `__call__`."""
    function = written(function)
    annotated = function if inspect.isroutine(function) else getattr(type(function), "__call__", function)  # noqa: B004
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError) as error:
        msg = f"{at}: an annotation cannot be resolved ({error}); define or import the type at the top of the module"
        raise ConfigurationError(msg) from error


def _said_beside(annotation: Any) -> str | None:
    """The text in `Annotated[str, "which city"]`."""
    return next((one for one in getattr(annotation, "__metadata__", ()) if isinstance(one, str)), None)


def _default(value: Any) -> Any:
    import msgspec

    if value is None or isinstance(value, bool | int | float | str):
        return value
    # One instance for each call, and nothing of it in the schema.
    return msgspec.field(default_factory=lambda: value)


def _described_arguments(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring's "Args:" section says of each parameter (Google style)."""
    section = re.search(r"^(?:Args|Arguments|Parameters):\n((?:[ \t]+.*\n?|\n)*)", inspect.getdoc(written(function)) or "", re.MULTILINE)
    if section is None:
        return {}
    entries = re.findall(r"^[ \t]+(\w+)(?: \([^)]*\))?:[ \t]*(.*(?:\n[ \t]{6,}.*)*)", section[1], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _lifted(schema: dict[str, Any]) -> dict[str, Any]:
    """*schema* with the definitions that pydantic's models bring along at its top, where references look for them."""
    found: dict[str, Any] = {}

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(one) for one in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("$defs"), dict):
            found.update({name: without(one) for name, one in value["$defs"].items()})
        return {name: without(one) for name, one in value.items() if name != "$defs"}

    plain: dict[str, Any] = without(schema)
    return plain | ({"$defs": found} if found else {})


def _pydantic_schema(type_: type[Any]) -> dict[str, Any]:
    if hasattr(type_, "model_json_schema"):
        # Two models may each have an inner class of the same name.
        schema: dict[str, Any] = type_.model_json_schema(ref_template=f"#/$defs/{type_.__name__}_{{model}}")
        if "$defs" in schema:
            schema["$defs"] = {f"{type_.__name__}_{name}": inner for name, inner in schema["$defs"].items()}
        return schema
    raise NotImplementedError


def _from_pydantic(type_: type[Any], value: Any) -> Any:
    if not hasattr(type_, "model_validate"):
        raise NotImplementedError
    try:
        return type_.model_validate(value)
    except ValueError as error:
        # Its own text has a line for each error and a link into its manual.
        errors: Any = getattr(error, "errors", list)()
        told = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'all of it'}: {one['msg']}" for one in errors)
        raise ValueError(told or str(error)) from error


def _of_pydantic(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise NotImplementedError
