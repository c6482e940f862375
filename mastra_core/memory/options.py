"""The options of a memory, and those of one call laid over them.

Knows names and values of options. Must not know stores, agents or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.memory.features import GenerateTitle, SemanticRecall, WorkingMemory, enabled, laid_over, read_feature
from mastra_core.storage.options import refuse_unknown

FEATURES = {"semantic_recall": SemanticRecall, "working_memory": WorkingMemory, "generate_title": GenerateTitle}
"""The options that switch a feature on."""


class MemoryOptionsDict(TypedDict, total=False):
    """The options of MemoryOptions as a dictionary."""

    last_messages: int
    max_tokens: int | None
    read_only: bool
    semantic_recall: SemanticRecall | Mapping[str, Any] | bool
    working_memory: WorkingMemory | Mapping[str, Any] | bool
    generate_title: GenerateTitle | Mapping[str, Any] | bool


@attrs.frozen(init=False)
class MemoryOptions:
    """What of the past goes into a run, and what of the run is kept.

    Given for one call, only the options that are named there override those of the Memory; of a feature likewise.

    Attributes:
        last_messages: how many of the newest messages a run reads; 10 if not given. 0 reads none, and still saves.
        max_tokens: how many tokens of history go to the model at most, as we estimate them: the oldest messages are left out, and a
            call of a tool goes with its result. None (if not given) is no limit.
        read_only: True saves nothing; False if not given.
        semantic_recall: True, or SemanticRecall(…): messages of like meaning are found too; off if not given.
        working_memory: True, or WorkingMemory(…): facts that the agent keeps up to date; off if not given.
        generate_title: True, or GenerateTitle(…): a thread without a title gets one; off if not given.
        given: the names that were given, which override; the others have their defaults.

    Raises:
        ConfigurationError: an unknown option, or a value that it cannot have.
    """

    last_messages: int
    max_tokens: int | None
    read_only: bool
    semantic_recall: SemanticRecall | None
    working_memory: WorkingMemory | None
    generate_title: GenerateTitle | None
    given: Mapping[str, Any] = attrs.field(repr=False)

    def __init__(self, **options: Unpack[MemoryOptionsDict]) -> None:
        refuse_unknown(options, known=OPTIONS, at="MemoryOptions")
        given: dict[str, Any] = dict(options)
        # Whatever the annotations say: dictionaries come from outside.
        last_messages: object = given.get("last_messages", 10)
        read_only: object = given.get("read_only", False)
        if isinstance(last_messages, bool) or not isinstance(last_messages, int) or last_messages < 0:
            msg = f"last_messages must be a whole number >= 0, found {last_messages!r}; 0 reads no history, read_only=True saves nothing"
            raise ConfigurationError(msg)
        if not isinstance(read_only, bool):
            msg = f"read_only must be True or False, found {read_only!r}"
            raise ConfigurationError(msg)
        for name, feature in FEATURES.items():
            if name in given:
                given[name] = read_feature(given[name], feature, at=name)
        self.__attrs_init__(
            last_messages=last_messages,
            max_tokens=_checked_tokens(given.get("max_tokens")),
            read_only=read_only,
            given=given,
            **{name: enabled(given.get(name), feature) for name, feature in FEATURES.items()},
        )

    @classmethod
    def of(cls, options: object) -> MemoryOptions:
        """*options* if they are MemoryOptions, those of a dictionary, and none given for None.

        Raises:
            ConfigurationError: something else, an unknown option, or a value that it cannot have.
        """
        if isinstance(options, MemoryOptions):
            return options
        if options is None:
            return cls()
        if not isinstance(options, Mapping):
            msg = f"memory options must be MemoryOptions or a dictionary with the keys {list(OPTIONS)}, found {options!r}"
            raise ConfigurationError(msg)
        refuse_unknown(options, known=OPTIONS, at="memory options")
        return cls(**options)

    def under(self, over: MemoryOptions) -> MemoryOptions:
        """These options with those that *over* gives laid over them, one by one."""
        if not over.given:
            return self
        both = {**self.given, **over.given}
        for name in FEATURES.keys() & both.keys():
            both[name] = laid_over(over.given.get(name), self.given.get(name))
        return MemoryOptions(**both)


def _checked_tokens(given: object) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        msg = f"max_tokens must be a whole number >= 1, or None for no limit; found {given!r}"
        raise ConfigurationError(msg)
    return given


OPTIONS = tuple(MemoryOptionsDict.__annotations__)
"""The names of all options, in the order of their documentation."""
