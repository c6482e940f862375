"""What lies on disk, written down: the statements of each SQL backend, so that a change of them is seen and the version raised.

`python -m tests.schema_snapshots` writes them down anew. Knows the schemas; runs no statement.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from mastra_core.storage.libsql.tables import SCHEMA as LIBSQL
from mastra_core.storage.sql.migrate import Schema
from mastra_pg.tables import SCHEMA as POSTGRESQL

ROOT = Path(__file__).parents[1]
RECORDED: Mapping[Path, Schema] = {
    ROOT / "tests" / "unit" / "storage" / "libsql" / "schema.sql": LIBSQL,
    ROOT / "plugins" / "mastra-pg" / "tests" / "schema.sql": POSTGRESQL,
}
AGAIN = "write it down with: python -m tests.schema_snapshots"
RAISE = "raise SCHEMA_VERSION in mastra_core/storage/records/kinds.py"


def difference(schema: Schema, recorded: str) -> str | None:
    """What *schema* has and *recorded* has not, or the other way round, with the mend; None when they agree."""
    head, *statements = recorded.splitlines()
    version = int(head.removeprefix("-- schema version "))
    changed = sorted(set(statements) ^ set(schema.objects))
    if any(statement.startswith("CREATE TABLE") for statement in changed) and schema.version <= version:
        return f"tables changed, and the schema version is still {schema.version}: {RAISE}, then {AGAIN}\n" + "\n".join(changed)
    if changed or schema.version != version:
        return f"the recorded schema is an old one: {AGAIN}\n" + "\n".join(changed)
    return None


def text_of(schema: Schema) -> str:
    """A schema as it is written down, a statement a line."""
    return "\n".join([f"-- schema version {schema.version}", *schema.objects, ""])


def main() -> None:
    """Write every schema down; one whose tables changed is refused until the version is raised."""
    for path, schema in RECORDED.items():
        told = difference(schema, path.read_text()) if path.exists() else ""
        if told and RAISE in told:
            sys.exit(f"{path}: {told}\nIf version {schema.version} was never released, delete the file first.")
        path.write_text(text_of(schema))


if __name__ == "__main__":
    main()
