"""The tables of SQLite and libSQL: what is compared with `Schema`, whether over a file or over a wire. Opens no connection."""

from __future__ import annotations

from mastra_core.storage.libsql.dialect import INDEXES, SQLITE
from mastra_core.storage.sql.migrate import Schema

SCHEMA = Schema(
    dialect=SQLITE,
    indexes=INDEXES,
    catalog=(
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
        "WHERE m.type = 'table' AND m.name LIKE 'mastra\\_%' ESCAPE '\\' "
        "UNION ALL SELECT '', name FROM sqlite_master WHERE type = 'index'"
    ),
    tables="SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ({})",
    now="strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
)
