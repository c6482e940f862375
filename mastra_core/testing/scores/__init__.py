"""The contract of the scores domain."""

from __future__ import annotations
