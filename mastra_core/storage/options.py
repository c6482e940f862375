"""How options are taken: none passed over in silence, and exactly one way to connect to a store.

Knows names alone; must not know any backend.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mastra_core.errors import ConfigurationError
from mastra_core.names import did_you_mean


def refuse_unknown(given: Mapping[Any, object], *, known: Collection[str], at: str) -> None:
    """Refuse the first name that is not *known*.

    Raises:
        ConfigurationError: it names the snake-case or the nearest name, and all there are.
    """
    for name in given:
        if name not in known:
            msg = f"{at}: there is no option {name!r}; the options are {list(known)}{did_you_mean(name, known)}"
            raise ConfigurationError(msg)


def one_way(ways: Mapping[str, object], *, of: str, example: str) -> str:
    """The name of the one way to connect that was given.

    Raises:
        ConfigurationError: none was given, or more than one.
    """
    given = [name for name, value in ways.items() if value]
    if len(given) == 1:
        return given[0]
    found = f"found {' and '.join(given)}" if given else "found none"
    msg = f"{of} takes exactly one way to connect, of {list(ways)}; {found}. For example: {example}"
    raise ConfigurationError(msg)
