"""The contract of engines: every promise of the record port, as tests."""

from __future__ import annotations
