"""The tables of PostgreSQL: what is compared with `Schema`, in the first schema of the search path. Opens no connection.

The catalogs are asked, and not the information schema: that one shows a role only what it has a right to.
"""

from __future__ import annotations

from mastra_core.storage.sql.migrate import Schema
from mastra_pg.dialect import INDEXES, POSTGRESQL

_OURS = "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind IN"

SCHEMA = Schema(
    dialect=POSTGRESQL,
    indexes=INDEXES,
    catalog=(
        f"SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid {_OURS} ('r', 'p') "
        "AND c.relname LIKE 'mastra\\_%' AND a.attnum > 0 AND NOT a.attisdropped "
        f"UNION ALL SELECT '', c.relname FROM pg_class AS c {_OURS} ('i', 'I')"
    ),
    tables=f"SELECT count(*) FROM pg_class AS c {_OURS} ('r', 'p') AND c.relname IN ({{}})",
    now="to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
)
