"""The embedded default: libSQL's file format through SQLite, in this process."""

from __future__ import annotations
