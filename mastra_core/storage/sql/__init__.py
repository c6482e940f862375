"""What every SQL backend shares: the text of statements, rows to records, and the schema."""

from __future__ import annotations
