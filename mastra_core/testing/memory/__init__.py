"""The contract of the memory domain: threads and messages as users meet them, on whatever backend is below."""

from __future__ import annotations
