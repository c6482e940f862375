"""A backend for Mastra over an append-only journal file. Importing this imports no engine."""

from __future__ import annotations

from mastra_acme.store import AcmeStore

__all__ = ["AcmeStore"]
