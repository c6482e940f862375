"""The contract of the observability domain: spans and traces as users meet them, on whatever backend is below."""

from __future__ import annotations
