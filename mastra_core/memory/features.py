"""The features of a memory that can be switched on, each with its options: semantic recall, working memory, titles.

Each option may be left out (None): a call's are laid over the Memory's, and those over the defaults, one by one.
Knows names and values of options. Must not know stores, agents or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean
from mastra_core.storage.options import refuse_unknown

Scope = Literal["resource", "thread"]
SCOPES: tuple[Scope, ...] = ("resource", "thread")
F = TypeVar("F", bound="SemanticRecall | WorkingMemory | GenerateTitle")


def _check_scope(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and value not in SCOPES:
        msg = f"{field.name} must be one of {list(SCOPES)}, found {value!r}{did_you_mean(value, SCOPES)}"
        raise ConfigurationError(msg)


def _check_count(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        msg = f"{field.name} must be a whole number >= 1, found {value!r}"
        raise ConfigurationError(msg)


def _check_range(_: object, field: attrs.Attribute[Any], value: object) -> None:
    counts = list(value.values()) if isinstance(value, Mapping) and set(value) <= {"before", "after"} else [value]
    if value is not None and not all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
        msg = f'{field.name} must be a whole number >= 0, or {{"before": 1, "after": 2}}; found {value!r}'
        raise ConfigurationError(msg)


def _check_type(*types: type[Any]) -> Any:
    return attrs.validators.optional(_Instance(types))


@attrs.frozen
class _Instance:
    types: tuple[type[Any], ...]

    def __call__(self, _: object, field: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types):
            wanted = " or ".join(one.__name__ for one in self.types)
            msg = f"{field.name} must be {wanted}, found {value!r} ({type(value).__name__})"
            raise ConfigurationError(msg)


@attrs.frozen(kw_only=True)
class SemanticRecall:
    """Messages that mean something like the user's, found among all that was said, with their neighbours.

    Attributes:
        top_k: how many are found at most; 4 if not given.
        message_range: how many neighbours come along on each side, or `{"before": …, "after": …}`; 1 if not given.
        scope: "resource" (of all threads of the user; if not given) or "thread".
        threshold: the least score that counts; if not given, any.
        filter: conditions on the metadata of vectors besides (`docs/decisions/0012`).
        index_name: of the vector index; by default as TypeScript names it (contract §5.6).
    """

    top_k: int | None = attrs.field(default=None, validator=_check_count)
    message_range: int | Mapping[str, int] | None = attrs.field(default=None, validator=_check_range)
    scope: Scope | None = attrs.field(default=None, validator=_check_scope)
    threshold: float | None = attrs.field(default=None, validator=_check_type(int, float))
    filter: Mapping[str, Any] | None = attrs.field(default=None, validator=_check_type(Mapping))
    index_name: str | None = attrs.field(default=None, validator=_check_type(str))

    @property
    def before(self) -> int:
        """How many neighbours before each."""
        return self._neighbours("before")

    @property
    def after(self) -> int:
        """How many neighbours after each."""
        return self._neighbours("after")

    def _neighbours(self, side: str) -> int:
        given = 1 if self.message_range is None else self.message_range
        return given.get(side, 0) if isinstance(given, Mapping) else given


@attrs.frozen(kw_only=True)
class WorkingMemory:
    """What an agent always has in mind of a user or a thread: a text that it keeps up to date with a tool.

    Attributes:
        scope: "resource" (one for all threads of the user; if not given) or "thread".
        template: what the text looks like, in Markdown; a list of facts about the user if not given.
        schema: in place of a template: a type (dataclass, attrs class, TypedDict, pydantic model) or a JSON schema of an object.
            An update is then laid over what is there as a JSON merge patch: null deletes.
        read_only: True shows it and gives no tool to change it; False if not given.
    """

    scope: Scope | None = attrs.field(default=None, validator=_check_scope)
    template: str | None = attrs.field(default=None, validator=_check_type(str))
    schema: Any = None
    read_only: bool | None = attrs.field(default=None, validator=_check_type(bool))

    def __attrs_post_init__(self) -> None:
        if self.template is not None and self.schema is not None:
            msg = "WorkingMemory: template and schema say the same in two ways; pass one of them"
            raise ConfigurationError(msg)


@attrs.frozen(kw_only=True)
class GenerateTitle:
    """A title for a thread that has none, made by a model after the answer.

    Attributes:
        model: "provider/model" or a Model; the agent's if not given.
        instructions: what the model is told; a short title without quotes if not given.
        min_messages: how many messages the thread has at least; 1 if not given.
    """

    model: Any = None
    instructions: str | None = attrs.field(default=None, validator=_check_type(str))
    min_messages: int | None = attrs.field(default=None, validator=_check_count)


def read_feature(given: object, type_: type[F], *, at: str) -> F | bool | None:
    """*given* as options of a feature: itself, from a dictionary, or just on or off; None when it is not said.

    Raises:
        ConfigurationError: something else, or an unknown option.
    """
    if given is None or isinstance(given, bool | type_):
        return given
    if isinstance(given, Mapping):
        refuse_unknown(given, known=[field.name for field in attrs.fields(type_)], at=at)
        return type_(**given)
    msg = f"{at} must be True, False, {type_.__name__}(…) or a dictionary of its options; found {given!r}"
    raise ConfigurationError(msg)


def laid_over(over: F | Literal[True, False] | None, under: F | Literal[True, False] | None) -> F | bool | None:
    """*over* with the options that it leaves out taken from *under*; False switches off."""
    if over is None or under is None or isinstance(under, bool) or over is False:
        return under if over is None else over
    if over is True:
        return under
    given = {name: value for name, value in attrs.asdict(over, recurse=False).items() if value is not None}
    held = attrs.asdict(under, recurse=False)
    if {"schema", "template"} & set(given):
        held |= {"schema": None, "template": None}
    return type(over)(**{**held, **given})


def enabled(feature: F | Literal[True, False] | None, type_: type[F]) -> F | None:
    """The options of a feature that is on; None if it is off."""
    if feature is True:
        return type_()
    return feature or None
