"""Names that users type: the end of a message that says which one was probably meant.

Knows spelling alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection


def did_you_mean(name: object, known: Collection[str]) -> str:
    """The end of a message: the name that *name* is in camelCase, or nearly is; "" when there is none such."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(name)).lower()
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(snake, by_lower, n=1)
    return f". Did you mean {by_lower[near[0]]!r}?" if near else ""
