"""How stores take their options: exactly one way to connect, and no option passed over in silence.

Knows names alone; must not know any backend.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

from mastra_core.errors import ConfigurationError


def refuse_unknown(options: Mapping[str, object], *, known: Collection[str], of: str) -> None:
    """Refuse options that *of* does not have.

    Raises:
        ConfigurationError: there is one; the message names the snake-case or the nearest name.
    """
    for name in options:
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
        near = [snake] if snake in known else difflib.get_close_matches(snake, known, n=1)
        mend = f". Did you mean {near[0]!r}?" if near else ""
        msg = f"{of} has no option {name!r}; its options are {sorted(known)}{mend}"
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
