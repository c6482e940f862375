"""Names in PostgreSQL: which a schema may have, and how statements say them. Knows no table and no connection."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mastra_core.errors import ConfigurationError

LONGEST = 63
"""What PostgreSQL keeps of a name, in bytes."""

# Braces and the percent sign stand for parameters in statements.
_NO_SCHEMA = re.compile(r"""["'\\$%{}\x00-\x1f\x7f\ud800-\udfff]""")


def check_schema_name(name: str | None, *, at: str) -> str | None:
    """Give back the name of a schema, or None where none was given.

    Args:
        name: 1 to 63 bytes of UTF-8; without quotes, backslash, `$`, `%`, braces and control characters, and not begun with `pg_`.
        at: whose option it is, to begin the message with.

    Raises:
        ConfigurationError: it is none such.
    """
    if name is None:
        return None
    given: object = name
    if not isinstance(given, str) or _NO_SCHEMA.search(given) or not given.strip() or len(name.encode()) > LONGEST or given[:3] == "pg_":
        msg = (
            f"{at}: schema_name must be 1 to {LONGEST} bytes without quotes, backslash, '$', '%', braces and control characters, and not "
            f"begin with 'pg_', found {name!r}; use a name such as 'mastra'"
        )
        raise ConfigurationError(msg)
    return name


def quoted(name: str) -> str:
    """*name* as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(name: str, schema: str | None) -> str:
    """A table or index as statements name it."""
    return quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    """*text* as a string constant."""
    return "'" + text.replace("'", "''") + "'"


def prefix_of(schema: str | None) -> str:
    """What the names of indexes begin with in a schema, as TypeScript has it (contract §3.3)."""
    return "" if schema in {None, "public"} else f"{schema}_"


def prefixed(names: Sequence[str], schema: str | None) -> dict[str, str]:
    """The name of each index in a schema: cut to what PostgreSQL keeps, and numbered where that leaves two the same."""
    found: dict[str, str] = {}
    for name in names:
        cut = _cut(prefix_of(schema) + name, LONGEST)
        number = 1
        while cut in found.values():
            number += 1
            cut = _cut(prefix_of(schema) + name, LONGEST - len(f"_{number}")) + f"_{number}"
        found[name] = cut
    return found


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")
