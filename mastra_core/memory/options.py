"""The options of a memory, and those of one call laid over them.

Knows names and values of options. Must not know stores, agents or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

import attrs

from mastra_core.errors import ConfigurationError
from mastra_core.storage.options import refuse_unknown


class MemoryOptionsDict(TypedDict, total=False):
    """The options of MemoryOptions as a dictionary."""

    last_messages: int
    read_only: bool


@attrs.frozen(init=False)
class MemoryOptions:
    """How much of a thread goes into a run, and whether the run is saved.

    Given for one call, only the options that are named there override those of the Memory.

    Attributes:
        last_messages: how many of the newest messages a run reads; 10 if not given. 0 reads none, and still saves.
        read_only: True saves nothing; False if not given.
        given: the names that were given, which override; the others have their defaults.

    Raises:
        ConfigurationError: an unknown option, or a value that it cannot have.
    """

    last_messages: int
    read_only: bool
    given: frozenset[str] = attrs.field(repr=False)

    def __init__(self, **options: Unpack[MemoryOptionsDict]) -> None:
        refuse_unknown(options, known=OPTIONS, at="MemoryOptions")
        # Whatever the annotations say: dictionaries come from outside.
        last_messages: object = options.get("last_messages", 10)
        read_only: object = options.get("read_only", False)
        if isinstance(last_messages, bool) or not isinstance(last_messages, int) or last_messages < 0:
            msg = f"last_messages must be a whole number >= 0, found {last_messages!r}; 0 reads no history, read_only=True saves nothing"
            raise ConfigurationError(msg)
        if not isinstance(read_only, bool):
            msg = f"read_only must be True or False, found {read_only!r}"
            raise ConfigurationError(msg)
        self.__attrs_init__(last_messages=last_messages, read_only=read_only, given=frozenset(options))

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
        """These options with those that *over* gives laid over them, field by field."""
        return MemoryOptions(**(self._as_given() | over._as_given()))

    def _as_given(self) -> MemoryOptionsDict:
        named: MemoryOptionsDict = {"last_messages": self.last_messages, "read_only": self.read_only}
        return {name: value for name, value in named.items() if name in self.given}  # type: ignore[return-value]  # keys of named


OPTIONS = tuple(MemoryOptionsDict.__annotations__)
"""The names of all options, in the order of their documentation."""
